"""What has no counterpart on the chip is refused, all of it at once: layer, reason, remedy."""

from collections.abc import Callable

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.lava_exchange import BatchNorm2d as LavaNorm, CubaLIFNode
from torch import nn
from torch.nn import functional as F

from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.read import read_layer
from neuroprune.graph.trace import trace
from neuroprune.neurons.cuba_lif import MODEL

FRAMES = torch.zeros(1, 2, 8, 8)


def refusal(module: nn.Module, frames: torch.Tensor = FRAMES) -> str:
    with pytest.raises(UnsupportedNetwork) as caught:
        fold(trace(module, frames))
    assert all(sentence.startswith(("layer ", "operation ", "the ")) for sentence in caught.value.problems)
    return "; ".join(caught.value.problems)


END = (nn.Flatten(), nn.Linear(4 * 64, 2), neuron.IFNode())
CONV = nn.Conv2d(2, 4, 3, padding=1)

LAYERS: dict[str, tuple[tuple[nn.Module, ...], str]] = {
    "uneven adaptive pooling": (
        (CONV, neuron.IFNode(), nn.AdaptiveAvgPool2d(3), nn.Conv2d(4, 2, 3), neuron.IFNode()),
        "layer 2: its windows differ in size, which only a dense layer can take up; choose a size that divides",
    ),
    "other neurons": (
        (CONV, neuron.QIFNode(), *END),
        "layer 1: QIFNode is no neuron of the chip, since its potential moves by 0.047 in a step without input; use",
    ),
    "no neuron": ((CONV, nn.ZeroPad2d(0), *END), "layer 1: ZeroPad2d has no counterpart on the chip"),
    "rest": (
        (CONV, neuron.LIFNode(v_reset=-1.0, v_threshold=float("inf")), *END),
        "a threshold of inf with a hard reset to -1 cannot be mapped; use a finite threshold above v_reset",
    ),
    "rest of another kind": (
        (CONV, neuron.SimpleLIFNode(2.0, False, v_reset=0.5), *END),
        "layer 1: hard reset to 0.5 cannot be mapped, since its potential begins at 0; use one for both",
    ),
    "threshold": (
        (CONV, neuron.IFNode(v_threshold=-1.0), *END),
        "layer 1: threshold -1.0 cannot be mapped; it must be",
    ),
    "never fires": (
        (CONV, neuron.IFNode(v_threshold=float("inf")), *END),
        "layer 1: it never fires and is not the output; give it a finite threshold",
    ),
    "silent output": (
        (CONV, neuron.IFNode(), *END[:2], neuron.IFNode(v_threshold=float("inf"))),
        "layer 4: it never fires; return its voltage v, or give it a finite threshold",
    ),
    "forgetful": (
        (CONV, CubaLIFNode(0.5, 1.0), *END),
        "layer 1: voltage decay 1 cannot be mapped; it must be at least 0 and below 1",
    ),
    "steady current": ((CONV, CubaLIFNode(0.0, 0.5), *END), "layer 1: a current that never decays cannot be mapped"),
    "normalised current": (
        (CONV, CubaLIFNode(0.5, 0.5, norm=LavaNorm(4)), *END),
        "layer 1: normalisation inside the neuron cannot be mapped; use norm=None",
    ),
    "biased current": (
        (CONV, CubaLIFNode(0.5, 0.5), *END),
        "layer 1: a bias enters its current, which decays, while the chip adds biases to the voltage; use bias=False",
    ),
    "offset under padding": (
        (nn.Conv2d(2, 4, 1), neuron.IFNode(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1), neuron.IFNode(), *END),
        "layer 3: it pads the output of 2 with zeros, but a bias or an offset was added there; set its padding to 0",
    ),
    "partly flattened": (
        (CONV, neuron.IFNode(), nn.Flatten(2), nn.Linear(64, 2), neuron.IFNode()),
        "layer 2: it flattens (4, 8, 8) to (4, 64); flatten all of it",
    ),
    "no neurons": ((CONV, nn.Flatten(), nn.Linear(256, 2)), "the network has no spiking neurons: put an IFNode or"),
    "flattened normalisation": (
        (CONV, neuron.IFNode(), nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 2), neuron.IFNode()),
        "layer 3: it works on maps that were flattened before; put it in front of the Flatten",
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    layers, sentence = LAYERS[name]
    torch.manual_seed(0)
    for module in layers:
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.bias)
            nn.init.uniform_(module.weight)
    assert sentence in refusal(nn.Sequential(*layers))


