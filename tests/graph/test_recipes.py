"""Networks of every kind of layer that recipes offer fold to what they compute, spike for spike."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from sample_networks import stir
from spikingjelly.activation_based import base

from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.simulation.floats import run_float, run_module


def checked(layers: list[dict[str, Any]], sequence: bool = False, **options: Any) -> Graph:
    """The folded network, once it is sure that each layer fires as in SpikingJelly and the scores are equal."""
    options = {"steps": 3, "neuron": {"kind": "lif", "tau": 2.0, "v_threshold": 0.2}} | options
    recipe = parse_recipe({"name": "test", "title": "test", "data": "digits", "layers": layers, **options}, "test")
    network = stir(build(recipe, (2, 12, 12), 3))
    size = (8, 3, 2, 12, 12) if sequence else (8, 2, 12, 12)
    frames = torch.randn(size, generator=torch.Generator().manual_seed(1), dtype=torch.float64).mul(2).numpy()
    graph = fold(trace(network, torch.from_numpy(frames)))
    run = run_float(graph, frames)
    counted: Counter[str] = Counter()
    for path, module in network.named_modules():
        if path in run.spikes and isinstance(module, base.MemoryModule):
            module.register_forward_hook(lambda _, __, fired, path=path: counted.update({path: int(fired.sum())}))
    scores = run.outputs.reshape(8, -1, graph.readout.votes).mean(-1) / graph.steps
    assert len(np.unique(scores)) > 1
    np.testing.assert_allclose(scores, run_module(network, frames), rtol=0, atol=1e-6)
    assert {path: run.spikes[path] for path in counted} == counted
    assert min(counted.values()) > 0
    return graph


@pytest.mark.parametrize("readout", ["spikes", "voltage"])
@pytest.mark.parametrize("kind", ["td", "sew", "ms", "preact"])
def test_residual_blocks(kind: str, readout: str) -> None:
    blocks = [{"block": kind, "channels": 4, "repeat": 2}, {"block": kind, "channels": 6, "repeat": 2, "stride": 2}]
    graph = checked([{"conv": 4}, *blocks, {"pool": "global"}, {"linear": 8}], readout=readout)
    assert max(len(layer.connections) for layer in graph.layers) >= 2
    assert graph.readout.of == readout


def test_depthwise_layers_pooling_votes_and_every_neuron() -> None:
    layers = [
        {"conv": 4, "kernel": [3, 5], "stride": [1, 2]},
        {"depthwise": 3},
        {"conv": 6, "kernel": 1},
        {"pool": "max", "size": [2, 1]},
        {"conv": 6, "padding": [0, 1]},
        {"dropout": 0.5},
        {"pool": "average", "size": [1, 2]},
        {"linear": 16},
    ]
    for kind in ("lif", "plif", "if"):
        for reset in ("zero", "subtract"):
            neuron = {"kind": kind, "v_threshold": 0.2, "reset": reset} | ({} if kind == "if" else {"tau": 2.0})
            assert checked(layers, neuron=neuron, votes=4).readout.votes == 4


def test_sequences() -> None:
    graph = checked([{"conv": 4, "stride": 2}, {"block": "ms", "channels": 4}, {"pool": "average"}], sequence=True)
    assert graph.steps == 3
