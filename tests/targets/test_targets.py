"""Targets are data: every number has a source, and a wrong file is refused by one sentence."""

from pathlib import Path

import pytest
import yaml

from neuroprune.bundled import hw_targets_folder
from neuroprune.errors import InputError
from neuroprune.targets import NUMBERS, list_targets, load_target


def entry(value: object, certainty: str = "assumed") -> dict[str, object]:
    return {"value": value, "source": "a test", "certainty": certainty}


def write(folder: Path, name: str, content: object) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def bundled() -> dict[str, object]:
    loaded = yaml.safe_load((hw_targets_folder() / "loihi-sim.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_loihi_sim_has_the_published_limits() -> None:
    target = load_target("loihi-sim")
    assert target.name == "loihi-sim"
    assert (target.neurons_per_core, target.input_axons_per_core, target.output_axons_per_core) == (1024, 4096, 4096)
    assert target.synapse_bits_per_core == 128 * 1024 * 8
    assert target.cores_per_chip == 128
    assert target.mesh == (16, 8)
    assert (target.weight_bits, target.decay_bits, target.threshold_bits) == (8, 12, 17)
    assert target.weight_bits_offered == (1, 2, 3, 4, 5, 6, 8)
    assert (target.synaptic_delay_max, target.delay_bits) == (62, 6)
    assert (target.bias_bits, target.bias_exponent_max, target.state_bits, target.input_bits) == (13, 7, 24, 8)


def test_loihi_sim_relay_differs_by_its_delays_only() -> None:
    target, base = load_target("loihi-sim-relay"), load_target("loihi-sim")
    assert target.synaptic_delay_max == 0
    assert [key for key in NUMBERS if getattr(target, key) != getattr(base, key)] == ["synaptic_delay_max"]


@pytest.mark.parametrize(("weight_bits", "stored"), [(1, 1), (2, 2), (6, 6), (7, 8), (8, 8)])
def test_a_weight_is_stored_in_the_narrowest_width_that_holds_it(weight_bits: int, stored: int) -> None:
    assert load_target("loihi-sim").stored_bits(weight_bits) == stored


def test_every_bundled_target_loads_and_gives_each_number_a_source() -> None:
    assert "loihi-sim" in list_targets()
    for name in list_targets():
        target = load_target(name)
        assert set(target.facts) == set(NUMBERS)
        for key, fact in target.facts.items():
            assert getattr(target, key) == fact.value
            assert len(fact.source) > 10
            assert fact.certainty in ("published", "derived", "assumed")


def test_a_target_cannot_be_changed() -> None:
    target = load_target("loihi-sim")
    with pytest.raises(AttributeError):
        target.mesh = (1, 1)  # type: ignore[misc]
    with pytest.raises(TypeError):
        target.facts["mesh"] = target.facts["mesh"]  # type: ignore[index]


def test_a_variant_inherits_what_it_does_not_set(tmp_path: Path) -> None:
    write(tmp_path, "small", {"extends": "loihi-sim", "title": "small", "neurons_per_core": entry(64)})
    path = write(tmp_path, "tiny", {"extends": "small.yaml", "input_axons_per_core": entry(8)})
    target = load_target(path)
    assert (target.name, target.title) == ("tiny", "small")
    assert (target.neurons_per_core, target.input_axons_per_core, target.output_axons_per_core) == (64, 8, 4096)
    assert target.facts["neurons_per_core"].source == "a test"


def test_unknown_target() -> None:
    with pytest.raises(
        InputError, match=r"^there is no target 'loihi9': choose one of .*loihi-sim.*, or give the path"
    ):
        load_target("loihi9")


def test_unknown_base(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^there is no target 'other.yaml': choose one of"):
        load_target(write(tmp_path, "a", {"extends": "other.yaml"}))


def test_unknown_key_is_named_with_file_and_allowed_keys(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons": entry(5)})
    with pytest.raises(
        InputError, match=r"a\.yaml has the unknown key 'neurons': allowed keys are title, extends, core"
    ):
        load_target(path)


def test_missing_keys_are_named_together(tmp_path: Path) -> None:
    content = bundled()
    del content["mesh"], content["word_bits"]
    with pytest.raises(InputError, match=r"a\.yaml lacks mesh, word_bits: add the keys, or take them over with"):
        load_target(write(tmp_path, "a", content))


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True, None, [1, 2]])
def test_a_limit_that_is_no_count(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": entry(value)})
    with pytest.raises(
        InputError, match=r"a\.yaml: value of neurons_per_core is .*, but must be a whole number above 0"
    ):
        load_target(path)


@pytest.mark.parametrize("value", [-1, True, "none", 0.0, None])
def test_a_delay_that_is_no_number_of_steps(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "synaptic_delay_max": entry(value)})
    with pytest.raises(
        InputError, match=r"value of synaptic_delay_max is .*, but must be a whole number of 0 or more$"
    ):
        load_target(path)


@pytest.mark.parametrize("value", [8, [], [0, 8], [8, 4], [8, 8], "8"])
def test_weight_widths_that_are_no_ascending_counts(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "weight_bits_offered": entry(value)})
    with pytest.raises(
        InputError, match=r"value of weight_bits_offered is .*, but must be ascending whole numbers above 0, as in"
    ):
        load_target(path)


def test_weight_widths_that_disagree_with_the_widest(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "weight_bits": entry(4)})
    with pytest.raises(
        InputError, match=r"the widest of weight_bits_offered is 8, but weight_bits is 4: make the two agree$"
    ):
        load_target(path)


