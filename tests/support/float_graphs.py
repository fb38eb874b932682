"""Folded float graphs made by hand: kinds of neurons and connections beyond plain chains."""

import numpy as np

from neuroprune.graph.nodes import Conv, Graph, Input, Linear, Neuron, Node, Readout
from neuroprune.graph.verify import verify_folded


def conv(rng: np.random.Generator, outputs: int, inputs: int, kernel: int = 3, gain: float = 2.0) -> Conv:
    weight = rng.normal(0.0, gain / (inputs * kernel**2) ** 0.5, (outputs, inputs, kernel, kernel))
    return Conv(weight, rng.normal(0.1, 0.1, outputs), padding=(kernel // 2, kernel // 2))


def dense(rng: np.random.Generator, outputs: int, inputs: int, gain: float = 2.0) -> Linear:
    return Linear(rng.normal(0.0, gain / inputs**0.5, (outputs, inputs)), rng.normal(0.1, 0.1, outputs))


def residual_graph(
    hidden: Neuron, output: Neuron | None = None, readout: Readout | None = None, sequence: bool = False, steps: int = 4
) -> Graph:
    """conv -> neurons "a" -> conv -> "b", which "a" reaches directly too -> dense -> "out"; input [2, 6, 6]."""
    rng = np.random.default_rng(0)
    shape = (4, 6, 6)
    nodes = (
        Node("input", Input(sequence), (), (2, 6, 6)),
        Node("conv1", conv(rng, 4, 2), ("input",), shape),
        Node("a", hidden, ("conv1",), shape),
        Node("conv2", conv(rng, 4, 4), ("a",), shape),
        Node("shortcut", conv(rng, 4, 4, 1), ("a",), shape),
        Node("b", hidden, ("conv2", "shortcut"), shape),
        Node("fc", dense(rng, 6, 144), ("b",), (6,)),
        Node("out", output or hidden, ("fc",), (6,)),
    )
    graph = Graph(nodes, steps, readout or Readout())
    verify_folded(graph)
    return graph


def frames_for(graph: Graph, samples: int = 16) -> np.ndarray:
    """float32 frames, or sequences of spikes where the graph reads those."""
    rng = np.random.default_rng(1)
    if graph.nodes[0].op.sequence:
        return (rng.random((samples, graph.steps, *graph.nodes[0].shape)) < 0.4).astype(np.float32)
    return rng.normal(0.0, 1.0, (samples, *graph.nodes[0].shape)).astype(np.float32)
