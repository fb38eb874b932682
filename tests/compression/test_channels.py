"""Which channels may be removed, and which never are."""

import numpy as np
import pytest
from spikingjelly.activation_based import neuron
from torch import nn, rand

from neuroprune.compression.channels import ChannelGroup, Stage, channel_groups, count_channels
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
from neuroprune.graph.trace import trace
from neuroprune.neurons.cuba_lif import CubaLif


def chain(**ops: Op) -> Graph:
    """A graph of nodes in a row on frames of 4x8x8; shapes are of no concern here except the channels of norms."""
    nodes = [Node("input", Input(), (), (4, 8, 8))]
    for name, op in ops.items():
        nodes.append(Node(name, op, (nodes[-1].name,), (4, 8, 8)))
    return Graph(tuple(nodes), steps=2)


CONV = Conv(np.ones((4, 4, 3, 3)), np.zeros(4), padding=(1, 1))
GROUPED = Conv(np.ones((4, 2, 3, 3)), np.zeros(4), padding=(1, 1), groups=2)
EACH = Conv(np.ones((4, 1, 3, 3)), np.zeros(4), padding=(1, 1), groups=4)
LINEAR = Linear(np.ones((4, 256)), np.zeros(4))
NORM = BatchNorm(np.ones(4), np.zeros(4))
FIRE = CubaLif(0.5, 1.0)
POOL = AvgPool((2, 2), (2, 2))
MOST = MaxPool((2, 2), (2, 2))
DEPTHWISE: dict[str, Op] = {"each": EACH, "norm_each": NORM, "fire_each": FIRE}
UNNORMED: dict[str, Op] = {"each": EACH, "fire_each": FIRE}


def group(*stages: Stage, reads: tuple[str, ...], channels: int = 4) -> ChannelGroup:
    return ChannelGroup(stages, reads, channels)


def test_groups_reach_through_pools_and_flattening_to_the_next_synapse() -> None:
    graph = chain(
        conv1=CONV, norm1=NORM, before=POOL, fire1=FIRE, most=MOST, conv2=CONV, norm2=NORM, fire2=FIRE,
        pool=POOL, flat=Flatten(), linear=LINEAR, fire3=FIRE,
    )  # fmt: skip
    assert channel_groups(graph) == (
        group(Stage("conv1", "norm1", "fire1"), reads=("conv2",)),
        group(Stage("conv2", "norm2", "fire2"), reads=("linear",)),
    )


@pytest.mark.parametrize(
    "ops",
    [
        pytest.param({"conv1": CONV, "norm1": NORM, "fire1": FIRE}, id="the output of the network"),
        pytest.param({"conv1": CONV, "fire1": FIRE, "conv2": CONV, "fire2": FIRE}, id="without BatchNorm"),
        pytest.param({"conv1": GROUPED, "norm1": NORM, "fire1": FIRE, "conv2": CONV}, id="of a grouped convolution"),
        pytest.param({"conv1": CONV, "norm1": NORM, "fire1": FIRE, "conv2": GROUPED}, id="into a grouped convolution"),
        pytest.param({"conv1": CONV, "norm1": NORM, "fire1": FIRE, **UNNORMED, "conv2": CONV}, id="bare depthwise"),
        pytest.param(
            {"conv1": CONV, "norm1": NORM, "fire1": FIRE, **DEPTHWISE}, id="depthwise as the output of the network"
        ),
        pytest.param({**DEPTHWISE, "conv2": CONV}, id="a depthwise convolution of the frame"),
        pytest.param(
            {"conv1": CONV, "norm1": NORM, "again": NORM, "fire1": FIRE, "conv2": CONV}, id="normalised twice"
        ),
        pytest.param(
            {"conv1": CONV, "norm1": NORM, "fire1": FIRE, "again": NORM, "conv2": CONV}, id="spikes normalised"
        ),
    ],
)
def test_channels_that_could_not_be_removed_exactly_are_left_alone(ops: dict[str, Op]) -> None:
    assert channel_groups(chain(**ops)) == ()


