"""Which channels may be removed, and which never are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import nn, rand

from neuroprune.compression.channels import ChannelGroup, Gather, channel_groups, count_channels, has_stream
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
    Shape,
)
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.model import FloatNeuron, IntegerRules, State

MAP = (4, 8, 8)


def chain(**ops: Op) -> Graph:
    """A graph of nodes in a row on frames of 4x8x8; all give maps of that shape but a Flatten and what follows it."""
    nodes = [Node("input", Input(), (), MAP)]
    shape: Shape = MAP
    for name, op in ops.items():
        shape = (256,) if isinstance(op, Flatten) else (4,) if isinstance(op, Linear) else shape
        nodes.append(Node(name, op, (nodes[-1].name,), shape))
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
FIRST: dict[str, Op] = {"conv1": CONV, "norm1": NORM, "fire1": FIRE}
SECOND: dict[str, Op] = {"conv2": CONV, "norm2": NORM, "fire2": FIRE}


def group(producers: str, reads: str, norms: str = "", neurons: str = "", bare: str = "", **rest: Any) -> ChannelGroup:
    """A group of four channels; the names in each are parted by blanks."""
    made = tuple(producers.split())
    return ChannelGroup(
        name=rest.pop("name", made[0] if made else ""),
        channels=rest.pop("channels", 4),
        producers=made,
        bare=tuple(bare.split()),
        norms=tuple(norms.split()),
        neurons=tuple(neurons.split()),
        consumers=tuple(reads.split()),
        **rest,
    )


ONE = group("conv1", "conv2", "norm1", "fire1")


def test_groups_reach_through_pools_and_flattening_to_the_next_synapse() -> None:
    graph = chain(
        conv1=CONV, norm1=NORM, before=POOL, fire1=FIRE, most=MOST, **SECOND, pool=POOL, flat=Flatten(), linear=LINEAR,
        fire3=FIRE,
    )  # fmt: skip
    assert channel_groups(graph) == (ONE, group("conv2", "linear", "norm2", "fire2"))


@pytest.mark.parametrize(
    "ops",
    [
        pytest.param(FIRST, id="the output of the network"),
        pytest.param({"conv1": GROUPED, "norm1": NORM, "fire1": FIRE, "conv2": CONV}, id="of a grouped convolution"),
        pytest.param({**FIRST, "conv2": GROUPED}, id="into a grouped convolution"),
        pytest.param({**FIRST, **DEPTHWISE}, id="depthwise as the output of the network"),
        pytest.param({**DEPTHWISE, "conv2": CONV}, id="a depthwise convolution of the frame"),
        pytest.param({"fire1": FIRE, "conv1": CONV}, id="the frame"),
        pytest.param({"conv1": CONV, "norm1": NORM, "conv2": CONV}, id="without neurons"),
        pytest.param(
            {"conv1": CONV, "norm1": NORM, "flat": Flatten(), "fire1": FIRE, "linear": LINEAR},
            id="fired after maps were flattened",
        ),
    ],
)
def test_channels_that_could_not_be_removed_exactly_are_left_alone(ops: dict[str, Op]) -> None:
    assert channel_groups(chain(**ops)) == channel_groups(chain(**ops), "coupled") == ()


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        pytest.param({"conv1": CONV, "fire1": FIRE}, group("conv1", "conv2", "", "fire1", bare="conv1"), id="no norm"),
        pytest.param(
            {"conv1": CONV, "pool": POOL, "norm1": NORM, "fire1": FIRE},
            group("conv1", "conv2", "norm1", "fire1", bare="conv1"),
            id="a pool before the norm",
        ),
        pytest.param(
            {"conv1": CONV, "norm1": NORM, "again": NORM, "fire1": FIRE},
            group("conv1", "conv2", "norm1 again", "fire1"),
            id="normalised twice",
        ),
        pytest.param({**FIRST, "again": NORM}, group("conv1", "conv2", "norm1 again", "fire1"), id="spikes normalised"),
        pytest.param(
            {"conv1": CONV, "conv1.scale": NORM, "fire1": FIRE},
            group("conv1", "conv2", "", "fire1", bare="conv1"),
            id="multiplied by a number",
        ),
        pytest.param(
            {**FIRST, "each": EACH, "fire_each": FIRE},
            group("conv1 each", "conv2", "norm1", "fire1 fire_each", bare="each"),
            id="a depthwise convolution without norm",
        ),
    ],
)
def test_every_layer_that_could_make_a_channel_active_again_is_named(
    between: dict[str, Op], expected: ChannelGroup
) -> None:
    graph = chain(**between, conv2=CONV)
    assert channel_groups(graph) == channel_groups(graph, "coupled") == (expected,)
    assert [norm for norm, _ in expected.scales] == list(expected.norms)


def test_a_branch_counts_every_reader_of_the_spikes() -> None:
    nodes = list(chain(**FIRST, conv2=CONV).nodes)
    both = Graph((*nodes, Node("conv3", CONV, ("fire1",), MAP)), steps=2)
    assert channel_groups(both) == (group("conv1", "conv2 conv3", "norm1", "fire1"),)
    beside_norm = Graph((*nodes, Node("conv3", CONV, ("conv1",), MAP)), steps=2)
    assert channel_groups(beside_norm) == (group("conv1", "conv2 conv3", "norm1", "fire1", bare="conv1"),)
    before_fire = Graph((*nodes[:4], Node("fire3", FIRE, ("norm1",), MAP), *nodes[4:]), steps=2)
    assert channel_groups(before_fire) == (group("conv1", "conv2", "norm1", "fire1 fire3"),)
    grouped = Graph((*nodes, Node("most", MOST, ("fire1",), MAP), Node("g", GROUPED, ("most",), MAP)), steps=2)
    assert channel_groups(grouped) == ()


def test_depthwise_layers_go_with_what_feeds_them() -> None:
    graph = chain(**FIRST, most=MOST, **DEPTHWISE, conv2=CONV)
    norms, neurons = "norm1 norm_each", "fire1 fire_each"
    assert channel_groups(graph) == (group("conv1 each", "conv2", norms, neurons),)
    beside = Graph((*graph.nodes, Node("conv3", CONV, ("fire1",), MAP)), steps=2)
    assert channel_groups(beside) == (group("conv1 each", "conv2 conv3", norms, neurons),)


@dataclass(frozen=True, eq=False)
class Restless(FloatNeuron):
    """It gains `drift` in every step, so it fires without input."""

    threshold: float
    drift: float

    def integrate(self, state: State, current: torch.Tensor, bias: torch.Tensor | float) -> State:
        return (state[0] + current + bias + self.drift,)

    def to_integers(self, scale: float, rules: IntegerRules) -> Any: ...


def test_neurons_that_fire_without_input_keep_their_channels() -> None:
    ops: dict[str, Op] = {"conv1": CONV, "norm1": NORM, "fire1": Restless(1.0, 0.5), "conv2": CONV}
    assert channel_groups(chain(**ops)) == ()
    assert channel_groups(chain(**ops | {"fire1": Restless(1.0, 0.4)})) == (ONE,), "it does not fire in two steps"


def block(*extra: Node) -> Graph:
    """conv1, norm1, fire1; then conv2, norm2, fire2, conv3, norm3 beside a shortcut; added up, fired, and read."""
    nodes = chain(**FIRST, **SECOND, conv3=CONV, norm3=NORM).nodes
    rest = (
        Node("sum", Add(), ("norm3", "fire1"), MAP),
        Node("fire3", FIRE, ("sum",), MAP),
        Node("conv4", CONV, ("fire3",), MAP),
    )
    return Graph((*nodes, *rest, *extra), steps=2)


INNER = group("conv2", "conv3", "norm2", "fire2")
STREAM = group("conv1 conv3", "conv2 conv4", "norm1 norm3", "fire1 fire3")


def test_with_gather_channels_of_a_residual_stream_stay_and_the_inner_ones_can_go() -> None:
    graph = block()
    assert channel_groups(graph) == (INNER,)
    assert count_channels(graph, (INNER,)) == (4, 16)
    assert has_stream(graph) and not has_stream(chain(**FIRST))


def test_with_coupled_all_layers_of_a_stream_are_one_group() -> None:
    graph = block()
    assert channel_groups(graph, "coupled") == (STREAM, INNER)
    assert count_channels(graph, (STREAM, INNER)) == (12, 16)


@pytest.mark.parametrize("residual", ["gather", "coupled"])
def test_what_is_concatenated_stays_whole(residual: Any) -> None:
    assert channel_groups(block(Node("both", Concat(), ("fire2", "fire3"), (8, 8, 8))), residual) == ()


def test_a_stream_that_reaches_the_frame_or_the_output_stays_whole() -> None:
    nodes = block().nodes
    assert channel_groups(Graph(nodes[:-1], steps=2), "coupled") == (INNER,)
    frame = tuple(Node("sum", Add(), ("norm3", "input"), MAP) if node.name == "sum" else node for node in nodes)
    assert [each.name for each in channel_groups(Graph(frame, steps=2), "coupled")] == ["conv1", "conv2"]


def test_an_addition_of_flattened_maps_to_features_of_its_own_couples_nothing() -> None:
    nodes = chain(**FIRST, flat=Flatten()).nodes
    features = Linear(np.ones((256, 256)), np.zeros(256))
    rest = (
        Node("linear", features, ("flat",), (256,)),
        Node("fire2", FIRE, ("linear",), (256,)),
        Node("sum", Add(), ("fire2", "flat"), (256,)),
        Node("classifier", LINEAR, ("sum",), (4,)),
    )
    assert channel_groups(Graph((*nodes, *rest), steps=2), "coupled") == ()


def test_additions_may_follow_each_other_in_any_order() -> None:
    """The two sums of blocks whose sources come late make one space of what began as three."""
    sides = tuple(
        node
        for name in "abc"
        for node in (Node(f"conv_{name}", CONV, ("input",), MAP), Node(f"fire_{name}", FIRE, (f"conv_{name}",), MAP))
    )
    rest = (
        Node("late", Add(), ("fire_c", "fire_b"), MAP),
        Node("all", Add(), ("late", "fire_a"), MAP),
        Node("conv", CONV, ("all",), MAP),
    )
    (found,) = channel_groups(Graph((Node("input", Input(), (), MAP), *sides, *rest), steps=2), "coupled")
    names = "conv_a conv_b conv_c"
    assert found == group(names, "conv", "", "fire_a fire_b fire_c", bare=names)


def gathering(*channels: int, also: tuple[Node, ...] = ()) -> Graph:
    """A channel selection of a norm's four channels, then neurons that a convolution reads."""
    width = len(channels)
    nodes = chain(conv1=CONV, norm1=NORM).nodes
    gather = (
        Node("select", Select(np.array(channels)), ("norm1",), (width, 8, 8)),
        Node("fire", FIRE, ("select",), (width, 8, 8)),
        Node("conv2", CONV, ("fire",), MAP),
    )
    return Graph((*nodes, *gather, *also), steps=2)


