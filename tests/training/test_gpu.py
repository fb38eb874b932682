"""On a GPU, where there is one: training, its scores, its pruning and its resuming, as far as they are the CPU's.

Sums on a GPU are rounded in another order, and its backward pass need not repeat itself, so bits are compared nowhere.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from channel_pruning import small_network, stripes
from devices import DEVICES
from spikingjelly.activation_based import functional

from neuroprune.compression.catalog import methods_of
from neuroprune.compression.compress import compress, resume_compress
from neuroprune.compression.potentials import Recorder
from neuroprune.compression.scores.neurons import Criticality
from neuroprune.compression.settings import CompressSettings
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.runs import STATE
from neuroprune.training.checkpoint import facts_of, load_checkpoint, restore, save_checkpoint
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import train

SETTINGS = TrainSettings(epochs=4, batch=20, lr=0.02, l1=1e-4)
CASES = [(kind, method.name) for kind in ("structured", "unstructured") for method in methods_of(kind)]
pytestmark = pytest.mark.parametrize("device", DEVICES[1:])


@pytest.mark.parametrize("amp", [False, True])
def test_a_network_learns_and_its_checkpoint_is_read_without_a_gpu(device, amp, tmp_path, network, recipe, data):
    settings = replace(SETTINGS, epochs=8, device=device, amp=amp)
    history = train(network, data, settings, tmp_path / "run", recipe).history
    assert history[-1].loss < history[0].loss
    assert history[-1].test_accuracy > 0.9
    restored = restore(load_checkpoint(tmp_path / "run"))
    assert all(not tensor.is_cuda for tensor in restored.state_dict().values())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor.cpu(), restored.state_dict()[name]), name


def test_an_interrupted_training_goes_on_where_it_was(device, tmp_path, network, recipe, data):
    settings, calls = replace(SETTINGS, device=device), []

    def interrupt(*_: object, **__: object) -> None:
        calls.append(1)
        if len(calls) == 10:  # in the third epoch of four batches
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network, data, settings, tmp_path, recipe, progress=interrupt)
    before = load_checkpoint(tmp_path).history
    resumed = build(recipe, data.input_shape, 3, seed=99)
    found = train(resumed, data, settings, tmp_path, recipe, resume=True).history
    assert len(before) == 2 and found[:2] == before
    assert [record.epoch for record in found] == [1, 2, 3, 4]
    assert found[-1].loss < found[0].loss


def test_criticality_is_that_of_the_cpu(device):
    """A potential near the threshold may fire on one of them alone; with these weights and frames none does."""
    frames, found = torch.randn(16, 1, 4, 4, generator=torch.Generator().manual_seed(0)), {}
    for place in ("cpu", device):
        network = small_network().to(place).train()
        recorder = Recorder(network, trace(network, frames), ["fire1", "fire2"], Criticality())
        functional.reset_net(network)
        with torch.backends.cudnn.flags(allow_tf32=False), recorder.armed():
            network(frames.to(place)).sum().backward()
        found[place] = recorder.take()
    for name, expected in found["cpu"].items():
        assert expected.any()
        np.testing.assert_allclose(found[device][name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_method_meets_its_target_and_an_interrupted_one_goes_on(device, kind, method, tmp_path):
    data, settings = stripes(), replace(SETTINGS, epochs=2, device=device)
    recipe = parse_recipe(
        {
            "name": "r",
            "title": "t",
            "data": "stripes",
            "steps": 2,
            "layers": [{"conv": 24}, {"conv": 44}, {"linear": 12}],
        },
        "recipe",
    )
    dense, initial = (build(recipe, data.input_shape, len(data.classes), seed) for seed in (1, 2))
    save_checkpoint(tmp_path / "dense", dense, recipe, facts_of(data), settings, ())
    target = {"flops": 0.5} if kind == "structured" else {"sparsity": 0.8}
    chosen = CompressSettings(**target, method=method, fine_tune=settings)
    calls: list[int] = []

    def interrupt(*_: object, **__: object) -> None:
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt

    folder = tmp_path / "pruned"
    with pytest.raises(KeyboardInterrupt):
        compress(dense.eval(), data, chosen, interrupt, initial=initial, folder=folder, source=tmp_path / "dense")
    assert (folder / STATE).exists()
    checkpoint = load_checkpoint(folder)
    resume_compress(restore(checkpoint), data, folder, checkpoint, {"method": method}, {})
    (reached,) = json.loads((folder / "compress.json").read_text())["targets"]
    assert reached["reached"] == pytest.approx(reached["asked"], abs=0.02)
    assert not (folder / STATE).exists()