def test_a_branch_counts_every_reader_of_the_spikes() -> None:
    nodes = list(chain(conv1=CONV, norm1=NORM, fire1=FIRE, conv2=CONV).nodes)
    both = Graph((*nodes, Node("conv3", CONV, ("fire1",), (4, 8, 8))), steps=2)
    assert channel_groups(both) == (group(Stage("conv1", "norm1", "fire1"), reads=("conv2", "conv3")),)
    beside_norm = Graph((*nodes, Node("conv3", CONV, ("conv1",), (4, 8, 8))), steps=2)
    before_fire = Graph((*nodes, Node("fire3", FIRE, ("norm1",), (4, 8, 8))), steps=2)
    grouped = Graph(
        (*nodes, Node("most", MOST, ("fire1",), (4, 8, 8)), Node("g", GROUPED, ("most",), (4, 8, 8))), steps=2
    )
    assert channel_groups(beside_norm) == channel_groups(before_fire) == channel_groups(grouped) == ()


def test_depthwise_layers_go_with_what_feeds_them() -> None:
    graph = chain(conv1=CONV, norm1=NORM, fire1=FIRE, most=MOST, **DEPTHWISE, conv2=CONV)
    stages = (Stage("conv1", "norm1", "fire1"), Stage("each", "norm_each", "fire_each"))
    assert channel_groups(graph) == (group(*stages, reads=("conv2",)),)
    beside = Graph((*graph.nodes, Node("conv3", CONV, ("fire1",), (4, 8, 8))), steps=2)
    assert channel_groups(beside) == (group(*stages, reads=("conv3", "conv2")),) or channel_groups(beside) == (
        group(*stages, reads=("conv2", "conv3")),
    )
    twice = Graph((*graph.nodes, Node("conv3", CONV, ("norm_each",), (4, 8, 8))), steps=2)
    assert channel_groups(twice) == ()


def block(*extra: Node) -> Graph:
    """conv1, norm1, fire1; then conv2, norm2, fire2, conv3, norm3 beside a shortcut; added up, fired, and read."""
    nodes = chain(conv1=CONV, norm1=NORM, fire1=FIRE, conv2=CONV, norm2=NORM, fire2=FIRE, conv3=CONV, norm3=NORM).nodes
    rest = (
        Node("sum", Add(), ("norm3", "fire1"), (4, 8, 8)),
        Node("fire3", FIRE, ("sum",), (4, 8, 8)),
        Node("conv4", CONV, ("fire3",), (4, 8, 8)),
    )
    return Graph((*nodes, *rest, *extra), steps=2)


def test_channels_of_a_residual_stream_stay_and_the_inner_ones_can_go() -> None:
    inner = group(Stage("conv2", "norm2", "fire2"), reads=("conv3",))
    graph = block()
    assert channel_groups(graph) == (inner,)
    assert count_channels(graph, (inner,)) == (4, 16)
    joined = block(Node("both", Concat(), ("fire2", "fire3"), (8, 8, 8)))
    assert channel_groups(joined) == ()


def test_a_channel_selection_is_pruned_in_place_of_the_stream_it_reads() -> None:
    chosen = Select(np.array([0, 2, 3]))
    nodes = chain(conv1=CONV, norm1=NORM).nodes
    gather = (
        Node("select", chosen, ("norm1",), (3, 8, 8)),
        Node("fire", FIRE, ("select",), (3, 8, 8)),
        Node("conv2", CONV, ("fire",), (4, 8, 8)),
    )
    graph = Graph((*nodes, *gather), steps=2)
    assert channel_groups(graph) == (
        group(Stage("select", "norm1", "fire", gathers=(0, 2, 3)), reads=("conv2",), channels=3),
    )
    also = Node("conv3", CONV, ("norm1",), (4, 8, 8))
    assert channel_groups(Graph((*nodes, *gather, also), steps=2)) == ()


def test_layers_that_are_used_twice_are_left_alone() -> None:
    nodes = chain(conv1=CONV, norm1=NORM, fire1=FIRE, conv2=CONV, norm2=NORM, fire2=FIRE, conv3=CONV).nodes
    once = Graph(nodes, steps=2)
    assert len(channel_groups(once)) == 2
    again = Graph((*nodes, Node("conv2@2", CONV, ("fire2",), (4, 8, 8))), steps=2)
    assert channel_groups(again) == ()
    behind = Graph((*nodes, Node("norm2@2", NORM, ("conv3",), (4, 8, 8))), steps=2)
    assert [each.name for each in channel_groups(behind)] == ["conv1"]


def test_names_are_module_paths() -> None:
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)),
        neuron.IFNode(),
        nn.Flatten(),
        nn.Linear(144, 3),
        neuron.IFNode(),
    )
    assert channel_groups(trace(network, rand(1, 1, 8, 8))) == (group(Stage("0.0", "0.1", "1"), reads=("3",)),)
