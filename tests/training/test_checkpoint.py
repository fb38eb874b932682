"""Checkpoints: what is saved comes back, nothing in them runs, and broken ones are refused in a sentence."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from neuroprune.data.types import Coding, make_dataset
from neuroprune.errors import InputError
from neuroprune.networks.build import build, load_network
from neuroprune.training.checkpoint import (
    WeightsFacts,
    facts_of,
    initial_module,
    load_checkpoint,
    restore,
    save_checkpoint,
)
from neuroprune.training.history import EpochRecord
from neuroprune.training.settings import TrainSettings

HISTORY = (EpochRecord(1, 1.5, 0.4, 0.5, 0.001, 2.0), EpochRecord(2, 1.0, 0.6, 0.7, 0.0005, 2.5))
SETTINGS = TrainSettings(epochs=2, seed=9, milestones=(1,))


@pytest.fixture
def folder(tmp_path, network, recipe, data) -> Path:
    save_checkpoint(tmp_path / "run", network, recipe, facts_of(data), SETTINGS, HISTORY)
    return tmp_path / "run"


def edit(folder: Path, **changes: object) -> None:
    path = folder / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_everything_comes_back(folder, network, recipe, data):
    found = load_checkpoint(folder)
    assert (found.model, found.data, found.settings, found.history) == (recipe, facts_of(data), SETTINGS, HISTORY)
    assert found.seed == 9
    assert found.widths == {"stem.conv1": 4, "body.conv2": 6, "body.classifier": 3}
    assert set(found.versions) == {"neuroprune", "python", "torch", "spikingjelly"}
    restored = restore(found)
    assert not restored.training
    assert all(torch.equal(tensor, restored.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_how_coded_images_were_shown_comes_back(tmp_path, network, recipe, data):
    coded = make_dataset("bars", data.train, data.test, data.classes, coding="poisson", steps=3)
    save_checkpoint(tmp_path, network, recipe, facts_of(coded), SETTINGS, ())
    assert load_checkpoint(tmp_path).data.coding == Coding((0.0,), (255.0,), "poisson", 3)


def test_a_checkpoint_of_version_1_is_of_frames_shown_as_they_are(folder, data):
    facts = {"name": "bars", "mean": [7.5], "std": [3.25], "input_shape": [1, 6, 6], "classes": ["a", "b", "c"]}
    edit(folder, schema_version=1, data=facts)
    found = load_checkpoint(folder)
    assert found.data.coding == Coding((7.5,), (3.25,), "direct", None)
    restore(found)


def test_a_checkpoint_of_version_2_is_of_epochs_without_validation(folder):
    document = json.loads((folder / "checkpoint.json").read_text())
    settings = {name: value for name, value in document["settings"].items() if name not in ("validation", "loss")}
    history = [
        {name: value for name, value in each.items() if name != "validation_accuracy"} for each in document["history"]
    ]
    edit(folder, schema_version=2, settings=settings, history=history)
    found = load_checkpoint(folder)
    assert (found.settings, found.history) == (SETTINGS, HISTORY)
    assert [record.watched for record in found.history] == [("test", 0.5), ("test", 0.7)]
    restore(found)


def test_epochs_with_validation_come_back(tmp_path, network, recipe, data):
    history = (EpochRecord(1, 1.5, 0.4, None, 0.001, 2.0, 0.5), EpochRecord(2, 1.0, 0.6, 0.7, 0.0005, 2.5, 0.6))
    save_checkpoint(tmp_path, network, recipe, facts_of(data), replace(SETTINGS, validation=0.2), history)
    found = load_checkpoint(tmp_path)
    assert (found.history, found.settings.validation) == (history, 0.2)
    assert [record.watched for record in found.history] == [("validation", 0.5), ("validation", 0.6)]


def test_a_file_of_the_folder_names_it_too(folder):
    assert load_checkpoint(folder / "checkpoint.safetensors").history == HISTORY


def test_metrics_are_one_json_object_a_line(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [asdict(record) for record in HISTORY]


def test_a_class_is_run_only_when_it_is_named_again(tmp_path, data):
    file = tmp_path / "mine.py"
    marker = tmp_path / "was_run"
    file.write_text(
        f"from pathlib import Path\nfrom torch import nn\nPath({str(marker)!r}).touch()\n"
        "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(2, 3)\n"
    )
    reference = f"{file}:Net"
    save_checkpoint(tmp_path / "run", torch.nn.Linear(2, 3), reference, facts_of(data), SETTINGS, ())
    found = load_checkpoint(tmp_path / "run")
    with pytest.raises(
        InputError, match=f"of the class {reference}, whose code is not run unless you name it: add --mo"
    ):
        restore(found)
    assert not marker.exists()
    assert torch.equal(restore(found, model=reference).weight, found.tensors["weight"])


@pytest.fixture
def own(tmp_path) -> str:
    """A class whose weights are drawn when it is made."""
    (tmp_path / "drawn.py").write_text(
        "from torch import nn\nclass Net(nn.Linear):\n    def __init__(self):\n        super().__init__(2, 3)\n"
    )
    return f"{tmp_path / 'drawn.py'}:Net"


def test_the_network_that_a_training_began_with_is_built_from_its_seed(folder, network, recipe, data):
    torch.manual_seed(5)
    made = initial_module(load_checkpoint(folder)).state_dict()
    expected = build(recipe, data.input_shape, 3, seed=SETTINGS.seed).state_dict()
    assert made.keys() == expected.keys() and all(torch.equal(made[name], expected[name]) for name in made)
    assert not torch.equal(made["stem.conv1.weight"], network.state_dict()["stem.conv1.weight"])


def test_a_class_is_made_anew_from_the_seed_and_only_when_it_is_named_again(tmp_path, data, own):
    save_checkpoint(tmp_path / "run", torch.nn.Linear(2, 3), own, facts_of(data), SETTINGS, ())
    found = load_checkpoint(tmp_path / "run")
    with pytest.raises(InputError, match=f"of the class {own}, whose code is not run unless you name it: add --model"):
        initial_module(found)
    before = torch.get_rng_state()
    made = initial_module(found, model=own)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(SETTINGS.seed)
    assert torch.equal(made.weight, load_network(own).weight)


def test_a_slimmed_network_has_no_beginning_of_its_own(tmp_path, recipe, data):
    slim = build(recipe, data.input_shape, 3)
    slim.stem.conv1 = torch.nn.Conv2d(1, 3, 3)
    save_checkpoint(tmp_path, slim, recipe, facts_of(data), SETTINGS, ())
    sentence = (
        r"layer stem\.conv1 of this checkpoint has 3 of the 4 channels that it began with, so it is of a pruned network"
        ": name the training that was pruned"
    )
    with pytest.raises(InputError, match=sentence):
        initial_module(load_checkpoint(tmp_path))


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"gone holds no checkpoint\.json, so no checkpoint: name the folder of a fini"
    ):
        load_checkpoint(tmp_path / "gone")


def test_missing_tensors_are_named(folder):
    (folder / "checkpoint.safetensors").unlink()
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is missing, which holds the tensors"):
        load_checkpoint(folder)


def test_truncated_tensors_are_refused(folder):
    path = folder / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is not a whole safetensors file"):
        load_checkpoint(folder)


def test_a_truncated_description_is_refused(folder):
    path = folder / "checkpoint.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(InputError, match=r"checkpoint\.json is not whole JSON \(.*\): restore it or train again"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"schema_version": 4},
            r"checkpoint\.json has schema version 4, but neuroprune .* reads versions 1 to 3: use the neuro",
        ),
        (
            {"extra": 1},
            r"is not the description of a checkpoint \(extra: Extra inputs are not permitted\): restore",
        ),
        ({"model": {"pickle": "x"}}, r"is not the description of a checkpoint \(model\."),
        ({"data": {"name": "bars"}}, r"is not the description of a checkpoint \(data\.coding: Field required\)"),
        ({"schema_version": 1, "data": {"std": [1.0]}}, r"a checkpoint \(data\.(name|coding\.mean): Field required\)"),
        ({"schema_version": 1, "data": 5}, r"is not the description of a checkpoint \(data: "),
        ({"model": {}}, r"is not the description of a checkpoint \(model"),
        (
            {"history": [{**asdict(HISTORY[0]), "test_accuracy": None}]},
            r"a checkpoint \(history\.0: Value error, epoch 1 has neither a test nor a validation accuracy\)",
        ),
        ({"history": [{"epoch": 1}]}, r"is not the description of a checkpoint \(history\.0\.loss: Field required\)"),
    ],
)
def test_a_description_of_something_else_is_refused(folder, changes, sentence):
    edit(folder, **changes)
    with pytest.raises(InputError, match=sentence):
        load_checkpoint(folder)


def test_files_of_two_checkpoints_are_not_mixed(folder):
    edit(folder, widths={"stem.conv1": 4, "body.conv2": 5, "body.classifier": 3})
    with pytest.raises(
        InputError, match=r"gives layer body\.conv2 the width 5, but checkpoint\.safetensors has 6 there: "
    ):
        restore(load_checkpoint(folder))


def test_a_list_is_no_description(folder):
    (folder / "checkpoint.json").write_text("[]")
    with pytest.raises(InputError, match="has schema version None, but"):
        load_checkpoint(folder)


def test_nan_weights_are_refused_by_name(tmp_path, network, recipe, data):
    with torch.no_grad():
        network.body.conv2.weight[0, 0, 0, 0] = torch.nan
    save_checkpoint(tmp_path, network, recipe, facts_of(data), SETTINGS, ())
    with pytest.raises(
        InputError, match=r"tensor body\.conv2\.weight of the checkpoint holds 1 values that are not fin"
    ):
        restore(load_checkpoint(tmp_path))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input_shape": [1, 0, 6]}, r"its data has frames of \(1, 0, 6\) and 3 classes"),
        ({"classes": []}, r"its data has frames of \(1, 6, 6\) and 0 classes"),
        (
            {"coding": {"mean": [1.0, 2.0], "std": [1.0]}},
            "its coding needs a mean and a deviation above 0 for each of 1",
        ),
        ({"coding": {"mean": [1.0], "std": [0.0]}}, "its coding needs a mean and a deviation above 0 for each of 1"),
    ],
)
def test_facts_of_data_that_there_cannot_be_are_refused(folder, changes, reason):
    facts = json.loads((folder / "checkpoint.json").read_text())["data"]
    edit(folder, data={**facts, **changes})
    with pytest.raises(InputError, match=rf"is not the description of a checkpoint \(Value error, {reason}"):
        load_checkpoint(folder)


def test_a_form_that_there_cannot_be_is_refused(folder):
    for form, reason in (
        ({"takes": "steps", "steps": 0}, r"\(Value error, its network is shown each image 0 times\)"),
        (
            {"takes": "anything"},
            "Input should be 'frames', 'sequences', 'batch-first sequences', 'time-last sequences' or 'steps'",
        ),
    ):
        edit(folder, form=form)
        with pytest.raises(InputError, match=f"is not the description of a checkpoint .*{reason}"):
            load_checkpoint(folder)


def widened(folder: Path, **layer: object) -> None:
    model = json.loads((folder / "checkpoint.json").read_text())["model"]
    model["recipe"]["layers"][0] |= layer
    edit(folder, model=model)


def test_widths_that_a_file_states_take_no_memory(folder, network):
    """A network of 4 GB, whose tensors are those of a small one: as slimmed networks are kept."""
    widened(folder, conv=15_000_000)
    restored = restore(load_checkpoint(folder))
    assert restored.stem.conv1.weight.shape == network.stem.conv1.weight.shape
    with pytest.raises(InputError, match="has 4 of the 15000000 channels that it began with"):
        initial_module(load_checkpoint(folder))
    assert all(not tensor.is_meta for tensor in restored.state_dict().values())


@pytest.mark.parametrize("conv", [10**12, 2**62])
def test_a_network_of_terabytes_is_refused(folder, conv):
    widened(folder, conv=conv)
    with pytest.raises(
        InputError, match=r"network of recipe tiny (has \d+ parameters, and at most|is not one that can)"
    ):
        restore(load_checkpoint(folder))


def test_a_choice_that_there_is_not_is_quoted_as_far_as_a_sentence_has_room(folder):
    settings = json.loads((folder / "checkpoint.json").read_text())["settings"]
    edit(folder, settings={**settings, "schedule": "x" * 5000})
    with pytest.raises(InputError, match=r"^there is no schedule 'x+\.\.\.x+': choose one of cosine, step$"):
        load_checkpoint(folder)


def test_the_weights_that_a_network_began_with_come_back(tmp_path, network, recipe, data):
    weights = WeightsFacts("best.pth", "ab" * 32, 0.75)
    save_checkpoint(tmp_path, network, recipe, facts_of(data), SETTINGS, (), weights)
    found = load_checkpoint(tmp_path)
    assert (found.weights, found.history) == (weights, ())
    assert (tmp_path / "metrics.jsonl").read_text() == ""
    restore(found)
    with pytest.raises(
        InputError, match=r"this network began with the weights of best\.pth, and what their own training"
    ):
        initial_module(found)


def test_a_checkpoint_from_before_there_were_weights_is_of_a_training_from_the_start(folder):
    document = json.loads((folder / "checkpoint.json").read_text())
    del document["weights"]
    (folder / "checkpoint.json").write_text(json.dumps(document))
    assert load_checkpoint(folder).weights is None
