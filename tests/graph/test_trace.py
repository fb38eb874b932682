"""Whatever way a network goes through time, its program is read as it computes; the rest is refused by name."""

import pytest
import torch
from sample_networks import MergedTime, StepLoop, Unusual
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.graph.nodes import Conv
from neuroprune.graph.trace import trace
from neuroprune.neurons.cuba_lif import CubaLif

FRAMES = torch.zeros(2, 1, 28, 28)


def test_a_multi_step_network_is_read_layer_by_layer() -> None:
    graph = trace(Unusual(steps=4), FRAMES)
    assert graph.steps == 4 and graph.readout.over_time == "mean"
    assert [(node.name, type(node.op).__name__, node.shape) for node in graph.nodes] == [
        ("input", "Input", (1, 28, 28)),
        ("conv1", "Conv", (6, 14, 28)),
        ("bn1", "BatchNorm", (6, 14, 28)),
        ("lif1", "CubaLif", (6, 14, 28)),
        ("pool", "AvgPool", (6, 7, 14)),
        ("conv2", "Conv", (10, 7, 14)),
        ("bn2", "BatchNorm", (10, 7, 14)),
        ("if2", "CubaLif", (10, 7, 14)),
        ("most", "MaxPool", (10, 3, 7)),
        ("flat", "Flatten", (210,)),
        ("fc", "Linear", (10,)),
        ("lif3", "CubaLif", (10,)),
    ]


def test_parameters_of_layers_are_kept() -> None:
    graph = trace(Unusual(), FRAMES)
    conv = graph["conv1"].op
    assert isinstance(conv, Conv) and (conv.stride, conv.padding, conv.groups) == ((2, 1), (2, 1), 1)
    lif, last = graph["lif1"].op, graph["lif3"].op
    assert isinstance(lif, CubaLif) and (lif.decay, lif.gain, lif.threshold) == (0.5, 0.5, 1.0)
    assert isinstance(last, CubaLif) and (last.decay, last.gain) == (0.75, 1.0)
    rested = graph["if2"].op
    assert isinstance(rested, CubaLif) and (rested.decay, rested.gain, rested.threshold) == (0.0, 1.0, 0.7)


def test_a_loop_over_time_gives_the_same_form() -> None:
    graph = trace(StepLoop(steps=3), FRAMES)
    assert graph.steps == 3
    assert [node.name for node in graph.nodes] == ["input", "conv", "if1", "pool", "pool.flatten", "fc", "lif2"]


def test_time_merged_into_the_batch_is_followed() -> None:
    graph = trace(MergedTime(steps=3), FRAMES)
    assert graph.steps == 3
    assert [node.shape for node in graph.nodes if node.name in ("if2", "if3")] == [(3, 13, 13), (10,)]


def test_the_network_is_left_as_it_was() -> None:
    network = Unusual().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace(network, FRAMES)
    assert network.training and network.lif1.v == 0.0
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


