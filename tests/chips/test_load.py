"""Chips are data: every number has a source, and a wrong file is refused by one sentence."""

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import yaml

from neuroprune.bundled import hw_targets_folder
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import list_chips, load_chip, units_of
from neuroprune.chips.loihi.family import Loihi
from neuroprune.errors import InputError

UNITS = units_of(Loihi)


def entry(value: object, unit: str, grade: str = "assumed") -> dict[str, object]:
    return {"value": value, "unit": unit, "source": "a test", "grade": grade}


def write(folder: Path, name: str, content: object) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def bundled() -> dict[str, object]:
    loaded = yaml.safe_load((hw_targets_folder() / "loihi-sim.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def value_of(chip: Chip, key: str) -> object:
    """Where a chip keeps the number that its YAML gives by `key`."""
    part = next(part for part in (chip, chip.core, chip.rules) if hasattr(part, key))
    return getattr(part, key)


def test_loihi_sim_has_the_published_limits() -> None:
    chip = load_chip("loihi-sim")
    assert (chip.name, chip.core.name, chip.rules.chip) == ("loihi-sim", "loihi", "loihi-sim")
    assert [(each.name, each.unit, each.limit) for each in chip.core.resources] == [
        ("neurons", "neurons", 1024),
        ("input axons", "axons", 4096),
        ("output axons", "axons", 4096),
        ("synapse memory", "bits", 128 * 1024 * 8),
        ("synapse formats", "formats", 16),
    ]
    assert chip.cores_per_chip == 128
    assert chip.mesh == (16, 8)
    rules = chip.rules
    assert (rules.weight_bits, rules.decay_bits, rules.threshold_bits) == (8, 12, 17)
    assert rules.weight_bits_offered == (1, 2, 3, 4, 5, 6, 8)
    assert (chip.synaptic_delay_max, value_of(chip, "delay_bits")) == (62, 6)
    assert (rules.bias_bits, rules.bias_exponent_max, rules.state_bits, rules.input_bits) == (13, 7, 24, 8)


def test_loihi_sim_relay_differs_by_its_delays_only() -> None:
    chip, base = load_chip("loihi-sim-relay"), load_chip("loihi-sim")
    assert chip.synaptic_delay_max == 0
    assert [key for key in UNITS if value_of(chip, key) != value_of(base, key)] == ["synaptic_delay_max"]


@pytest.mark.parametrize(("weight_bits", "stored"), [(1, 1), (2, 2), (6, 6), (7, 8), (8, 8)])
def test_a_weight_is_stored_in_the_narrowest_width_that_holds_it(weight_bits: int, stored: int) -> None:
    assert load_chip("loihi-sim").rules.stored_bits(weight_bits) == stored


def test_every_bundled_chip_loads_and_gives_each_number_its_unit_source_and_grade() -> None:
    assert "loihi-sim" in list_chips()
    for name in list_chips():
        chip = load_chip(name)
        assert {key: fact.unit for key, fact in chip.facts.items()} == units_of(type(chip.core))
        for key, fact in chip.facts.items():
            assert value_of(chip, key) == fact.value
            assert len(fact.source) > 10
            assert fact.grade in ("published", "fitted", "derived", "assumed")


def test_a_chip_is_loaded_without_torch() -> None:
    code = (
        "import sys; from neuroprune.chips.load import load_chip; load_chip('loihi-sim'); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_a_chip_cannot_be_changed() -> None:
    chip = load_chip("loihi-sim")
    with pytest.raises(AttributeError):
        chip.mesh = (1, 1)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        chip.core.neurons_per_core = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        chip.facts["mesh"] = chip.facts["mesh"]  # type: ignore[index]


def test_a_variant_inherits_what_it_does_not_set(tmp_path: Path) -> None:
    write(tmp_path, "small", {"extends": "loihi-sim", "title": "small", "neurons_per_core": entry(64, "neurons")})
    path = write(tmp_path, "tiny", {"extends": "small.yaml", "input_axons_per_core": entry(8, "axons")})
    chip = load_chip(path)
    assert (chip.name, chip.title, chip.core.name) == ("tiny", "small", "loihi")
    assert [resource.limit for resource in chip.core.resources[:3]] == [64, 8, 4096]
    assert chip.facts["neurons_per_core"].source == "a test"


def test_unknown_chip() -> None:
    with pytest.raises(
        InputError, match=r"^there is no target 'loihi9': choose one of .*loihi-sim.*, or give the path"
    ):
        load_chip("loihi9")


def test_unknown_base(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^there is no target 'other.yaml': choose one of"):
        load_chip(write(tmp_path, "a", {"extends": "other.yaml"}))


@pytest.mark.parametrize("key", ["neuron_per_core", "NEURONS_PER_CORE", "neurons_per_core" + " -" * 10_000])
def test_unknown_key_is_named_with_file_and_nearest_keys_in_a_short_sentence(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", key: entry(5, "neurons")})
    expected = (
        r"a\.yaml has the unknown key '(?i:neuron).*; the nearest that a chip of family loihi has are "
        r"neurons_per_core, \w+, \w+: correct or remove it$"
    )
    with pytest.raises(InputError, match=expected) as raised:
        load_chip(path)
    assert len(str(raised.value)) < 300 + len(str(path))


def test_missing_keys_are_named_together(tmp_path: Path) -> None:
    content = bundled()
    del content["mesh"], content["word_bits"]
    with pytest.raises(
        InputError, match=r"a\.yaml lacks mesh, word_bits: add the keys, or take them over with `extends`$"
    ):
        load_chip(write(tmp_path, "a", content))


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True, None, [1, 2]])
def test_a_limit_that_is_no_count(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": entry(value, "neurons")})
    with pytest.raises(
        InputError, match=r"a\.yaml: neurons_per_core is .*, but must be a whole number from 1 to 2147483647$"
    ):
        load_chip(path)


@pytest.mark.parametrize("value", [-1, True, "none", 0.0, None])
def test_a_delay_that_is_no_number_of_steps(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "synaptic_delay_max": entry(value, "steps")})
    with pytest.raises(
        InputError, match=r"a\.yaml: synaptic_delay_max is .*, but must be a whole number from 0 to 2147483647$"
    ):
        load_chip(path)


@pytest.mark.parametrize("value", [8, [], [0, 8], [8, 4], [8, 8], "8"])
def test_weight_widths_that_are_no_ascending_counts(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "weight_bits_offered": entry(value, "bits")})
    with pytest.raises(
        InputError, match=r"a\.yaml: weight_bits_offered is .*, but must be ascending whole numbers from 1 to 8, as in"
    ):
        load_chip(path)


def test_weight_widths_that_disagree_with_the_widest(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "weight_bits": entry(4, "bits")})
    with pytest.raises(
        InputError, match=r"the widest of weight_bits_offered is 8, but weight_bits is 4: make the two agree$"
    ):
        load_chip(path)


@pytest.mark.parametrize("value", [4, [4], [4, 0], [1, 2, 3], "4x4"])
def test_a_mesh_that_is_no_pair(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "mesh": entry(value, "cores")})
    with pytest.raises(InputError, match=r"a\.yaml: mesh is .*, but must be two whole numbers above 0"):
        load_chip(path)