@pytest.mark.parametrize("value", [4, [4], [4, 0], [1, 2, 3], "4x4"])
def test_a_mesh_that_is_no_pair(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "mesh": entry(value)})
    with pytest.raises(InputError, match=r"value of mesh is .*, but must be two whole numbers above 0"):
        load_target(path)


def test_a_mesh_that_disagrees_with_the_number_of_cores(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "mesh": entry([3, 2])})
    with pytest.raises(InputError, match=r"mesh has 3 x 2 = 6 cores, but cores_per_chip is 128: make the two agree"):
        load_target(path)


@pytest.mark.parametrize("limit", [1024, {"value": 1024}, {}, {**entry(1), "unit": "neurons"}])
def test_a_limit_without_provenance(tmp_path: Path, limit: object) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": limit})
    with pytest.raises(
        InputError, match=r"neurons_per_core has .*, but must have exactly the keys value, source, cert"
    ):
        load_target(path)


def test_an_unknown_certainty(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": entry(5, "guessed")})
    with pytest.raises(
        InputError, match=r"certainty of neurons_per_core is 'guessed', but must be one of published, d"
    ):
        load_target(path)


@pytest.mark.parametrize("content", [{"title": 5}, {"title": " "}, {"extends": 5}])
def test_a_text_that_is_none(tmp_path: Path, content: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"a\.yaml: (title|extends) is .*, but must be a text: quote it"):
        load_target(write(tmp_path, "a", content))


def test_an_empty_source(tmp_path: Path) -> None:
    limit = {"value": 5, "source": "", "certainty": "assumed"}
    path = write(tmp_path, "a", {"extends": "loihi-sim", "neurons_per_core": limit})
    with pytest.raises(InputError, match=r"a\.yaml: source of neurons_per_core is '', but must be a text"):
        load_target(path)


def test_inheritance_that_never_ends(tmp_path: Path) -> None:
    write(tmp_path, "b", {"extends": "a.yaml"})
    path = write(tmp_path, "a", {"extends": "b.yaml"})
    with pytest.raises(InputError, match=r"^a\.yaml extends b\.yaml extends a\.yaml, which never ends: remove one"):
        load_target(path)


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("title: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.yaml cannot be read as YAML \(.*line.*\): correct the file"):
        load_target(str(path))


def test_a_file_that_asks_for_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("title: !!python/object/apply:os.getcwd []", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        load_target(str(path))


def test_a_file_without_keys(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.yaml holds list, not keys and values: see hw_targets/loihi-sim\.yaml"):
        load_target(write(tmp_path, "a", ["title"]))
