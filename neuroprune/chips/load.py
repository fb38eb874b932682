"""Reads a chip from YAML, every number with its unit, its source and how well it is known.

A file has a `title`, the `family` of its cores, and for each number four entries:

    neurons_per_core:
      value: 1024
      unit: neurons
      source: 'nengo-loihi block.py, MAX_COMPARTMENTS'
      grade: published        # or fitted, derived, assumed

Numbers of every chip are `cores_per_chip`, `mesh`, `synaptic_delay_max` and the widths of `IntegerRules`; the others
are the fields of the family. A file that `extends` another takes over all that it does not set itself.

`costs` lists the models of what its events cost in time and energy, by name or path: see `neuroprune.chips.cost_model`.
"""

import dataclasses
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from neuroprune.bundled import hw_targets_folder
from neuroprune.chips.catalog import FAMILIES
from neuroprune.chips.chip import Chip, Fact, Grade
from neuroprune.chips.cost_model import CostModel, load_cost_model
from neuroprune.chips.family import Family
from neuroprune.documents import read_yaml
from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.fixed_point import IntegerRules
from neuroprune.reading import is_file, reading

WIDTHS = tuple(field.name for field in dataclasses.fields(IntegerRules) if field.name != "chip")
NEAREST, LONGEST_KEY = 3, 100
"""Known keys that the error of an unknown one names, and the characters of it that are compared with them."""


def list_chips() -> tuple[str, ...]:
    """Names of the bundled chips, sorted.

    >>> from neuroprune import list_chips
    >>> list_chips()
    ('loihi-sim', 'loihi-sim-relay', 'loihi1', 'loihi2', 'speck')
    """
    return tuple(sorted(path.stem for path in hw_targets_folder().glob("*.yaml")))


def load_chip(name_or_path: str, families: Sequence[type[Family]] = FAMILIES) -> Chip:
    """The bundled chip of that name, or the one that a YAML file describes.

    A chip is named after its file. One that `extends` another (a bundled name, or a path seen from its own folder)
    takes over its family and every key that it does not set itself.
    families: those that the file's `family` may name.
    Raises InputError, naming file and key, for a file that cannot be read, lacks a number, has one that it should not
    have, one without its unit, source or grade, or one that cannot be computed or contradicts another.

    >>> from neuroprune import load_chip
    >>> chip = load_chip("loihi-sim")
    >>> chip.core.name, chip.cores_per_chip, chip.facts["mesh"].grade
    ('loihi', 128, 'derived')
    """
    path = _find(name_or_path, Path())
    with reading(path, "the description of a chip", "correct the file"):
        described = _read(path, families, ())
    units = units_of(described.family)
    facts = {key: described.facts[key] for key in units if key in described.facts}
    missing = [*(["title"] if described.title is None else []), *(key for key in units if key not in facts)]
    if described.title is None or missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: add the keys, or take them over with `extends`")
    values: dict[str, Any] = {key: fact.value for key, fact in facts.items()}
    try:
        chip = Chip(
            name=path.stem,
            title=described.title,
            cores_per_chip=values["cores_per_chip"],
            mesh=values["mesh"],
            synaptic_delay_max=values["synaptic_delay_max"],
            rules=IntegerRules(path.stem, **{key: values[key] for key in WIDTHS}),
            core=described.family(**{key: values[key] for key in described.family.units()}),
            facts=MappingProxyType(facts),
            costs=described.costs,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    _check_encodings(path, chip)
    return chip


def chip_file(name_or_path: str) -> Path:
    """The YAML file that `load_chip` reads. Raises InputError if there is none."""
    return _find(name_or_path, Path())


def units_of(family: type[Family]) -> dict[str, str]:
    """The unit of each number that a chip of `family` has, by its key."""
    mesh = {"cores_per_chip": "cores", "mesh": "cores"}
    return mesh | family.units() | {"synaptic_delay_max": "steps"} | dict.fromkeys(WIDTHS, "bits")


class _Described(NamedTuple):
    """What a file says, with what it inherits; perhaps not all of a chip."""

    family: type[Family]
    title: str | None
    facts: dict[str, Fact]
    costs: tuple[CostModel, ...]


def _find(name_or_path: str, folder: Path) -> Path:
    """The file of a bundled name, or a path seen from `folder`; InputError if there is none."""
    if name_or_path in list_chips():
        return hw_targets_folder() / f"{name_or_path}.yaml"
    path = folder / name_or_path
    if not is_file(path):
        raise InputError(
            f"there is no target {excerpt(name_or_path)}: choose one of {', '.join(list_chips())}, "
            "or give the path of a YAML file"
        )
    return path


def _read(path: Path, families: Sequence[type[Family]], descendants: tuple[Path, ...]) -> _Described:
    """The checked entries of `path` over those that it inherits; `descendants` are the files that led here."""
    if path.resolve() in descendants:
        chain = " extends ".join(file.name for file in (*descendants, path))
        raise InputError(f"{chain}, which never ends: remove one `extends`")
    content = _entries(path)
    base = None
    if "extends" in content:
        file = _find(_text(path, "extends", content["extends"]), path.parent)
        base = _read(file, families, (*descendants, path.resolve()))
    family = _family(path, content, base, families)
    title = base.title if base else None
    if "title" in content:
        title = _text(path, "title", content["title"])
    costs = base.costs if base else ()
    if "costs" in content:
        costs = _costs(path, content["costs"])
    units = units_of(family)
    texts = ("title", "extends", "family", "costs")
    facts = dict(base.facts) if base else {}
    for key, value in content.items():
        if key in units:
            facts[key] = _fact(path, key, value, units[key])
        elif key not in texts:
            nearest = get_close_matches(str(key)[:LONGEST_KEY].lower(), (*texts, *units), n=NEAREST, cutoff=0.0)
            raise InputError(
                f"{path} has the unknown key {excerpt(key)}; the nearest that a chip of family {family.name} has are "
                f"{', '.join(nearest)}: correct or remove it"
            )
    return _Described(family, title, facts, costs)


def _entries(path: Path) -> dict[str, Any]:
    content = read_yaml(path, "correct the file")
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}, not keys and values: see hw_targets/loihi-sim.yaml")
    for key, entry in content.items():
        if isinstance(entry, dict) and "certainty" in entry:
            raise InputError(
                f"{path}: {capped(key)} has a certainty, which is called grade now: rename it, and give every number "
                "its unit and the file its family, as in hw_targets/loihi-sim.yaml"
            )
    return content


