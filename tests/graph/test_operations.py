"""Whatever form the code between layers takes, the same program is read from it."""

from collections.abc import Callable

import pytest
import torch
from spikingjelly.activation_based import base, functional, layer, neuron
from torch import nn
from torch.nn import functional as F

from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import BatchNorm, Graph, Input, Select
from neuroprune.graph.trace import trace
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.simulation.floats import run_float, run_module

Code = Callable[["Parts", torch.Tensor], torch.Tensor]


class Parts(nn.Module):
    """Layers that the code of a test joins; frames are 2x8x8, T is 3."""

    def __init__(self, code: Code, mode: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.code = code
        self.conv, self.if1 = layer.Conv2d(2, 4, 3, padding=1), neuron.IFNode(v_threshold=0.3)
        self.conv2, self.if2 = layer.Conv2d(4, 4, 3, padding=1), neuron.IFNode(v_threshold=0.2)
        self.norm, self.flat = layer.BatchNorm2d(4), layer.Flatten()
        self.four = layer.Linear(256, 4)
        self.wide, self.fc, self.small = layer.Linear(256, 6), layer.Linear(64, 6), layer.Linear(4, 6)
        self.out, self.vote, self.still = neuron.IFNode(v_threshold=0.2), layer.VotingLayer(2), layer.Dropout(0.5)
        self.register_buffer("kept", torch.tensor([2, 0]))
        self.thin, self.scale = layer.Conv2d(2, 4, 1), nn.Parameter(torch.tensor(2.0))
        self.pool, self.pairs = layer.AdaptiveAvgPool2d(1), nn.AvgPool1d(2)
        functional.set_step_mode(self, mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.code(self, x)

    def spikes(self, x: torch.Tensor) -> torch.Tensor:
        return self.if1(self.conv(x.unsqueeze(0).expand(3, -1, -1, -1, -1)))

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.fc(self.flat(F.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, (3, -1)))))


FRAMES = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64).mul(2)


def checked(code: Code, mode: str = "m", frames: torch.Tensor = FRAMES) -> Graph:
    """The traced program, once it is sure that it computes what the network does."""
    network = Parts(code, mode).double().eval()
    graph = trace(network, frames)
    folded = fold(graph)
    run = run_float(folded, frames.numpy())
    scores = torch.from_numpy(run.outputs).unflatten(1, (-1, folded.readout.votes)).mean(-1)
    scores = scores / folded.steps if folded.readout.over_time == "mean" else scores
    expected = torch.from_numpy(run_module(network, frames.numpy())).double()
    assert expected.unique().numel() > 1
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-6)
    return graph


def kinds(graph: Graph) -> list[str]:
    return [type(node.op).__name__ for node in graph.nodes]


ADDITIONS: dict[str, Code] = {
    "operator": lambda net, x: net.if2(net.conv2(x) + x),
    "function": lambda net, x: net.if2(torch.add(net.conv2(x), x)),
    "method": lambda net, x: net.if2(x.add(net.conv2(x))),
    "in place": lambda net, x: net.if2(net.conv2(x).add_(x)),
    "builtin sum": lambda net, x: net.if2(sum([net.conv2(x), x])),
    "zeros first": lambda net, x: net.if2(torch.zeros_like(x) + net.conv2(x) + x),
    "merged time": lambda net, x: net.if2((net.conv2(x).flatten(0, 1) + x.flatten(0, 1)).unflatten(0, (3, -1))),
}


@pytest.mark.parametrize("name", ADDITIONS)
def test_additions(name: str) -> None:
    graph = checked(lambda net, x: net.scores(ADDITIONS[name](net, net.spikes(x))).mean(0))
    assert kinds(graph).count("Add") == 1


def test_an_addition_of_a_value_to_itself_doubles_it() -> None:
    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        spikes = net.spikes(x)
        return net.scores(spikes + spikes).mean(0)

    assert checked(code)["add"].inputs == ("if1", "if1")


