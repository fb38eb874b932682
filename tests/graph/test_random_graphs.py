"""Random graphs of everything linear between spikes fold to what they compute, node by node, in torch."""

from math import prod

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool,
    Node,
    Op,
    Select,
)
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.simulation.floats import run_float

STEPS, SAMPLES = 3, 5


class Growing:
    """A graph on its way up. Currents are kept apart, for only a 1x1 convolution may follow them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes = [Node("input", Input(), (), (int(self.rng.integers(1, 4)), 8, 8))]
        self.kind = {"input": "frame"}

    def grow(self, size: int) -> Graph:
        for _ in range(size):
            node = self.nodes[int(self.rng.integers(max(0, len(self.nodes) - 6), len(self.nodes)))]
            step = self.rng.choice(
                ["conv", "conv", "fire", "fire", "pool", "norm", "add", "add", "cat", "select", "most"]
            )
            getattr(self, str(step))(node)
        last = [node for node in self.nodes if self.kind[node.name] == "spikes"][-1:] or [self.fire(self.nodes[0])]
        parts = [self.append(Flatten(), [node], (prod(node.shape),)) for node in (last[0], self.nodes[0])]
        joined = self.append(Concat(), parts, (sum(part.shape[0] for part in parts),))
        linear = Linear(self.weights(12, joined.shape[0]), self.rng.normal(0, 0.3, 12))
        scaled = self.append(
            BatchNorm(self.rng.uniform(0.5, 2, 12), self.rng.normal(0, 0.3, 12)),
            [self.append(linear, [joined], (12,))],
            (12,),
        )
        picked = self.append(Select(self.rng.integers(0, 12, 9)), [scaled], (9,))
        self.append(CubaLif(0.25, 0.5), [picked], (9,))
        return Graph(tuple(self.nodes), STEPS)

    def append(self, op: Op, sources: list[Node], shape: tuple[int, ...], kind: str = "map") -> Node:
        node = Node(f"{type(op).__name__.lower()}{len(self.nodes)}", op, tuple(each.name for each in sources), shape)
        self.nodes.append(node)
        self.kind[node.name] = kind
        return node

    def weights(self, outputs: int, *inputs: int) -> np.ndarray:
        return self.rng.normal(0, 1.5 / prod(inputs) ** 0.5, (outputs, *inputs))

    def conv(self, node: Node) -> None:
        channels, height, width = node.shape
        groups = int(self.rng.choice([each for each in (1, 1, 2, channels) if channels % each == 0]))
        current = self.kind[node.name] == "current"
        kernel = (1, 1) if current else tuple(self.rng.integers(1, 4, 2).tolist())
        padding = (0, 0) if current else (kernel[0] // 2, kernel[1] // 2)
        stride, dilation = (
            ((2, 1), (1, 1)) if self.rng.random() < 0.2 else ((1, 1), (1, 2)[:: self.rng.choice([-1, 1])])
        )
        outputs = groups * int(self.rng.integers(1, 4))
        bias = self.rng.normal(0, 0.3, outputs)
        op = Conv(self.weights(outputs, channels // groups, *kernel), bias, stride, padding, dilation, groups)
        self.append(op, [node], self.shape(op, node), "current") if min(height, width) > 5 else None

    def shape(self, op: Op, node: Node) -> tuple[int, ...]:
        return tuple(linear(op, [torch.zeros(1, *node.shape, dtype=torch.float64)]).shape[1:])

    def fire(self, node: Node) -> Node:
        reset = "subtract" if self.rng.random() < 0.3 else "zero"
        gain = float(self.rng.choice([0.5, 1.0]))
        return self.append(
            CubaLif(float(self.rng.choice([0.0, 0.5])), 0.4, gain, 1.0, reset), [node], node.shape, "spikes"
        )

    def pool(self, node: Node) -> None:
        if node.shape[1] % 2 == 0 and node.shape[2] % 2 == 0:
            op = AvgPool((2, 2), (2, 2))
            self.append(op, [node], self.shape(op, node), "current" if self.kind[node.name] == "current" else "map")

    def most(self, node: Node) -> None:
        if self.kind[node.name] == "spikes":
            op = MaxPool((3, 2), (1, 1), (1, 1))
            self.append(op, [node], self.shape(op, node), "spikes")

    def norm(self, node: Node) -> None:
        current = self.kind[node.name] == "current"
        offset = self.rng.normal(0, 0.3, node.shape[0]) * current
        self.append(
            BatchNorm(self.rng.uniform(0.5, 2, node.shape[0]), offset),
            [node],
            node.shape,
            "current" if current else "map",
        )

    def add(self, node: Node) -> None:
        alike = [each for each in self.nodes if each.shape == node.shape]
        self.join(Add(), [node, alike[int(self.rng.integers(len(alike)))]], node.shape)

    def cat(self, node: Node) -> None:
        alike = [each for each in self.nodes if each.shape[1:] == node.shape[1:] and len(each.shape) == 3]
        other = alike[int(self.rng.integers(len(alike)))]
        if node.shape[0] + other.shape[0] < 12:
            self.join(Concat(), [node, other], (node.shape[0] + other.shape[0], *node.shape[1:]))

    def join(self, op: Op, sources: list[Node], shape: tuple[int, ...]) -> None:
        current = any(self.kind[each.name] == "current" for each in sources)
        self.append(op, sources, shape, "current" if current else "map")

    def select(self, node: Node) -> None:
        channels = self.rng.integers(0, node.shape[0], int(self.rng.integers(1, node.shape[0] + 1)))
        self.append(Select(channels), [node], (len(channels), *node.shape[1:]), self.kind[node.name])


def linear(op: Op, inputs: list[torch.Tensor]) -> torch.Tensor:
    """What a node without state computes, as torch does."""
    x = inputs[0]
    match op:
        case Conv():
            bias = torch.from_numpy(op.bias)
            return F.conv2d(x, torch.from_numpy(op.weight), bias, op.stride, op.padding, op.dilation, op.groups)
        case Linear():
            return F.linear(x, torch.from_numpy(op.weight), torch.from_numpy(op.bias))
        case BatchNorm():
            shape = (-1,) + (1,) * (x.ndim - 2)
            return x * torch.from_numpy(op.gain).reshape(shape) + torch.from_numpy(op.offset).reshape(shape)
        case AvgPool():
            return F.avg_pool2d(x, op.kernel, op.stride, op.padding)
        case MaxPool():
            return F.max_pool2d(x, op.kernel, op.stride, op.padding, op.dilation)
        case Flatten():
            return x.flatten(1)
        case Add():
            return sum(inputs)
        case Concat():
            return torch.cat(inputs, 1)
        case Select():
            return x[:, torch.from_numpy(op.channels)]
    raise AssertionError(op)


def run_by_node(graph: Graph, frames: torch.Tensor) -> tuple[torch.Tensor, dict[str, int]]:
    """Output spikes, and the spikes of each layer of neurons, step by step."""
    voltages: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}
    total = torch.zeros(())
    for _ in range(graph.steps):
        values = {"input": frames}
        for node in graph.nodes[1:]:
            inputs = [values[name] for name in node.inputs]
            if isinstance(node.op, CubaLif):
                h = voltages.get(node.name, torch.zeros(())) * (1 - node.op.decay) + node.op.gain * inputs[0]
                fired = h >= node.op.threshold
                after = h - node.op.threshold if node.op.reset == "subtract" else torch.zeros_like(h)
                voltages[node.name], values[node.name] = torch.where(fired, after, h), fired.double()
            else:
                values[node.name] = linear(node.op, inputs)
            if isinstance(node.op, CubaLif | MaxPool):
                counts[node.name] = counts.get(node.name, 0) + int(values[node.name].sum())
        total = total + values[graph.nodes[-1].name]
    return total, counts


@pytest.mark.parametrize("block", range(8))
def test_folded_graphs_fire_as_their_nodes_do(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        graph = Growing(seed).grow(14)
        frames = torch.randn(SAMPLES, *graph.nodes[0].shape, generator=torch.Generator().manual_seed(seed)).double()
        folded = fold(graph)
        run = run_float(folded, frames.numpy())
        total, counts = run_by_node(graph, frames)
        assert run.spikes == counts, seed
        np.testing.assert_array_equal(run.outputs, total.numpy(), err_msg=str(seed))
        names = [each.name for layer in folded.layers for each in (*layer.connections, layer)]
        assert len(set(names)) == len(names)