def test_decays_of_their_own_for_each_neuron() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=False), CubaLIFNode(0.5, 0.5), *END)
    network[1].current_decay = torch.full((4, 1, 1), 2048.0)
    assert "layer 1: its 4 values of current_decay cannot be mapped; use one for all" in refusal(network)


def test_time_constants_of_their_own_for_each_channel() -> None:
    module = neuron.ParametricLIFNode()
    module.w = nn.Parameter(torch.tensor([0.0, 0.5]).reshape(2, 1, 1))
    found = MODEL.reader_of(module)("x", module)
    assert found == (
        "layer x: its 2 time constants differ, and the neurons of a layer of the chip all have one decay; use one w "
        "for all"
    )


class Parts(nn.Module):
    def __init__(self, code: Callable[["Parts", torch.Tensor], torch.Tensor], mode: str) -> None:
        super().__init__()
        self.code = code
        self.conv, self.if1 = layer.Conv2d(2, 4, 3, padding=1), neuron.IFNode()
        self.conv2, self.if2 = layer.Conv2d(4, 4, 3, padding=1), neuron.IFNode()
        self.fc, self.out, self.plain = layer.Linear(256, 6), neuron.IFNode(), nn.Flatten()
        self.one, self.votes = layer.Linear(1, 6), layer.VotingLayer(4)
        functional.set_step_mode(self, mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.code(self, x)

    def spikes(self, x: torch.Tensor) -> torch.Tensor:
        return self.if1(self.conv(x.unsqueeze(0).repeat(3, 1, 1, 1, 1)))

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.fc(x.flatten(2)))


def out_of_step(net: Parts, x: torch.Tensor) -> torch.Tensor:
    now, total = net.if1(net.conv(x)), 0
    for _ in range(3):
        after = net.if1(net.conv(x))
        total, now = total + net.out(net.fc((net.if2(net.conv2(now)) + after).flatten(1))), after
    return total / 3


def twice_a_step(net: Parts, x: torch.Tensor) -> torch.Tensor:
    total = 0
    for _ in range(3):
        spikes = net.if1(net.conv(x))
        net.if2(net.conv2(spikes))
        total = total + net.out(net.fc(net.if2(net.conv2(spikes)).flatten(1)))
    return total / 3


def changed_in_place(net: Parts, x: torch.Tensor) -> torch.Tensor:
    spikes = shortcut = net.spikes(x)
    spikes += net.conv2(spikes)
    return net.scores(net.if2(spikes) + shortcut).mean(0)


def changed_before_a_layer(net: Parts, x: torch.Tensor) -> torch.Tensor:
    spikes = net.spikes(x)
    spikes.add_(net.conv2(spikes))
    return net.scores(net.if2(spikes)).mean(0)


def joined_after_flattening(net: Parts, x: torch.Tensor) -> torch.Tensor:
    current = net.conv(x.unsqueeze(0).repeat(3, 1, 1, 1, 1)).flatten(2)
    return net.if1(torch.cat([current, current], 2)).mean(0)


