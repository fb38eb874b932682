"""A network that was trained elsewhere is kept as a training leaves one, or not at all."""

import pytest
import torch

from neuroprune.errors import InputError
from neuroprune.networks.build import build
from neuroprune.training.checkpoint import WeightsFacts, load_checkpoint, restore
from neuroprune.training.evaluate import predict
from neuroprune.training.imported import import_network
from neuroprune.training.settings import TrainSettings

SETTINGS = TrainSettings(epochs=3, batch=4, device="cpu")


@pytest.fixture
def weights(tmp_path, recipe, data):
    torch.save({"net": build(recipe, data.input_shape, len(data.classes), seed=4).state_dict()}, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_what_is_kept_is_what_was_measured(network, recipe, data, weights, tmp_path):
    result = import_network(network, weights, data, SETTINGS, tmp_path / "run", recipe)
    found = load_checkpoint(tmp_path / "run")
    predictions = predict(restore(found), data.test.images, found.data.coding)
    assert result.test_accuracy == found.weights.test_accuracy == (predictions == data.test.labels).mean()
    assert (found.weights.sha256, found.settings) == (result.weights.sha256, SETTINGS)
    assert result.module is network and not network.training


def test_a_network_that_has_its_weights_keeps_them(network, recipe, data, tmp_path):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    result = import_network(network, None, data, SETTINGS, tmp_path / "run", recipe)
    found = load_checkpoint(tmp_path / "run")
    assert result.weights is None
    assert found.weights == WeightsFacts(None, None, result.test_accuracy)
    assert all(torch.equal(before[name], tensor) for name, tensor in found.tensors.items())


def test_nothing_is_kept_without_a_folder(network, data, weights, tmp_path):
    import_network(network, weights, data)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]


def test_what_cannot_be_kept_is_said_before_any_work(network, recipe, data, weights, tmp_path):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match="a checkpoint must say how its network is built: pass model, a recipe or"):
        import_network(network, weights, data, folder=tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.json").write_text("{}")
    with pytest.raises(InputError, match="run already holds a checkpoint: choose another folder"):
        import_network(network, weights, data, folder=tmp_path / "run", model=recipe)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_network_of_other_classes_is_refused_and_nothing_kept(recipe, data, tmp_path):
    network = build(recipe, data.input_shape, 7)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"returns the shape \(2, 7\) for 2 samples, but data set bars needs \(2, 3\)"):
        import_network(network, tmp_path / "w.pth", data, folder=tmp_path / "run", model=recipe)
    assert not (tmp_path / "run").exists()
