"""Chips as data: `hw_targets/*.yaml` read into a frozen `Target`, every number with its source."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

import yaml

from neuroprune.bundled import hw_targets_folder
from neuroprune.errors import InputError
from neuroprune.fixed_point import IntegerRules

Certainty = Literal["published", "derived", "assumed"]


@dataclass(frozen=True)
class Fact:
    """One number of a target, where it is from, and how well it is known."""

    value: int | tuple[int, ...]
    source: str
    certainty: Certainty


@dataclass(frozen=True, eq=False)
class Target:
    """What a chip can hold, and `facts` has the provenance of each number by its field's name.

    All are >= 1, save for synaptic_delay_max: 0 says that synapses cannot delay.

    mesh: cores of a chip along x and y.
    synapse_formats_per_core: how many layers may keep synapses on one core, each in its own format.
    synapses_per_block, block_header_bits: synapse memory is used in blocks, each with a header, of whole words.
    index_bits_min, index_bits_max: widths of the neuron index that a sparse synapse can carry.
    axon_base_bits: bits of the base compartment that an input axon adds to the indices of its synapses.
    population_axon_slots: output axon slots that an axon shared by the channels of a pixel takes.
    synaptic_delay_max: steps that a synapse can hold a spike back, beyond the one that each takes.
    delay_bits: of each stored synapse where synapses delay.
    weight_bits_offered: widths of a stored weight, ascending; weight_bits is the widest.
    threshold_bits: unsigned mantissa. bias_bits: mantissa with sign. state_bits: of u and v, with sign.
    input_bits: of a graded input spike, with sign.
    """

    name: str
    title: str
    cores_per_chip: int
    mesh: tuple[int, int]
    neurons_per_core: int
    input_axons_per_core: int
    output_axons_per_core: int
    synapse_words_per_core: int
    word_bits: int
    synapse_formats_per_core: int
    synapses_per_block: int
    block_header_bits: int
    index_bits_min: int
    index_bits_max: int
    axon_base_bits: int
    population_axon_slots: int
    synaptic_delay_max: int
    delay_bits: int
    weight_bits: int
    weight_bits_offered: tuple[int, ...]
    decay_bits: int
    threshold_bits: int
    bias_bits: int
    bias_exponent_max: int
    state_bits: int
    input_bits: int
    facts: Mapping[str, Fact]

    @property
    def synapse_bits_per_core(self) -> int:
        """Synapse memory of a core, in bits."""
        return self.synapse_words_per_core * self.word_bits

    @property
    def rules(self) -> IntegerRules:
        """Widths of the integer fields."""
        widths = (field.name for field in dataclasses.fields(IntegerRules) if field.name != "chip")
        return IntegerRules(self.name, **{name: getattr(self, name) for name in widths})


NUMBERS = tuple(field.name for field in dataclasses.fields(Target) if field.name not in ("name", "title", "facts"))
KEYS = ("title", "extends", *NUMBERS)


def list_targets() -> tuple[str, ...]:
    """Names of the bundled targets, sorted."""
    return tuple(sorted(path.stem for path in hw_targets_folder().glob("*.yaml")))


def load_target(name_or_path: str) -> Target:
    """The bundled target of that name, or the one that a YAML file of the user's describes.

    A target is named after its file. One that `extends` another (a bundled name, or a path seen from its own folder)
    takes over every key that it does not set itself. Raises InputError.
    """
    path = _find(name_or_path, Path())
    entries = _read(path, ())
    missing = [key for key in ("title", *NUMBERS) if key not in entries]
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)}: add the keys, or take them over with `extends: loihi-sim`"
        )
    facts = {key: cast(Fact, entries[key]) for key in NUMBERS}
    target = Target(
        name=path.stem,
        title=cast(str, entries["title"]),
        facts=MappingProxyType(facts),
        **{key: cast(Any, fact.value) for key, fact in facts.items()},
    )
    columns, rows = target.mesh
    if columns * rows != target.cores_per_chip:
        raise InputError(
            f"{path}: mesh has {columns} x {rows} = {columns * rows} cores, but cores_per_chip is "
            f"{target.cores_per_chip}: make the two agree"
        )
    if target.weight_bits_offered[-1] != target.weight_bits:
        raise InputError(
            f"{path}: the widest of weight_bits_offered is {target.weight_bits_offered[-1]}, but weight_bits is "
            f"{target.weight_bits}: make the two agree"
        )
    return target


def _find(name_or_path: str, folder: Path) -> Path:
    """The file of a bundled name, or a path seen from `folder`; InputError if there is none."""
    if name_or_path in list_targets():
        return hw_targets_folder() / f"{name_or_path}.yaml"
    path = folder / name_or_path
    if not path.is_file():
        raise InputError(
            f"there is no target {name_or_path!r}: choose one of {', '.join(list_targets())}, "
            "or give the path of a YAML file"
        )
    return path


def _read(path: Path, descendants: tuple[Path, ...]) -> dict[str, str | Fact]:
    """The checked entries of `path` over those that it inherits; `descendants` are the files that led here."""
    if path.resolve() in descendants:
        chain = " extends ".join(file.name for file in (*descendants, path))
        raise InputError(f"{chain}, which never ends: remove one `extends`")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as YAML ({reason}): correct the file") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}, not keys and values: see hw_targets/loihi-sim.yaml")
    inherited: dict[str, str | Fact] = {}
    if "extends" in content:
        base = _find(_text(path, "extends", content["extends"]), path.parent)
        inherited = _read(base, (*descendants, path.resolve()))
    own: dict[str, str | Fact] = {}
    for key, value in content.items():
        if key not in KEYS:
            raise InputError(f"{path} has the unknown key {key!r}: allowed keys are {', '.join(KEYS)}")
        if key == "title":
            own[key] = _text(path, key, value)
        elif key != "extends":
            own[key] = _fact(path, key, value)
    return inherited | own


def _text(path: Path, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}: {key} is {value!r}, but must be a text: quote it")
    return value


def _fact(path: Path, key: str, entry: object) -> Fact:
    keys = tuple(field.name for field in dataclasses.fields(Fact))
    if not isinstance(entry, dict) or set(entry) != set(keys):
        found = ", ".join(map(str, entry)) if isinstance(entry, dict) else repr(entry)
        raise InputError(f"{path}: {key} has {found or 'nothing'}, but must have exactly the keys {', '.join(keys)}")
    if entry["certainty"] not in get_args(Certainty):
        raise InputError(
            f"{path}: certainty of {key} is {entry['certainty']!r}, but must be one of {', '.join(get_args(Certainty))}"
        )
    source = _text(path, f"source of {key}", entry["source"])
    return Fact(_number(path, key, entry["value"]), source, entry["certainty"])


def _number(path: Path, key: str, value: object) -> int | tuple[int, ...]:
    if key == "mesh":
        if isinstance(value, list) and len(value) == 2 and all(map(_is_count, value)):
            return tuple(value)
        raise InputError(f"{path}: value of mesh is {value!r}, but must be two whole numbers above 0, as in [16, 8]")
    if key == "weight_bits_offered":
        if isinstance(value, list) and value and all(map(_is_count, value)) and value == sorted(set(value)):
            return tuple(value)
        raise InputError(
            f"{path}: value of {key} is {value!r}, but must be ascending whole numbers above 0, as in [4, 8]"
        )
    if key == "synaptic_delay_max" and value == 0 and type(value) is int:
        return 0
    if not _is_count(value):
        least = "of 0 or more" if key == "synaptic_delay_max" else "above 0"
        raise InputError(f"{path}: value of {key} is {value!r}, but must be a whole number {least}")
    return cast(int, value)


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0
