"""Cost models are data like chips: figures with a source, or no figure; a wrong file is refused by one sentence."""

from pathlib import Path

import pytest
import yaml
from own_objects import NeuronsOnly

from neuroprune.bundled import hw_targets_folder
from neuroprune.chips.cost_model import CostModel, Sourced, list_cost_models, load_cost_model
from neuroprune.chips.load import list_chips, load_chip, units_of
from neuroprune.errors import InputError
from neuroprune.mapping.pace import time_model

DAVIES, SANAFE = "davies-2018", "sana-fe-2.2"


def bundled(name: str) -> CostModel:
    return load_cost_model(name, Path())


def changed(tmp_path: Path, **keys: object) -> Path:
    """davies-2018 with other keys; None leaves one out."""
    content = yaml.safe_load((hw_targets_folder() / "costs" / f"{DAVIES}.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    whole = {name: value for name, value in (content | keys).items() if value is not None}
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return path


def test_loihi_1_has_the_figures_of_its_paper() -> None:
    model = bundled(DAVIES)
    values = {name: figure.value for name, figure in model if isinstance(figure, Sourced)}
    assert values == {
        "tile": (2, 2),
        "synop_energy": 23.6,
        "active_neuron_energy": 81,
        "inactive_neuron_energy": 52,
        "message_energy": 1.7,
        "hop_energy_x": 3.0,
        "hop_energy_y": 4.0,
        "synop_time": 3.5,
        "active_neuron_time": 8.4,
        "inactive_neuron_time": 5.3,
        "hop_time_x": 4.1,
        "hop_time_y": 6.5,
        "link_time": pytest.approx(1 / 3.44, rel=1e-3),
        "barrier_time": {1: 113, 32: 465},
    }


def test_the_figures_of_sana_fe_are_those_of_its_file_where_it_is_installed() -> None:
    sanafe = pytest.importorskip("sanafe")
    file = Path(sanafe.__file__).parent / "examples" / "loihi.yaml"
    tile = yaml.safe_load(file.read_text(encoding="utf-8"))["architecture"]["tile"][0]
    core = tile["core"][0]
    units = {
        unit["name"]: unit["attributes"] for kind in ("axon_in", "soma", "synapse", "axon_out") for unit in core[kind]
    }
    lif, ways = units["loihi_lif"], {"dense": "dense", "sparse": "sparse", "shared": "conv"}
    model = bundled(SANAFE)
    for kind, factor in (("energy", 1e12), ("time", 1e9)):
        word = "latency" if kind == "time" else kind
        access, update = lif[f"{word}_access_neuron"], lif[f"{word}_update_neuron"]
        expected = {
            "active_neuron": access + update,
            "inactive_neuron": access,
            "spike": lif[f"{word}_spike_out"],
            "message" if kind == "energy" else "message_out": units["loihi_out"][f"{word}_message_out"],
        }
        if kind == "time":
            expected["message_in"] = units["loihi_in"]["latency_message_in"]
        else:
            assert units["loihi_in"]["energy_message_in"] == 0
            for axis, (one, other) in {"x": ("east", "west"), "y": ("north", "south")}.items():
                assert tile["attributes"][f"energy_{one}_hop"] == tile["attributes"][f"energy_{other}_hop"]
                expected[f"hop_{kind}_{axis}"] = tile["attributes"][f"energy_{one}_hop"]
                hop_time = getattr(model, f"hop_time_{axis}")
                assert hop_time.value == pytest.approx(tile["attributes"][f"latency_{one}_hop"] * 1e9)
        for name, value in expected.items():
            figure = getattr(model, name if name.startswith("hop") else f"{name}_{kind}")
            assert figure.value == pytest.approx(value * factor), name
        synop = getattr(model, f"synop_{kind}")
        for ours, theirs in ways.items():
            assert synop.of(ours) == pytest.approx(units[f"loihi_{theirs}_synapse"][f"{word}_process_spike"] * factor)
    steps = yaml.safe_load(file.read_text(encoding="utf-8"))["architecture"]["attributes"]["latency_sync"]
    assert model.barrier_time is not None
    for tiles in range(1, 40):
        at = max(known for known in steps if known <= tiles)
        assert model.barrier_time.of(tiles) == pytest.approx(float(steps[at]) * 1e9)


def test_no_energy_of_loihi_2_is_published_and_none_is_made_up() -> None:
    model = bundled("loihi-2-brief")
    assert not [name for name, figure in model if "energy" in name and figure is not None]
    assert "no energy is published for Loihi 2" in model.remarks
    assert bundled(DAVIES).synop_time is not None
    assert model.synop_time is not None
    assert model.synop_time.value == pytest.approx(3.5 / 5)


def test_the_barrier_lies_on_straight_lines_between_what_is_published_and_stays_beyond() -> None:
    barrier = bundled(DAVIES).barrier_time
    assert barrier is not None
    assert [barrier.of(tiles) for tiles in (1, 32, 64)] == [113, 465, 465]
    assert barrier.of(2) == pytest.approx(113 + 352 / 31)


def test_a_synop_costs_what_its_encoding_does_and_is_unknown_in_another() -> None:
    by_encoding, for_all = bundled(SANAFE).synop_energy, bundled(DAVIES).synop_energy
    assert by_encoding is not None
    assert for_all is not None
    assert [by_encoding.of(each) for each in ("dense", "shared", "runs")] == [35.5, 24.0, None]
    assert for_all.of("runs") == 23.6


def test_a_chip_names_its_models_and_those_that_extend_it_take_them_over(tmp_path: Path) -> None:
    assert [model.name for model in load_chip("loihi-sim-relay").costs] == [DAVIES, SANAFE]
    changed(tmp_path)
    (tmp_path / "own.yaml").write_text(f"extends: loihi-sim\ncosts: [mine.yaml, {DAVIES}]\n", encoding="utf-8")
    assert [model.name for model in load_chip(str(tmp_path / "own.yaml")).costs] == ["mine", DAVIES]
    (tmp_path / "none.yaml").write_text("extends: loihi-sim\ncosts: []\n", encoding="utf-8")
    assert load_chip(str(tmp_path / "none.yaml")).costs == ()


def test_models_are_not_listed_as_chips() -> None:
    assert set(list_cost_models()) == {DAVIES, SANAFE, "loihi-2-brief"}
    assert not set(list_chips()) & set(list_cost_models())


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"title": None}, "title: Field required"),
        ({"tile": None}, "tile: Field required"),
        ({"synaps_energy": {"value": 1}}, "synaps_energy: Extra inputs are not permitted"),
        ({"name": "other"}, "it has a name, but is called as its file is"),
        (
            {"link_time": {"value": -1, "unit": "ns", "source": "s", "grade": "assumed"}},
            "link_time.value: Input should be greater than or equal to 0",
        ),
        ({"link_time": {"value": 1, "unit": "ns", "source": "s"}}, "link_time.grade: Field required"),
        (
            {"link_time": {"value": 1, "unit": "pJ", "source": "s", "grade": "assumed"}},
            "the unit of link_time is 'pJ', but must be ns",
        ),
        (
            {"barrier_time": {"value": {}, "unit": "ns", "source": "s", "grade": "assumed"}},
            "barrier_time.value: Dictionary should have at least 1 item",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_one_sentence(keys: dict[str, object], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        load_cost_model("mine.yaml", changed(tmp_path, **keys).parent)
    message = str(refused.value)
    assert reason in message
    assert "mine.yaml" in message
    assert message.endswith("correct the file")
    assert "\n" not in message


def by_encoding(tmp_path: Path, of: str, value: dict[str, float], target: str = "loihi-sim") -> Path:
    """A chip whose one cost model has such a figure, and no time of neurons."""
    unit = "ns" if of == "synop_time" else "pJ"
    changed(
        tmp_path, active_neuron_time=None, **{of: {"value": value, "unit": unit, "source": "s", "grade": "assumed"}}
    )
    path = tmp_path / "own.yaml"
    path.write_text(f"extends: {target}\ncosts: [mine.yaml]\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("of", ["synop_time", "synop_energy"])
@pytest.mark.parametrize(
    ("target", "family", "ways"),
    [
        ("loihi-sim", "loihi", "dense, sparse, shared"),
        ("speck", "dynapcnn", "kernel, kernel behind pool 2, kernel behind pool 4"),
    ],
)
def test_a_figure_of_an_encoding_that_there_is_not_is_refused(
    of: str, target: str, family: str, ways: str, tmp_path: Path
) -> None:
    path = by_encoding(tmp_path, of, {"conv": 3.1}, target)
    with pytest.raises(InputError) as refused:
        load_chip(str(path))
    assert str(refused.value) == (
        f"{path}: {of} of cost model mine has a value for 'conv', but cores of family {family} store synapses as "
        f"{ways}: give it for these, or one value for all"
    )


def test_a_family_of_one_way_to_store_synapses_takes_one_value(tmp_path: Path) -> None:
    by_encoding(tmp_path, "synop_time", {"dense": 3.8})
    entry = {"unit": "neurons", "value": 100, "source": "s", "grade": "assumed"}
    base = yaml.safe_load((hw_targets_folder() / "loihi-sim.yaml").read_text(encoding="utf-8"))
    shared = {key: base[key] for key in units_of(NeuronsOnly) if key in base}
    path = tmp_path / "toy.yaml"
    own = {"title": "toy", "family": NeuronsOnly.name, "neurons_per_core": entry, "costs": ["mine.yaml"]}
    path.write_text(yaml.safe_dump(shared | own), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_chip(str(path), families=(NeuronsOnly,))
    assert str(refused.value) == (
        f"{path}: synop_time of cost model mine has a value for 'dense', but cores of family {NeuronsOnly.name} store "
        "synapses in one way: give it for these, or one value for all"
    )


def test_a_model_that_knows_some_encodings_alone_does_not_say_how_long_a_step_takes(tmp_path: Path) -> None:
    path = by_encoding(tmp_path, "synop_time", {"dense": 3.8, "sparse": 4.7})
    with pytest.raises(InputError, match="the time of a step is not known of own: its cost models are mine, and one"):
        time_model(load_chip(str(path)))
    by_encoding(tmp_path, "synop_time", {"dense": 3.8, "sparse": 4.7, "shared": 3.1})
    assert time_model(load_chip(str(path))).name == "mine"


def test_a_model_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("extends: loihi-sim\ncosts: [davies]\n", encoding="utf-8")
    expected = "no cost model 'davies': choose one of davies-2018, loihi-2-brief, sana-fe-2.2, or give the path"
    with pytest.raises(InputError, match=expected):
        load_chip(str(path))
    path.write_text("extends: loihi-sim\ncosts: davies-2018\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"own\.yaml: costs is 'davies-2018', but must be a list of cost models"):
        load_chip(str(path))
    (tmp_path / "list.yaml").write_text("[1, 2]\n", encoding="utf-8")
    with pytest.raises(InputError, match="it holds no keys and values"):
        load_cost_model("list.yaml", tmp_path)
