"""Operations by the formula against counts from elsewhere."""

from math import prod

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import nn

from neuroprune.compression.cost import count_macs, count_macs_per_step, synapse_work
from neuroprune.graph.nodes import AvgPool, BatchNorm, Conv, Flatten, Graph, Input, Linear, Node
from neuroprune.graph.trace import trace
from neuroprune.neurons.cuba_lif import CubaLif

# Li et al., "Pruning Filters for Efficient ConvNets" (ICLR 2017), Table 1: operations of each convolution of VGG-16 at
# 32x32 in units of 1e6, rounded as printed; their total is 3.13e8.
VGG16_CONVOLUTIONS = (1.8, 38, 19, 38, 19, 38, 38, 19, 38, 38, 9.4, 9.4, 9.4)
VGG16_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(steps: int) -> Graph:
    """VGG-16 for 3x32x32 and 10 classes as a graph without numbers of its own."""
    nodes = [Node("input", Input(), (), (3, 32, 32))]

    def add(name: str, op: object, *shape: int) -> None:
        nodes.append(Node(name, op, (nodes[-1].name,), shape))  # type: ignore[arg-type]

    channels, size = 3, 32
    for stage, widths in enumerate(VGG16_WIDTHS):
        for number, width in enumerate(widths):
            name = f"{stage}.{number}"
            weight = np.broadcast_to(np.zeros(()), (width, channels, 3, 3))
            add(f"conv{name}", Conv(weight, np.zeros(width), padding=(1, 1)), width, size, size)
            add(f"norm{name}", BatchNorm(np.ones(width), np.zeros(width)), width, size, size)
            add(f"fire{name}", CubaLif(0.75, 1.0), width, size, size)
            channels = width
        size //= 2
        add(f"pool{stage}", AvgPool((2, 2), (2, 2)), channels, size, size)
    add("flatten", Flatten(), channels)
    add("classifier", Linear(np.zeros((10, channels)), np.zeros(10)), 10)
    add("output", CubaLif(0.75, 1.0), 10)
    return Graph(tuple(nodes), steps)


def test_vgg16_has_the_published_operations_in_every_layer() -> None:
    *convolutions, classifier = synapse_work(vgg16(steps=1))
    published = [float(f"{layer.macs / 1e6:.2g}") for layer in convolutions]
    assert published == list(VGG16_CONVOLUTIONS)
    assert sum(layer.macs for layer in convolutions) == 313_196_544
    assert classifier.macs == 5120


def test_the_stem_counts_once_and_the_rest_at_every_time_step() -> None:
    stem = 3 * 64 * 9 * 32 * 32
    rest = count_macs(synapse_work(vgg16(steps=1))) - stem
    assert count_macs(synapse_work(vgg16(steps=5))) == stem + 5 * rest


def test_the_stem_counts_at_every_time_step_of_a_sequence() -> None:
    frames = Node("input", Input(sequence=True), (), (3, 32, 32))
    graph = Graph((frames, *vgg16(steps=5).nodes[1:]), 5)
    assert count_macs(synapse_work(graph)) == 5 * count_macs(synapse_work(vgg16(steps=1)))


def test_one_step_counts_the_stem_and_the_rest_once() -> None:
    work = synapse_work(vgg16(steps=5))
    assert count_macs_per_step(work) == count_macs(synapse_work(vgg16(steps=1)))
    assert [layer.steps for layer in work] == [1] + [5] * 13


def test_macs_are_what_torch_multiplies(network: nn.Module, frames: torch.Tensor) -> None:
    """Against torch's own counter of operations, two for each multiply-accumulate, step by step."""
    from torch.utils.flop_counter import FlopCounterMode

    graph = trace(network, frames)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(frames[:1])
    counted = counter.get_total_flops() // 2
    stem, *rest = synapse_work(graph)
    runs_of_stem = (counted - sum(layer.macs for layer in rest)) / stem.macs
    assert runs_of_stem in (1, graph.steps)


def test_a_transposed_convolution_lays_its_kernel_at_each_input() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network = nn.Sequential(nn.ConvTranspose2d(2, 6, 3, 2, groups=2), neuron.IFNode(), nn.Flatten(), nn.Linear(486, 3))
    graph = trace(network.append(neuron.IFNode()), torch.zeros(1, 2, 4, 4))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 2, 4, 4))
    assert count_macs(synapse_work(graph)) == counter.get_total_flops() // 2


@pytest.mark.parametrize("steps", [1, 4])
def test_a_linear_first_layer_is_a_stem_too(steps: int) -> None:
    nodes = (
        Node("input", Input(), (), (1, 2, 2)),
        Node("flatten", Flatten(), ("input",), (4,)),
        Node("a", Linear(np.zeros((3, 4)), np.zeros(3)), ("flatten",), (3,)),
        Node("fire", CubaLif(0.0, 1.0), ("a",), (3,)),
        Node("b", Linear(np.zeros((2, 3)), np.zeros(2)), ("fire",), (2,)),
    )
    assert [layer.macs for layer in synapse_work(Graph(nodes, steps))] == [prod((3, 4)), prod((2, 3)) * steps]