GATHERED = {"name": "select", "gathers": (Gather("select", "norm1", (0, 2, 3)),), "channels": 3}


@pytest.mark.parametrize("residual", ["gather", "coupled"])
def test_a_shortened_channel_selection_is_pruned_in_place_of_the_stream_it_reads(residual: Any) -> None:
    (found,) = channel_groups(gathering(0, 2, 3), residual)
    assert found == group("", "conv2", "", "fire", **GATHERED)
    assert found.scales == (("norm1", (0, 2, 3)),)
    also = Node("conv3", CONV, ("norm1",), MAP)
    assert channel_groups(gathering(0, 2, 3, also=(also,)), residual) == ()
    assert channel_groups(gathering(0, 2, 2), residual) == (), "the same channel twice"


def test_a_selection_of_all_channels_gathers_or_passes_them_on() -> None:
    graph = gathering(0, 1, 2, 3)
    (gathers,) = channel_groups(graph)
    assert (gathers.name, gathers.producers, gathers.selections) == ("select", (), ())
    (coupled,) = channel_groups(graph, "coupled")
    assert coupled == group("conv1", "conv2", "norm1", "fire", selections=("select",))
    assert count_channels(graph, (gathers,)) == (4, 12) and count_channels(graph, (coupled,)) == (8, 12)
    assert channel_groups(gathering(3, 2, 1, 0), "coupled")[0].gathers[0].channels == (3, 2, 1, 0)