class Refused(nn.Module):
    """Many things at once that have no counterpart."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.act = nn.ReLU()
        self.rest = neuron.LIFNode(v_reset=1.2)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.quadratic = neuron.QIFNode()
        self.most = nn.MaxPool2d(2)
        self.fc = nn.Linear(784, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.rest(self.most(self.act(self.conv(x))))
        z = torch.sigmoid(y + self.quadratic(self.conv2(y)))
        return self.fc(z.flatten(1))


def test_everything_unsupported_is_named_at_once() -> None:
    with pytest.raises(UnsupportedNetwork) as caught:
        trace(Refused(), FRAMES)
    text = str(caught.value)
    assert caught.value.exit_code == 2
    for part in (
        "layer act: ReLU cannot be mapped, since it passes on graded values, and the chip spikes; put a LIFNode",
        "layer rest: a threshold of 1 with a hard reset to 1.2 cannot be mapped; use a finite threshold above v_reset",
        "layer conv2: padding mode 'reflect' cannot be mapped; use 'zeros'",
        "layer quadratic: QIFNode is no neuron of the chip, since its potential moves by 0.047 in a step without input",
        "operation sigmoid on the output of",
        "and 1 that follows from this",
    ):
        assert part in text
    assert any("layer most: maximum pooling of values that are not" in each for each in caught.value.problems[-1:])


def sequential(*layers: nn.Module) -> nn.Module:
    network = nn.Sequential(*layers)
    functional.set_step_mode(network, "s")
    return network


END = (nn.Flatten(), nn.Linear(4 * 28 * 28, 2), neuron.IFNode())


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (
            (nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), neuron.IFNode(), *END),
            "without neurons between",
        ),
        (
            (nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4, track_running_stats=False), neuron.IFNode(), *END),
            "layer 1: it keeps no running statistics",
        ),
        (
            (nn.Conv2d(1, 4, 3, padding=1), neuron.IFNode(), nn.AvgPool2d(1, ceil_mode=True), *END),
            "layer 2: ceil_mode=True cannot be mapped",
        ),
        (
            (nn.Conv2d(1, 4, 3, padding=1), neuron.IFNode(), nn.MaxPool2d(1, ceil_mode=True), *END),
            "layer 2: ceil_mode=True cannot be mapped",
        ),
        (
            (nn.Conv2d(1, 4, 3, padding=1), neuron.IFNode(), nn.AvgPool2d(1, divisor_override=3), *END),
            "layer 2: divisor_override=3 cannot be mapped",
        ),
        (
            (
                nn.Conv2d(1, 4, 3, padding=1),
                neuron.IFNode(),
                nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
                *END,
            ),
            "layer 2: count_include_pad=False with padding cannot be mapped",
        ),
        ((nn.Conv2d(1, 4, 3, padding=1), neuron.IFNode(v_reset=1.0), *END), "layer 1: a threshold of 1 with a"),
        ((nn.Conv2d(1, 4, 3, padding=1), neuron.IFNode(v_threshold=0.0), *END), "layer 1: threshold 0.0"),
        ((nn.Conv2d(1, 4, 3, padding=1), neuron.IFNode(), nn.Linear(28, 2), neuron.IFNode()), "put a Flatten before"),
    ],
)
def test_each_refusal_says_layer_reason_and_remedy(layers: tuple[nn.Module, ...], sentence: str) -> None:
    with pytest.raises(UnsupportedNetwork, match=r"part.? that cannot be mapped") as caught:
        trace(sequential(*layers), FRAMES)
    assert sentence in str(caught.value)


class Branching(StepLoop):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = self.if1(self.conv(x))
        return self.lif2(self.fc(self.pool(spikes).flatten(1))), spikes


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again, self.neurons = (
            nn.Conv2d(1, 1, 3, padding=1),
            nn.Conv2d(1, 1, 3, padding=1),
            neuron.IFNode(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.neurons(self.again(self.neurons(self.conv(x))))


class HalfRead(StepLoop):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.steps):
            last = self.lif2(self.fc(self.pool(self.if1(self.conv(x))).flatten(1)))
        return last


class DecidesByValue(StepLoop):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if x.sum() > 0 else x


class Shifted(StepLoop):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lif2(self.fc(self.pool(self.if1(self.conv(x))).flatten(1))) + 1


class ReadsTwoSteps(StepLoop):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = [self.lif2(self.fc(self.pool(self.if1(self.conv(x))).flatten(1))) for _ in range(self.steps)]
        return steps[0] + steps[1]


class Unused(StepLoop):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = self.if1(self.conv(x))
        self.lif2(self.fc(self.pool(spikes).flatten(1)))
        return spikes


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mixed, self.if1 = nn.Bilinear(28, 28, 4), neuron.IFNode()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.if1(self.mixed(x, x))


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (Branching(), "the output is not that of one layer over time"),
        (Shared(), "layer neurons: it is used on the output of conv and again on that of again"),
        (HalfRead(), "the output is not that of one layer over time: return its mean or sum over all time steps"),
        (ReadsTwoSteps(), "the readout adds 2 of the 3 time steps: return the mean or sum over all of them"),
        (Unused(steps=1), "layer lif2: its output is not used; remove it"),
        (TwoInputs(), "layer mixed: it takes more than one input; give each layer exactly one"),
        (DecidesByValue(), "could not be followed on frames of shape (1, 28, 28)"),
    ],
)
def test_ways_through_the_network_that_are_not_a_chain_are_refused(network: nn.Module, sentence: str) -> None:
    with pytest.raises(UnsupportedNetwork) as caught:
        trace(network, FRAMES)
    assert sentence in str(caught.value)


def test_a_frame_size_that_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(UnsupportedNetwork, match=r"could not be followed on frames of shape \(1, 20, 20\)"):
        trace(Unusual(), torch.zeros(1, 1, 20, 20))


def test_weights_that_are_not_numbers_are_refused() -> None:
    network = Unusual()
    network.conv2.weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"layer conv2: 1 of its 540 weight values are not finite numbers"):
        trace(network, FRAMES)


def test_layers_of_torch_and_of_spikingjelly_read_alike() -> None:
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), neuron.IFNode(), nn.Flatten(), nn.Linear(2 * 26 * 26, 3), neuron.IFNode())
    own = nn.Sequential(
        layer.Conv2d(1, 2, 3), neuron.IFNode(), layer.Flatten(), layer.Linear(2 * 26 * 26, 3), neuron.IFNode()
    )
    shapes = [[(n.name, n.shape, type(n.op)) for n in trace(net, FRAMES).nodes] for net in (plain, own)]
    assert shapes[0] == shapes[1]