CHANNELS: dict[str, Callable[[Parts, torch.Tensor], torch.Tensor]] = {
    "index_select": lambda net, x: x.index_select(2, net.kept),
    "index_select from behind": lambda net, x: torch.index_select(x, -3, net.kept),
    "tensor": lambda net, x: x[:, :, net.kept],
    "list": lambda net, x: x[:, :, [2, 0]],
    "slice": lambda net, x: x[:, :, :3:2].flip(2),
    "ellipsis": lambda net, x: x[..., net.kept, :, :],
    "mask": lambda net, x: x[:, :, torch.tensor([True, False, True, False])].flip(-3),
    "merged": lambda net, x: x.flatten(0, 1)[:, net.kept].unflatten(0, (3, -1)),
    "split": lambda net, x: torch.cat(torch.split(x, 1, 2)[2::-2], 2),
    "chunk": lambda net, x: torch.cat([x.chunk(4, 2)[2], x.chunk(4, 2)[0]], dim=2),
    "narrow": lambda net, x: torch.cat((x.narrow(2, 2, 1), x.narrow(2, 0, 1)), dim=-3),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channel_selections(name: str) -> None:
    graph = checked(lambda net, x: net.scores(net.if2(net.thin(CHANNELS[name](net, net.spikes(x))))).mean(0))
    read = [node.op.channels.tolist() for node in graph.nodes if isinstance(node.op, Select)]
    assert read in ([[2, 0]], [[0, 2], [1, 0]], [[2], [0]], [[0], [2]])


def test_all_channels_in_their_order_are_no_selection() -> None:
    graph = checked(lambda net, x: net.scores(net.spikes(x)[:, :, [0, 1, 2, 3]][:, :, :]).mean(0))
    assert "Select" not in kinds(graph)


def test_features_are_selected_and_joined_like_channels() -> None:
    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        spikes = net.spikes(x).mean((-1, -2))
        spikes = torch.cat([spikes[:, :, 2:], spikes[..., [1]] * 4.0, spikes[:, :, :1]], -1)
        return net.out(net.small(spikes)).mean(0)

    assert kinds(checked(code)).count("Select") == 3


FLATTENED: dict[str, Code] = {
    "added": lambda net, x: net.out(net.wide(net.flat(x) + net.flat(net.if2(net.conv2(x))))),
    "scaled": lambda net, x: net.out(net.wide(net.flat(x) * 3)),
    "neurons": lambda net, x: net.out(net.wide(net.if2(net.flat(net.conv2(x))))),
}


@pytest.mark.parametrize("name", FLATTENED)
def test_flattened_maps(name: str) -> None:
    checked(lambda net, x: FLATTENED[name](net, net.spikes(x)).mean(0))


POOLINGS: dict[str, Code] = {
    "mean": lambda net, x: x.mean((3, 4)),
    "mean from behind": lambda net, x: torch.mean(x, dim=[-2, -1]),
    "mean kept": lambda net, x: net.flat(x.mean((-2, -1), keepdim=True)),
    "adaptive layer": lambda net, x: net.pool(x).flatten(2),
    "adaptive function": lambda net, x: F.adaptive_avg_pool2d(x.flatten(0, 1), (1, 1)).flatten(1).unflatten(0, (3, -1)),
    "squeezed": lambda net, x: x.mean((-2, -1), True).squeeze(-1).squeeze(-1),
    "average of all": lambda net, x: F.avg_pool2d(x.flatten(0, 1), 8).view(3, x.shape[1], -1),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_global_poolings(name: str) -> None:
    graph = checked(lambda net, x: net.out(net.small(POOLINGS[name](net, net.spikes(x)))).mean(0))
    assert kinds(graph) == ["Input", "Conv", "CubaLif", "AvgPool", "Flatten", "Linear", "CubaLif"]


def test_adaptive_pooling_to_what_divides_its_input() -> None:
    graph = checked(
        lambda net, x: net.out(
            net.fc(F.adaptive_avg_pool2d(net.spikes(x).flatten(0, 1), (2, 8)).unflatten(0, (3, -1)).flatten(2))
        ).mean(0)
    )
    assert graph["if1.pool"].op.kernel == (4, 1)


def test_numbers_scale() -> None:
    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        spikes = net.spikes(x) * 3 / 2.0
        return net.scores(net.if2(0.5 * net.conv2(spikes) * net.scale * 1.0)).mean(0)

    graph = checked(code)
    assert [node.op.gain[0] for node in graph.nodes if isinstance(node.op, BatchNorm)] == [3.0, 0.5, 0.5, 2.0]


def test_what_changes_nothing_leaves_no_node() -> None:
    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        spikes = net.still(net.spikes(x.to(torch.float64)).clone().contiguous().detach().data)
        return net.scores(F.dropout(spikes, 0.5, training=False) + 0 / 1).mean(0)

    assert kinds(checked(code)) == ["Input", "Conv", "CubaLif", "AvgPool", "Flatten", "Linear", "CubaLif"]


READOUTS: dict[str, Code] = {
    "mean": lambda net, y: y.mean(0),
    "function": lambda net, y: torch.mean(y, 0),
    "sum over T": lambda net, y: y.sum(0) / 3,
    "times": lambda net, y: y.sum(dim=0) * (1 / 3),
    "steps": lambda net, y: (y[0] + y[1] + y[-1]) / y.shape[0],
    "iterated": lambda net, y: sum(y.unbind(0)) / len(y),
    "stacked": lambda net, y: torch.stack(list(y)).mean(0),
    "all steps": lambda net, y: y,
}


@pytest.mark.parametrize("name", READOUTS)
def test_readouts(name: str) -> None:
    graph = checked(lambda net, x: READOUTS[name](net, net.scores(net.spikes(x))))
    assert (graph.steps, graph.readout.of, graph.readout.over_time) == (3, "spikes", "mean")


def test_a_sum_is_a_sum_and_a_single_output_may_be_wrapped() -> None:
    assert checked(lambda net, x: net.scores(net.spikes(x)).sum(0)).readout.over_time == "sum"
    assert trace(Parts(lambda net, x: (net.scores(net.spikes(x)),), "m"), FRAMES.float()).steps == 3


VOTES: dict[str, Code] = {
    "layer": lambda net, y: net.vote(y).mean(0),
    "function": lambda net, y: F.avg_pool1d(y.mean(0).unsqueeze(1), 2, 2).squeeze(1),
    "pooling layer": lambda net, y: net.pairs(y.mean(0)),
    "mean": lambda net, y: y.mean(0).view(-1, 3, 2).mean(-1),
    "mean of steps": lambda net, y: y.unflatten(-1, (3, 2)).mean(-1).mean(0),
    "last of all": lambda net, y: y.unflatten(-1, (3, 2)).mean(0).mean(-1),
}


@pytest.mark.parametrize("name", VOTES)
def test_votes(name: str) -> None:
    readout = checked(lambda net, x: VOTES[name](net, net.scores(net.spikes(x)))).readout
    assert (readout.of, readout.votes) == ("spikes", 2)


def test_votes_of_as_many_outputs_as_there_are_classes() -> None:
    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        return net.vote(net.out(net.four(net.flat(net.spikes(x)))))

    readout = checked(code).readout
    assert (readout.of, readout.votes) == ("spikes", 2)


def test_a_voltage_is_read_from_the_memory_of_neurons_that_never_fire() -> None:
    for mode in ("m", "s"):

        def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
            spikes = net.spikes(x) if net.out.step_mode == "m" else None
            for _ in range(1 if spikes is not None else 3):
                net.out(net.wide(net.flat(net.if1(net.conv(x)) if spikes is None else spikes)))
            return net.out.v

        network = Parts(code, mode).double()
        network.out = neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=float("inf"), step_mode=mode)
        graph = fold(trace(network, FRAMES))
        assert (graph.steps, graph.readout.of, graph.readout.over_time) == (3, "voltage", "sum")
        outputs = run_float(graph, FRAMES.numpy()).outputs
        torch.testing.assert_close(
            torch.from_numpy(outputs).float(), torch.from_numpy(run_module(network, FRAMES.numpy()))
        )


def test_the_last_of_the_weights_may_be_normalised_and_is_integrated() -> None:
    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        return net.norm(net.conv2(net.spikes(x))).mean((-2, -1)).mean(0)

    graph = checked(code)
    last = graph.nodes[-1]
    assert last.name == "norm.mean.integrator" and isinstance(last.op, CubaLif) and last.op.threshold == float("inf")
    assert graph.readout.of == "voltage"


HEADS: dict[str, Code] = {
    "mean": lambda net, x: net.wide(net.flat(x).mean(0)),
    "sum": lambda net, x: net.wide(net.flat(x).sum(0)),
    "loop": lambda net, x: net.wide(sum(net.flat(x).unbind(0)) / 2),
    "maps": lambda net, x: net.wide(x.mean(0).flatten(1)),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_linear_head_behind_the_mean_over_time_is_one_before_it(name: str) -> None:
    graph = checked(lambda net, x: HEADS[name](net, net.spikes(x)))
    assert kinds(graph)[-1] == "CubaLif" and graph.readout.of == "voltage"


BATCH_FIRST: dict[str, Code] = {
    "there and back": lambda net, x: net.if1(net.conv(x.transpose(0, 1).permute(1, 0, 2, 3, 4))),
    "from behind": lambda net, x: net.if1(net.conv(torch.movedim(x.swapaxes(-5, -4), 1, 0))),
    "steps": lambda net, x: torch.stack([net.if1(net.conv(each)) for each in x.transpose(0, 1).unbind(1)]),
    "indexed": lambda net, x: torch.stack([net.if1(net.conv(x.transpose(0, 1)[:, t, ...])) for t in range(3)]),
    "merged": lambda net, x: torch.stack(
        [net.if1(each) for each in net.conv(x.transpose(0, 1).flatten(0, 1)).unflatten(0, (-1, 3)).unbind(1)]
    ),
    "stacked": lambda net, x: torch.stack([net.if1(net.conv(each)) for each in x], 1).transpose(1, 0),
}


@pytest.mark.parametrize("name", BATCH_FIRST)
def test_samples_may_come_before_the_steps(name: str) -> None:
    mode = "m" if name in ("there and back", "from behind") else "s"
    frames = torch.randn(4, 3, 2, 8, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64).mul(2)

    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        return net.wide(BATCH_FIRST[name](net, x).flatten(2).mean(0))

    assert kinds(checked(code, mode, frames)) == ["Input", "Conv", "CubaLif", "Flatten", "Linear", "CubaLif"]


def test_axes_of_a_map_are_not_swapped() -> None:
    with pytest.raises(UnsupportedNetwork, match="operation transpose on the output of if1: it has no counterpart"):
        trace(Parts(lambda net, x: net.scores(net.spikes(x).transpose(-1, -2)).mean(0), "m"), FRAMES.float())


REPEATS: dict[str, Code] = {
    "unsqueezed in place": lambda net, x: x.clone().unsqueeze_(0).repeat(3, 1, 1, 1, 1),
    "samples first": lambda net, x: x.unsqueeze(1).repeat(1, 3, 1, 1, 1).transpose(0, 1),
    "stacked samples first": lambda net, x: torch.stack([x] * 3, dim=1).permute(1, 0, 2, 3, 4),
    "repeat": lambda net, x: x.unsqueeze(0).repeat(3, 1, 1, 1, 1),
    "expand": lambda net, x: x.expand(3, *x.shape),
    "stack": lambda net, x: torch.stack([x] * 3),
    "tiled batch": lambda net, x: x.repeat(3, 1, 1, 1).view(3, x.size(0), 2, 8, 8),
    "current": lambda net, x: net.conv(x.unsqueeze(0)).expand(3, -1, -1, -1, -1),
}


@pytest.mark.parametrize("name", REPEATS)
def test_frames_are_presented_at_every_step(name: str) -> None:
    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        current = REPEATS[name](net, x)
        return net.scores(net.if1(current if name == "current" else net.conv(current))).mean(0)

    assert checked(code).steps == 3


SEQUENCES: dict[str, Code] = {
    "as they are": lambda net, x: net.if1(net.conv(x)),
    "merged": lambda net, x: net.if1(net.conv(x.flatten(0, 1).reshape(x.shape))),
    "expanded to themselves": lambda net, x: net.if1(net.conv(x.expand(3, -1, -1, -1, -1))),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_bring_a_frame_for_each_step(name: str) -> None:
    frames = torch.randn(4, 3, 2, 8, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64).mul(2)
    graph = checked(lambda net, x: net.scores(SEQUENCES[name](net, x)).mean(0), frames=frames)
    first = graph.nodes[0]
    assert isinstance(first.op, Input) and first.op.sequence and first.shape == (2, 8, 8) and graph.steps == 3


@pytest.mark.parametrize("container", ["seq_to_ann", "multi_step", "function"])
def test_containers_of_spikingjelly(container: str) -> None:
    class Contained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.stateless = layer.SeqToANNContainer(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))
            self.stateful = layer.MultiStepContainer(neuron.IFNode(v_threshold=0.2), nn.Flatten(), nn.Linear(144, 5))
            self.last = neuron.IFNode(v_threshold=0.2, step_mode="m")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.unsqueeze(0).repeat(3, 1, 1, 1, 1)
            if container == "function":
                return self.last(functional.multi_step_forward(self.stateless(x), [*self.stateful])).mean(0)
            return self.last(self.stateful(self.stateless(x))).mean(0)

    network = Contained().double().eval()
    graph = trace(network, FRAMES)
    names = ["stateless.0", "stateless.1", "stateful.0", "stateful.1", "stateful.2", "last"]
    assert [node.name for node in graph.nodes] == ["input", *names] and graph.steps == 3
    outputs = run_float(fold(graph), FRAMES.numpy()).outputs / 3
    torch.testing.assert_close(torch.from_numpy(outputs).float(), torch.from_numpy(run_module(network, FRAMES.numpy())))


def test_a_layer_on_two_sources_is_two_nodes_and_on_one_source_one() -> None:
    def code(net: Parts, x: torch.Tensor) -> torch.Tensor:
        spikes = net.spikes(x)
        once = net.if2(net.conv2(spikes) + net.conv2(spikes))
        return (net.conv2(once) + once).mean((-2, -1)).mean(0)

    names = [node.name for node in checked(code).nodes]
    assert names[:8] == ["input", "conv", "if1", "conv2", "add", "if2", "conv2@2", "add@2"]


def test_a_whole_network_may_be_a_memory_module() -> None:
    class Root(base.MemoryModule):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(layer.Flatten(), layer.Linear(128, 5), neuron.IFNode())
            functional.set_step_mode(self, "m")

        def multi_step_forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x)

    graph = trace(Root(), torch.zeros(1, 3, 2, 8, 8))
    assert [node.name for node in graph.nodes] == ["input", "body.0", "body.1", "body.2"]


def test_thousands_of_layers_are_read_in_a_moment() -> None:
    pairs = [each for _ in range(1500) for each in (layer.Linear(3, 3), neuron.IFNode())]
    network = nn.Sequential(layer.Flatten(), *pairs)
    graph = fold(trace(network, torch.zeros(1, 1, 1, 3)))
    assert len(graph.layers) == 1500