CODE: dict[str, tuple[str, Callable[[Parts, torch.Tensor], torch.Tensor], str]] = {
    "product of spikes": (
        "m",
        lambda net, x: net.scores(net.spikes(x) * net.spikes(x)).mean(0),
        "operation mul on the",
    ),
    "constant": (
        "m",
        lambda net, x: net.scores(net.spikes(x) + torch.rand(8, 8)).mean(0),
        "operation add on the output of if1: it computes with other numbers for each element; use one number",
    ),
    "comparison": (
        "m",
        lambda net, x: net.scores((net.spikes(x) > 0) * 1.0).mean(0),
        "operation gt on the output of if1",
    ),
    "space": (
        "m",
        lambda net, x: net.scores(net.spikes(x).flip(-1)).mean(0),
        "operation flip on the output of if1: it has",
    ),
    "across time": (
        "m",
        lambda net, x: net.scores(net.spikes(x)[1:]).mean(0),
        "operation getitem on the output of if1",
    ),
    "pooling": (
        "m",
        lambda net, x: net.scores(
            F.avg_pool2d(net.spikes(x).flatten(0, 1), 1, ceil_mode=True).view(3, -1, 4, 8, 8)
        ).mean(0),
        "operation avg_pool2d on the output of if1: ceil_mode=True cannot be mapped; set it to False",
    ),
    "steps": ("s", out_of_step, "it joins different time steps; join the outputs of one step"),
    "twice": ("s", twice_a_step, "layer if2: its call 2 is for step 1; call it once a step, in their order"),
    "shared state": (
        "m",
        lambda net, x: net.scores(net.if1(net.conv2(net.spikes(x)))).mean(0),
        "layer if1: it is used on the output of conv and again on that of conv2, while neurons of the chip",
    ),
    "softmax": (
        "m",
        lambda net, x: net.scores(net.spikes(x)).mean(0).softmax(-1),
        "operation softmax on the output of out: the chip has no softmax: leave it out at the end, where",
    ),
    "largest over time": (
        "m",
        lambda net, x: net.scores(net.spikes(x)).amax(0),
        "operation amax on the output of out: the largest over time or classes is no sum of spikes; return the mean",
    ),
    "over again": (
        "m",
        lambda net, x: net.scores(net.spikes(x) + net.spikes(x)).mean(0),
        "layer if1: it goes over the steps",
    ),
    "m without steps": (
        "m",
        lambda net, x: net.if1(x).mean(0),
        "layer if1: it is in step mode 'm' but reads no [T, N, ...]",
    ),
    "s with steps": (
        "s",
        lambda net, x: net.if1(x.unsqueeze(0).repeat(3, 1, 1, 1, 1)).mean(0),
        "layer if1: it is in step mode 's' but reads all steps at once; set its step mode to 'm'",
    ),
    "in place": ("m", changed_in_place, "operation add: the output of if1 was changed in place before it is read here"),
    "in place, by a layer": (
        "m",
        changed_before_a_layer,
        "layer if2: the output of if1 was changed in place before it is read here; write x = x + y, not x += y",
    ),
    "behind the mean": (
        "m",
        lambda net, x: net.out(net.fc(net.spikes(x).mean(0).flatten(1))),
        "layer out: it reads a sum or mean over time; put it before that",
    ),
    "batch": (
        "m",
        lambda net, x: net.out(net.fc(net.plain(net.spikes(x)))).mean(0),
        "layer plain: it works across the time or batch axis of [T, N, ...]; use spikingjelly's layers",
    ),
    "shape": (
        "m",
        lambda net, x: net.out(net.one(net.spikes(x).mean((-2, -1), True).squeeze(-1))).mean(0),
        "layer one: it reads the output of if1.mean as shape (4, 1) instead of (4, 1, 1); use a Flatten",
    ),
    "votes apart": (
        "m",
        lambda net, x: net.scores(net.spikes(x)).unflatten(-1, (3, 2)).mean(0),
        "the outputs of out that vote for one class are returned apart: return their mean",
    ),
    "unequal votes": (
        "m",
        lambda net, x: nn.AvgPool1d(3, 2, 1)(net.scores(net.spikes(x)).mean(0)),
        "operation avg_pool1d on the output of out: it has no counterpart on the chip",
    ),
    "unequal votes in a layer": (
        "m",
        lambda net, x: net.votes(net.scores(net.spikes(x))).mean(0),
        "layer votes: VotingLayer has no counterpart on the chip",
    ),
    "scaled": (
        "m",
        lambda net, x: net.scores(net.spikes(x)).mean(0) * 5,
        "the readout is 1.66667 times the sum over 3 time",
    ),
    "firing voltage": (
        "s",
        lambda net, x: [net.out(net.fc(net.if1(net.conv(x)).flatten(1))), net.out.v][1],
        "layer out: it fires, so its voltage says little; set its threshold to infinity",
    ),
    "joined": (
        "m",
        joined_after_flattening,
        "layer if1: its neurons read maps that were flattened and joined; join their",
    ),
    "attention": (
        "m",
        lambda net, x: net.scores(net.spikes(x) @ net.spikes(x)).mean(0),
        "attention multiplies spikes of one layer by spikes of another, and a synapse multiplies by a fixed weight",
    ),
    "number": (
        "m",
        lambda net, x: net.scores(net.spikes(x) * float(x.sum())).mean(0),
        "(a number is taken out of a tensor)",
    ),
    "array": (
        "m",
        lambda net, x: torch.from_numpy(x.numpy()),
        "operation numpy on the output of input: it has no count",
    ),
    "loop": (
        "m",
        lambda net, x: net.scores(net.spikes(x)).mean(0) if x.max() > 9 else x,
        "(a decision depends on the values",
    ),
}