def _family(
    path: Path, content: dict[str, Any], base: _Described | None, families: Sequence[type[Family]]
) -> type[Family]:
    """The family that the file names, or that of the chip that it extends."""
    names = ", ".join(each.name for each in families)
    if "family" not in content:
        if base is None:
            raise InputError(f"{path} lacks family: add `family:` with one of {names}")
        return base.family
    name = _text(path, "family", content["family"])
    found = next((each for each in families if each.name == name), None)
    if found is None:
        raise InputError(f"{path}: family is {excerpt(name)}, but must be one of {names}")
    if base is not None and found is not base.family:
        raise InputError(
            f"{path} is of family {name}, but extends a chip of family {base.family.name}: remove one of the two"
        )
    return found


def _costs(path: Path, value: object) -> tuple[CostModel, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"{path}: costs is {excerpt(value)}, but must be a list of cost models, as in [davies-2018]")
    return tuple(load_cost_model(each, path.parent) for each in value)


def _check_encodings(path: Path, chip: Chip) -> None:
    """A figure of an encoding that there is not would leave unknown what it is the cost of."""
    known = chip.core.encodings
    ways = f"as {', '.join(known)}" if known else "in one way"
    for model in chip.costs:
        for name, figure in (("synop_time", model.synop_time), ("synop_energy", model.synop_energy)):
            given = figure.value if figure is not None and isinstance(figure.value, dict) else {}
            other = next((each for each in given if each not in known), None)
            if other is not None:
                raise InputError(
                    f"{path}: {name} of cost model {model.name} has a value for {excerpt(other)}, but cores of family "
                    f"{chip.core.name} store synapses {ways}: give it for these, or one value for all"
                )


def _text(path: Path, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}: {key} is {excerpt(value)}, but must be a text: quote it")
    return value


def _fact(path: Path, key: str, entry: object, unit: str) -> Fact:
    keys = tuple(field.name for field in dataclasses.fields(Fact) if field.name != "file")
    if not isinstance(entry, dict) or set(entry) != set(keys):
        found = capped(", ".join(map(str, entry))) if isinstance(entry, dict) else excerpt(entry)
        raise InputError(f"{path}: {key} has {found or 'nothing'}, but must have exactly the keys {', '.join(keys)}")
    if entry["unit"] != unit:
        raise InputError(f"{path}: unit of {key} is {excerpt(entry['unit'])}, but must be {unit!r}: convert the value")
    if entry["grade"] not in get_args(Grade):
        raise InputError(
            f"{path}: grade of {key} is {excerpt(entry['grade'])}, but must be one of {', '.join(get_args(Grade))}"
        )
    source = _text(path, f"source of {key}", entry["source"])
    value = entry["value"]
    return Fact(tuple(value) if isinstance(value, list) else value, unit, source, entry["grade"], path)