@pytest.mark.parametrize("residual", ["gather", "coupled"])
def test_layers_that_are_used_twice_are_left_alone(residual: Any) -> None:
    nodes = chain(**FIRST, **SECOND, conv3=CONV).nodes
    once = Graph(nodes, steps=2)
    assert len(channel_groups(once, residual)) == 2
    again = Graph((*nodes, Node("conv2@2", CONV, ("fire2",), MAP)), steps=2)
    assert channel_groups(again, residual) == ()
    behind = Graph((*nodes, Node("norm2@2", NORM, ("conv3",), MAP)), steps=2)
    assert [each.name for each in channel_groups(behind, residual)] == ["conv1"]
    gathered = gathering(0, 2, 3, also=(Node("norm1@2", NORM, ("conv2",), MAP),))
    assert channel_groups(gathered, residual) == ()


@pytest.mark.parametrize("residual", ["gather", "coupled"])
def test_a_selection_that_is_used_twice_is_left_alone(residual: Any) -> None:
    again = (
        Node("conv3", CONV, ("fire",), MAP),
        Node("norm3", NORM, ("conv3",), MAP),
        Node("select@2", Select(np.arange(4)), ("norm3",), MAP),
        Node("fire3", FIRE, ("select@2",), MAP),
        Node("conv4", CONV, ("fire3",), MAP),
    )
    assert channel_groups(gathering(0, 1, 2, 3, also=again), residual) == ()