def test_a_mesh_that_disagrees_with_the_number_of_cores(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "mesh": entry([3, 2], "cores")})
    with pytest.raises(InputError, match=r"mesh has 3 x 2 = 6 cores, but cores_per_chip is 128: make the two agree"):
        load_chip(path)


@pytest.mark.parametrize("limit", [1024, {"value": 1024}, {}, {**entry(1, "neurons"), "note": "none"}])
def test_a_limit_without_provenance(tmp_path: Path, limit: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": limit})
    expected = r"neurons_per_core has .*, but must have exactly the keys value, unit, source, grade$"
    with pytest.raises(InputError, match=expected):
        load_chip(path)


@pytest.mark.parametrize("key", list(UNITS))
@pytest.mark.parametrize("unit", ["KiB", None])
def test_a_number_in_another_unit(tmp_path: Path, key: str, unit: str | None) -> None:
    content = bundled()
    content[key] = {**cast(dict[str, object], content[key]), "unit": unit}
    path = write(tmp_path, "a", content)
    expected = rf"a\.yaml: unit of {key} is {unit!r}, but must be '{UNITS[key]}': convert the value$"
    with pytest.raises(InputError, match=expected):
        load_chip(path)


def test_an_unknown_grade(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": entry(5, "neurons", "guessed")})
    expected = r"grade of neurons_per_core is 'guessed', but must be one of published, fitted, derived, assumed$"
    with pytest.raises(InputError, match=expected):
        load_chip(path)


def test_for_a_file_from_before_grades_the_error_says_what_changed(tmp_path: Path) -> None:
    old = {"value": 5, "source": "a test", "certainty": "assumed"}
    expected = (
        r"a\.yaml: neurons_per_core has a certainty, which is called grade now: rename it, and give every number its "
        r"unit and the file its family, as in hw_targets/loihi-sim\.yaml$"
    )
    for content in ({"title": "a", "neurons_per_core": old}, {"extends": "loihi-sim", "neurons_per_core": old}):
        with pytest.raises(InputError, match=expected):
            load_chip(write(tmp_path, "a", content))


def test_a_file_without_a_family(tmp_path: Path) -> None:
    content = bundled()
    del content["family"]
    with pytest.raises(InputError, match=r"a\.yaml lacks family: add `family:` with one of loihi, dynapcnn$"):
        load_chip(write(tmp_path, "a", content))


def test_a_family_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.yaml: family is 'tianjic', but must be one of loihi, dynapcnn$"):
        load_chip(write(tmp_path, "a", {**bundled(), "family": "tianjic"}))


@pytest.mark.parametrize(
    "content",
    [{"extends": "loihi-sim", "title": 5}, {"extends": "loihi-sim", "title": " "}, {"extends": 5}, {"family": 5}],
)
def test_a_text_that_is_none(tmp_path: Path, content: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"a\.yaml: (title|extends|family) is .*, but must be a text: quote it"):
        load_chip(write(tmp_path, "a", content))


def test_an_empty_source(tmp_path: Path) -> None:
    limit = {**entry(5, "neurons"), "source": ""}
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": limit})
    with pytest.raises(InputError, match=r"a\.yaml: source of neurons_per_core is '', but must be a text"):
        load_chip(path)


def test_inheritance_that_never_ends(tmp_path: Path) -> None:
    write(tmp_path, "b", {"extends": "a.yaml"})
    path = write(tmp_path, "a", {"extends": "b.yaml"})
    with pytest.raises(InputError, match=r"^a\.yaml extends b\.yaml extends a\.yaml, which never ends: remove one"):
        load_chip(path)


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("title: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.yaml is not valid YAML \(.* in line 1\): correct the file"):
        load_chip(str(path))


def test_a_file_that_asks_for_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("title: !!python/object/apply:os.getcwd []", encoding="utf-8")
    with pytest.raises(
        InputError,
        match=r"is not valid YAML \(could not determine a constructor for the tag .* in line 1\): correct the file",
    ):
        load_chip(str(path))


def test_a_file_without_keys(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.yaml holds list, not keys and values: see hw_targets/loihi-sim\.yaml"):
        load_chip(write(tmp_path, "a", ["title"]))


def test_values_are_quoted_as_far_as_a_sentence_has_room(tmp_path: Path) -> None:
    for value in ("x" * 9999, [["y"] * 90] * 90, {"a\x1b[2J": 1}, "\x1b[2J"):
        path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": entry(value, "neurons")})
        with pytest.raises(InputError, match=r"a\.yaml: neurons_per_core is .*, but must be a whole") as caught:
            load_chip(path)
        assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


def test_a_base_that_no_file_can_be_called(tmp_path: Path) -> None:
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(InputError, match=r"^there is no target '.*': choose one of"):
            load_chip(write(tmp_path, "a", {"extends": name}))