OF_THE_SAMPLE = "it normalises by the values of each sample, which no chip computes; use a BatchNorm and train again"
GRADED = "it passes on graded values, and the chip spikes; put a LIFNode or IFNode in its place and train again"
GATES = "its gates multiply what neurons hold, which no neuron of the chip does"
KINDS: dict[str, tuple[Callable[[Parts, torch.Tensor], torch.Tensor], str]] = {
    "group norm": (lambda net, x: nn.GroupNorm(2, 4)(x.flatten(0, 1)), OF_THE_SAMPLE),
    "layer norm": (lambda net, x: F.layer_norm(x, (4, 8, 8)), OF_THE_SAMPLE),
    "instance norm": (lambda net, x: nn.InstanceNorm2d(4)(x.flatten(0, 1)), OF_THE_SAMPLE),
    "gelu": (lambda net, x: F.gelu(x), GRADED),
    "relu of a current": (lambda net, x: F.relu(net.conv2(x)), GRADED),
    "softmax": (lambda net, x: torch.softmax(x, 1), "the chip has no softmax: leave it out at the end, where it chan"),
    "dropout that stays": (
        lambda net, x: F.dropout(x, 0.5),
        "operation dropout on the output of if1: it drops values at random in evaluation, too; give it training=self",
    ),
    "axis of one": (lambda net, x: F.conv1d(x.flatten(-2).flatten(0, 1), torch.zeros(4, 4, 3)), "moves along one axis"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_no_chip_does_between_spikes_is_refused_by_kind(name: str) -> None:
    change, sentence = KINDS[name]
    assert sentence in refusal(Parts(lambda net, x: net.scores(change(net, net.spikes(x))).mean(0), "m"))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.GroupNorm(2, 4), OF_THE_SAMPLE),
        (nn.LayerNorm(8), OF_THE_SAMPLE),
        (nn.InstanceNorm2d(4), OF_THE_SAMPLE),
        (nn.SiLU(), GRADED),
        (nn.Softmax(1), "the chip has no softmax"),
        (layer.TemporalEffectiveBatchNorm2d(1, 4), "it scales each step by numbers of its own"),
        (nn.LSTM(8, 8), GATES),
        (nn.GRUCell(8, 8), GATES),
        (nn.MultiheadAttention(8, 1), "attention multiplies spikes of one layer by spikes of another"),
        (nn.Conv1d(4, 4, 3), "its kernel moves along one axis, of time or of tokens"),
        (nn.Conv3d(4, 4, 3), "its kernel of (3, 3, 3) reaches over time"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_the_reason_of_each_kind_of_layer(module: nn.Module, reason: str) -> None:
    assert reason in (read_layer("x", module, (4, 8, 8))[1] or "")


@pytest.mark.parametrize("module", [nn.ReLU(), nn.ReLU(inplace=True), nn.Dropout2d(), nn.AlphaDropout()])
def test_activations_of_spikes_and_dropout_in_evaluation_do_nothing(module: nn.Module) -> None:
    plain, idle = (
        fold(trace(nn.Sequential(CONV, neuron.IFNode(), *between, *END), FRAMES)) for between in ((), (module,))
    )
    assert [each.shape for each in plain.layers] == [each.shape for each in idle.layers]
    network = Parts(lambda net, x: net.scores(F.relu(net.spikes(x) + net.spikes(x).abs())).mean(0), "m")
    network.if1 = nn.Identity()
    assert "it passes on graded values" in refusal(network)  # of currents they are activations


@pytest.mark.parametrize("name", CODE)
def test_code_between_layers(name: str) -> None:
    mode, code, sentence = CODE[name]
    assert sentence in refusal(Parts(code, mode))


def test_sequences_that_are_decided_by_value() -> None:
    network = Parts(lambda net, x: x if x[0].sum() > 0 else net.scores(x), "m")
    assert "let it take sequences [T, N, C, H, W] of that size" in refusal(network, torch.zeros(1, 3, 2, 8, 8))


def test_the_classes_of_torch_are_as_they_were() -> None:
    call = nn.Module.__call__
    refusal(Parts(lambda net, x: net.if1(x).mean(0), "m"))
    assert nn.Module.__call__ is call