@pytest.mark.parametrize("mixing", [GROUPED, Select(np.array([1, 0, 3, 2]))], ids=["grouped", "permuted"])
def test_a_stream_that_is_added_to_itself_in_another_order_stays_whole(mixing: Op) -> None:
    rest = (
        Node("mixed", mixing, ("norm2",), MAP),
        Node("sum", Add(), ("mixed", "fire1"), MAP),
        Node("conv3", CONV, ("sum",), MAP),
    )
    nodes = chain(**FIRST, norm2=NORM).nodes
    assert channel_groups(Graph((*nodes, *rest), steps=2), "coupled") == ()


def test_a_convolution_that_reads_the_stream_it_feeds_counts_on_both_sides() -> None:
    rest = (
        Node("sum", Add(), ("norm2", "fire1"), MAP),
        Node("fire3", FIRE, ("sum",), MAP),
        Node("conv3", CONV, ("fire3",), MAP),
    )
    nodes = chain(**FIRST, conv2=CONV, norm2=NORM).nodes
    assert channel_groups(Graph((*nodes, *rest), steps=2), "coupled") == (
        group("conv1 conv2", "conv2 conv3", "norm1 norm2", "fire1 fire3"),
    )


def test_operations_of_one_name_are_not_one_layer() -> None:
    sums = (Node("sum@2", Add(), ("fire3", "fire1"), MAP), Node("conv5", CONV, ("sum@2",), MAP))
    (stream, _) = channel_groups(block(*sums), "coupled")
    assert stream.consumers == ("conv2", "conv4", "conv5")


def test_names_are_module_paths() -> None:
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)),
        neuron.IFNode(),
        nn.Flatten(),
        nn.Linear(144, 3),
        neuron.IFNode(),
    )
    assert channel_groups(trace(network, rand(1, 1, 8, 8))) == (group("0.0", "3", "0.1", "1"),)


@pytest.mark.parametrize(
    ("recipe", "gather", "coupled", "channels"),
    [("ms-resnet", 224, 672, 682), ("sew-resnet", 224, 672, 682), ("digits-conv", 192, 192, 202)],
)
def test_coupling_makes_all_channels_of_residual_recipes_prunable_but_the_classes(
    recipe: str, gather: int, coupled: int, channels: int
) -> None:
    shape = (1, 8, 8) if recipe == "digits-conv" else (1, 28, 28)
    graph = trace(build(load_recipe(recipe), shape, 10), rand(1, *shape))
    assert count_channels(graph, channel_groups(graph)) == (gather, channels)
    assert count_channels(graph, channel_groups(graph, "coupled")) == (coupled, channels)
