"""Which channels may be removed, and which never are."""

import numpy as np
import pytest
from spikingjelly.activation_based import neuron
from torch import nn, rand

from neuroprune.compress.channels import ChannelGroup, channel_groups
from neuroprune.graph.nodes import AvgPool, BatchNorm, Conv, Flatten, Graph, Input, Linear, MaxPool, Neuron, Node, Op
from neuroprune.graph.trace import trace


def chain(**ops: Op) -> Graph:
    """A graph of nodes in a row on frames of 4x8x8; shapes are of no concern here except the channels of norms."""
    nodes = [Node("input", Input(), (), (4, 8, 8))]
    for name, op in ops.items():
        nodes.append(Node(name, op, (nodes[-1].name,), (4, 8, 8)))
    return Graph(tuple(nodes), steps=2)


CONV = Conv(np.ones((4, 4, 3, 3)), np.zeros(4), padding=(1, 1))
GROUPED = Conv(np.ones((4, 1, 3, 3)), np.zeros(4), padding=(1, 1), groups=4)
LINEAR = Linear(np.ones((4, 256)), np.zeros(4))
NORM = BatchNorm(np.ones(4), np.zeros(4))
FIRE = Neuron(0.5, 1.0)
POOL = AvgPool((2, 2), (2, 2))
MOST = MaxPool((2, 2), (2, 2))


def test_groups_reach_through_pools_and_flattening_to_the_next_synapse() -> None:
    graph = chain(
        conv1=CONV, norm1=NORM, before=POOL, fire1=FIRE, most=MOST, conv2=CONV, norm2=NORM, fire2=FIRE,
        pool=POOL, flat=Flatten(), linear=LINEAR, fire3=FIRE,
    )  # fmt: skip
    assert channel_groups(graph) == (
        ChannelGroup("conv1", "norm1", "fire1", ("conv2",), 4),
        ChannelGroup("conv2", "norm2", "fire2", ("linear",), 4),
    )


@pytest.mark.parametrize(
    "ops",
    [
        pytest.param({"conv1": CONV, "norm1": NORM, "fire1": FIRE}, id="the output of the network"),
        pytest.param({"conv1": CONV, "fire1": FIRE, "conv2": CONV, "fire2": FIRE}, id="without BatchNorm"),
        pytest.param({"conv1": GROUPED, "norm1": NORM, "fire1": FIRE, "conv2": CONV}, id="of a grouped convolution"),
        pytest.param({"conv1": CONV, "norm1": NORM, "fire1": FIRE, "conv2": GROUPED}, id="into a grouped convolution"),
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
    assert channel_groups(both) == (ChannelGroup("conv1", "norm1", "fire1", ("conv2", "conv3"), 4),)
    beside_norm = Graph((*nodes, Node("conv3", CONV, ("conv1",), (4, 8, 8))), steps=2)
    before_fire = Graph((*nodes, Node("fire3", FIRE, ("norm1",), (4, 8, 8))), steps=2)
    grouped = Graph(
        (*nodes, Node("most", MOST, ("fire1",), (4, 8, 8)), Node("g", GROUPED, ("most",), (4, 8, 8))), steps=2
    )
    assert channel_groups(beside_norm) == channel_groups(before_fire) == channel_groups(grouped) == ()


def test_names_are_module_paths() -> None:
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)),
        neuron.IFNode(),
        nn.Flatten(),
        nn.Linear(144, 3),
        neuron.IFNode(),
    )
    (group,) = channel_groups(trace(network, rand(1, 1, 8, 8)))
    assert group == ChannelGroup("0.0", "0.1", "1", ("3",), 4)
