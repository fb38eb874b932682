"""Networks as people write them: steps in any axis, neurons of their own, layers as functions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn
from torch.nn import functional as F

from neuroprune.errors import UnsupportedNetwork, grouped
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Conv, Graph
from neuroprune.graph.read import read_layer
from neuroprune.graph.trace import trace
from neuroprune.networks.presentation import Form, Presentation
from neuroprune.networks.probing import present
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.simulation.floats import run_float, run_module
from neuroprune.simulation.module_check import verify_module

STEPS = 4
FRAMES = torch.rand(6, 2, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64).mul(2)


class Fires(torch.autograd.Function):
    """A surrogate of one's own, which fires above the threshold and not at it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return (x > 0).to(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


class Sequences(nn.Module):
    """Neurons that take all steps in the axis `time`, and keep no state from call to call."""

    def __init__(self, time: int = 0, leak: float = 0.5, reset: str = "zero", height: float = 1.0) -> None:
        super().__init__()
        self.time, self.leak, self.reset, self.height = time, leak, reset, height

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        potential, spikes = 0.0, []
        for current in x.unbind(self.time):
            potential = potential * self.leak + current
            spike = Fires.apply(potential - 0.7)
            potential = potential * (1 - spike) if self.reset == "zero" else potential - 0.7 * spike
            spikes.append(spike * self.height)
        return torch.stack(spikes, self.time)


class Steps(nn.Module):
    """Neurons that make one step a call."""

    def __init__(self) -> None:
        super().__init__()
        self.potential: Any = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.potential = self.potential + (x - self.potential) / 3.0
        spike = Fires.apply(self.potential - 0.3)
        self.potential = self.potential * (1 - spike)
        return spike

    def reset(self) -> None:
        self.potential = 0.0


class Net(nn.Module):
    """A convolution, neurons, a linear layer, neurons, as `code` joins them."""

    def __init__(self, code: Callable[["Net", torch.Tensor], torch.Tensor], neurons: Callable[[], nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.code = code
        self.conv, self.norm, self.fc = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(256, 5)
        self.conv2, self.norm3d = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm3d(4)
        self.norm.running_mean, self.norm.running_var = torch.rand(4), torch.rand(4) + 0.5
        self.norm3d.running_mean, self.norm3d.running_var = torch.rand(4), torch.rand(4) + 0.5
        self.lif, self.out = neurons(), neurons()
        self.lif2, self.lif3 = neurons(), neurons()
        self.gain = nn.Parameter(torch.rand(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.code(self, x)


def checked(network: nn.Module, frames: torch.Tensor = FRAMES) -> Graph:
    """The traced network, once it is sure that its program does what the network does, layer by layer."""
    network = network.double().eval()
    graph = trace(network, frames[:1])
    program = fold(graph)
    verify_module(network, graph, program, frames.numpy())
    run = run_float(program, frames.numpy())
    scores = torch.from_numpy(run.outputs)
    scores = scores / program.steps if program.readout.over_time == "mean" else scores
    assert torch.allclose(scores, torch.from_numpy(run_module(network, frames.numpy())).double(), atol=1e-5)
    assert sum(run.spikes.values()) > 0
    return graph


def repeated(x: torch.Tensor) -> torch.Tensor:
    return x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)


def each_step(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def test_steps_behind_the_samples() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        x = net.lif(each_step(net.conv, x.unsqueeze(1).repeat(1, STEPS, 1, 1, 1)))
        return net.out(net.fc(x.flatten(2))).mean(1)

    graph = checked(Net(code, lambda: Sequences(1)))
    assert graph.steps == STEPS
    assert isinstance(graph["lif"].op, CubaLif)
    assert (graph["lif"].op.decay, graph["lif"].op.reset) == (0.5, "zero")


def test_steps_in_the_last_axis_written_one_after_the_other() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        currents = torch.zeros((*net.conv(x).shape, STEPS), dtype=x.dtype)
        for step in range(STEPS):
            currents[..., step] = net.norm(net.conv(x))
        spikes = net.lif(currents).flatten(1, 3)
        scores = torch.zeros(len(x), 5, STEPS, dtype=x.dtype)
        for step in range(STEPS):
            scores[..., step] = net.fc(spikes[..., step])
        return net.out(scores).sum(-1) / STEPS

    checked(Net(code, lambda: Sequences(-1, reset="subtract")))


def test_normalisation_with_channels_before_the_steps() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        currents = torch.zeros(STEPS, len(x), 4, 8, 8, dtype=x.dtype)
        for step in range(STEPS):
            currents[step] = F.conv2d(x, net.conv.weight, net.conv.bias, padding=1)
        normed = net.norm3d(currents.transpose(0, 2).transpose(0, 1)).transpose(0, 1).transpose(0, 2)
        spikes = net.lif(normed.contiguous())
        pooled = F.adaptive_avg_pool3d(spikes, (None, 8, 8))
        return net.out(net.fc(pooled.flatten(2))).mean(0)

    graph = checked(Net(code, lambda: Sequences(0)))
    assert isinstance(graph["conv"].op, Conv)


def test_neurons_that_make_one_step_a_call_and_arithmetic_by_channel() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(len(x), 5, dtype=x.dtype)
        for _ in range(STEPS):
            current = (net.conv(x) - 0.1) * net.gain[None, :, None, None] / 0.5 + 0.2
            total += net.out(F.linear(net.lif(current).flatten(1), net.fc.weight, net.fc.bias))
        return total / STEPS

    graph = checked(Net(code, Steps))
    assert isinstance(graph["lif"].op, CubaLif)
    assert abs(graph["lif"].op.decay - 1 / 3) < 1e-6
    assert abs(graph["lif"].op.threshold - 0.9) < 1e-6


def test_steps_behind_each_other_in_the_axis_of_samples() -> None:
    class Merged(Sequences):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.view(STEPS, -1, *x.shape[1:])).flatten(0, 1)

    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        spikes = net.lif(net.norm(net.conv(torch.cat([x for _ in range(STEPS)], 0))))
        return net.out(net.fc(spikes.flatten(1))).view(STEPS, len(x), -1).mean(0)

    checked(Net(code, Merged))


def test_one_module_of_neurons_without_state_does_for_all_layers() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        x = net.lif(each_step(net.conv, repeated(x)))
        x = net.lif(each_step(net.conv2, x))
        return net.lif(net.fc(x.flatten(2))).mean(0)

    graph = checked(Net(code, lambda: Sequences(0)))
    assert [node.name for node in graph.nodes if isinstance(node.op, CubaLif)] == ["lif", "lif@2", "lif@3"]


def test_neurons_with_state_are_not_shared() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        return sum(net.out(net.fc(net.lif(net.conv2(net.lif(net.conv(x)))).flatten(1))) for _ in range(STEPS)) / STEPS

    with pytest.raises(UnsupportedNetwork, match="layer lif: it is used on the output of conv and again on that of"):
        trace(Net(code, Steps).double(), FRAMES[:1])


class Unlike(nn.Module):
    """Neurons of one step a call whose step is given."""

    def __init__(self, step: Callable[[Any, torch.Tensor], tuple[torch.Tensor, Any]]) -> None:
        super().__init__()
        self.step, self.potential = step, 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spike, self.potential = self.step(self.potential, x)
        return spike

    def reset(self) -> None:
        self.potential = 0.0


def fire(potential: torch.Tensor, after: Callable[[torch.Tensor], Any]) -> tuple[torch.Tensor, Any]:
    spike = Fires.apply(potential - 1.0)
    return spike, torch.where(spike > 0, after(potential), potential)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda v, x: fire(v + x, lambda v: 0.2 + 0 * v), "after a spike its potential is 0.2, where it may be 0 or 1"),
        (lambda v, x: fire(v + x, lambda v: v - 0.5), "a spike takes 0.5 off its potential, while it fires from 1 on"),
        (lambda v, x: fire(v + 0.1 + x, lambda v: 0 * v), "its potential moves by 0.1 in a step without input"),
        (
            lambda v, x: fire((v + x).clamp(min=-0.5), lambda v: 0 * v),
            "of a potential of 0.5 it keeps 1 in a step, of -4 0.125, so its leak is not",
        ),
        (lambda v, x: fire(1.5 * v + x, lambda v: 0 * v), "it keeps 1.5 of its potential in a step, where 0 to 1 can"),
        (lambda v, x: fire(0 * v + x, lambda v: 0 * v), "it keeps nothing of its potential from step to step"),
        (lambda v, x: fire(v + x + 1.1, lambda v: 0 * v), "it fires without input"),
        (
            lambda v, x: fire(v + x, lambda v: v - 1e9),
            "it does not fire in the step after a spike, whatever it receives",
        ),
        (lambda v, x: fire(v + x - 0.3 * x.mean((1, 2, 3), True), lambda v: 0 * v), "neurons of it act on each other"),
    ],
)
def test_what_tells_neurons_from_those_of_the_chip_is_said(step: Any, reason: str) -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        return sum(net.out(net.fc(net.lif(net.conv(x)).flatten(1))) for _ in range(STEPS)) / STEPS

    network = Net(code, Steps).double()
    network.lif = Unlike(step)
    with pytest.raises(UnsupportedNetwork) as caught:
        trace(network, FRAMES[:1])
    assert f"layer lif: Unlike is no neuron of the chip, since {reason}" in str(caught.value)
    assert caught.value.problems[0].endswith("; use LIFNode, IFNode or ParametricLIFNode")


@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1)])
def test_the_maximum_of_a_sum_of_spikes(window: tuple[int, int, int]) -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        one = net.lif(each_step(net.conv, repeated(x)))
        two = net.lif2(each_step(net.conv2, one))
        three = net.lif3(each_step(net.norm, one))
        most = each_step(nn.MaxPool2d(*window), one + two + three)
        return net.out(each_step(nn.Linear(64, 5, dtype=x.dtype), most.flatten(2)) if False else most.flatten(2)).mean(
            0
        )

    graph = checked(Net(code, lambda: Sequences(0, leak=0.9)))
    program = fold(graph)
    assert len([each for each in program.layers if ".places" in each.name]) == 2  # of two, and of three spikes


@pytest.mark.parametrize("join", [lambda a, b: a * b, lambda a, b: a * (1.0 - b), lambda a, b: (1.0 - a) * (1.0 - b)])
def test_products_of_spikes(join: Any) -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        one = net.lif(each_step(net.conv, repeated(x)))
        two = net.lif2(each_step(net.conv2, one))
        return net.out(net.fc(join(one, two).flatten(2))).mean(0)

    checked(Net(code, lambda: Sequences(0, leak=0.9)))


def test_products_of_other_things_are_refused() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        one = each_step(net.conv, repeated(x))
        return net.out(net.fc((one * net.lif(one)).flatten(2))).mean(0)

    with pytest.raises(UnsupportedNetwork, match="it multiplies conv by lif, which the chip does of spikes alone"):
        trace(Net(code, lambda: Sequences(0)).double(), FRAMES[:1])


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (4, 1), (3, 2), (2, 1)])
def test_padding_same(kernel: int, dilation: int) -> None:
    conv = nn.Conv2d(2, 4, kernel, padding="same", dilation=dilation).double()
    op, problem = read_layer("conv", conv, (2, 8, 8))
    assert isinstance(op, Conv)
    assert problem is None
    given = F.conv2d(FRAMES, torch.tensor(op.weight), torch.tensor(op.bias), op.stride, op.padding, op.dilation)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patched:
        patched.setattr("warnings.warn", lambda *_, **__: None)
        wide = F.pad(FRAMES, [dilation * (kernel - 1) // 2, -(-dilation * (kernel - 1) // 2)] * 2)
        assert torch.allclose(given, F.conv2d(wide, conv.weight, conv.bias, dilation=dilation))


def test_padding_same_that_no_pixels_express_is_refused() -> None:
    conv = nn.Conv2d(2, 4, 4, padding="same", dilation=3)
    assert read_layer("conv", conv, (2, 8, 8)) == (
        None,
        "layer conv: padding 'same' of (9, 9) with a dilation cannot be mapped; give it in pixels",
    )


@pytest.mark.parametrize("size", [3, 5, (3, 8), 16])
def test_adaptive_pooling_with_windows_that_differ_before_a_linear_layer(size: Any) -> None:
    height, width = size if isinstance(size, tuple) else (size, size)
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), neuron.IFNode(v_threshold=0.3), nn.AdaptiveAvgPool2d(size), nn.Flatten(),
        nn.Linear(4 * height * width, 5), neuron.IFNode(v_threshold=0.2),
    )  # fmt: skip
    checked(network)


@pytest.mark.parametrize(
    "wide",
    [nn.Conv3d(2, 4, (1, 3, 3), padding=(0, 1, 1)), nn.Conv3d(2, 4, (3, 3, 1), padding=(1, 1, 0))],
    ids=["steps first", "steps last"],
)
def test_layers_of_three_axes_that_leave_the_steps_alone(wide: nn.Conv3d) -> None:
    last = wide.kernel_size[2] == 1
    network = nn.Sequential(wide, nn.BatchNorm3d(4), Sequences(-1 if last else 2), nn.Flatten(1, -2 if last else 1))

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fc = network[:3], nn.Linear(256, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spikes = self.body(torch.stack([x] * STEPS, -1 if last else 2))
            return self.fc(spikes.movedim(-1 if last else 2, 0).flatten(2)).mean(0)

    checked(Whole())


def test_layers_that_mix_steps_are_refused() -> None:
    class Mixes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lif = nn.Conv3d(2, 4, 3, padding=1), Sequences(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lif(self.conv(torch.stack([x] * STEPS, 2))).mean((3, 4)).mean(2)

    with pytest.raises(UnsupportedNetwork, match=r"layer conv: its kernel of \(3, 3, 3\) reaches over"):
        trace(Mixes().double(), FRAMES[:1])


@pytest.mark.parametrize(
    ("takes", "forward"),
    [
        (
            "time-last sequences",
            lambda net, x: net.out(net.fc(x.flatten(1, 3).transpose(1, 2)).transpose(1, 2)).mean(2),
        ),
        ("sequences", lambda net, x: net.out(net.fc(x)).mean(0)),
    ],
)
def test_forms_are_found(takes: str, forward: Any) -> None:
    network = Net(forward, lambda: Sequences(2 if takes.startswith("time") else 0))
    network.fc = nn.Linear(128, 5)
    shown = present(network, (2, 8, 8), STEPS)
    assert isinstance(shown, Presentation)
    assert shown.form == Form(takes, steps=STEPS, flat=takes == "sequences")  # type: ignore[arg-type]
    checked(shown)


def test_layers_in_step_mode_s_that_take_sequences_are_put_into_mode_m() -> None:
    network = nn.Sequential(layer.Linear(8, 5), neuron.IFNode(v_threshold=0.2))

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x).mean(0)

    shown = present(Rows(), (1, 1, 8), 8, sequence=True)
    assert isinstance(shown, Presentation)
    assert shown.form.title == "[T, N, C * H * W] in step mode 'm'"
    checked(shown, torch.rand(6, 8, 1, 1, 8, dtype=torch.float64))


def test_neurons_that_hardly_fire_do_not_hide_how_samples_are_taken() -> None:
    """Samples taken for steps change what inner layers give, though the output is the same for all."""

    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        return net.out(net.fc(net.lif(each_step(net.conv, x)).flatten(2)) - 1e3).mean(1)

    shown = present(Net(code, lambda: Sequences(1)), (2, 8, 8), STEPS)
    assert isinstance(shown, Presentation)
    assert shown.form.takes == "batch-first sequences"


def test_parts_of_one_reason_are_named_together_and_no_more_than_a_screen() -> None:
    problems = [f"layer lif{number}: Leaky is odd" for number in range(46)]
    assert grouped(problems) == ("layers lif0, lif1, lif2, lif3 and 42 more: Leaky is odd",)
    many = UnsupportedNetwork([f"layer a{number}: reason {number}" for number in range(30)] + ["layer z: so"], 1)
    assert str(many).endswith("layer a7: reason 7; and 22 other reasons; and 1 that follows from this")
    assert len(many.problems) == 31


def test_what_follows_from_a_cause_is_counted_alone() -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.Flatten(),
        nn.Linear(16, 5), neuron.IFNode(),
    )  # fmt: skip
    with pytest.raises(UnsupportedNetwork) as caught:
        trace(network.double(), FRAMES[:1])
    assert "layer 1: GroupNorm cannot be mapped, since it normalises by the values of each sample" in str(caught.value)
    assert "maximum pooling" not in str(caught.value)
    assert caught.value.consequences == len(caught.value.problems) - 1 > 0


def test_spikes_of_another_height_are_refused() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        return net.out(net.fc(net.lif(each_step(net.conv, repeated(x))).flatten(2))).mean(0)

    with pytest.raises(UnsupportedNetwork, match=r"Sequences is no neuron of the chip, since it gives 0\.3 for a"):
        trace(Net(code, lambda: Sequences(0, height=0.3)).double(), FRAMES[:1])


class OfChannels(nn.Module):
    """Neurons of which each has a threshold, a leak and a rest as its place in these tensors has."""

    def __init__(self, threshold: torch.Tensor, leak: Any = 0.5, reset: str = "zero") -> None:
        super().__init__()
        self.threshold, self.leak, self.reset_by = nn.Parameter(threshold), leak, reset
        self.potential: Any = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.potential = self.potential * self.leak + x
        spike = Fires.apply(self.potential - self.threshold)
        if self.reset_by == "zero":
            self.potential = self.potential * (1 - spike)
        else:
            self.potential = self.potential - spike * self.threshold
        return spike

    def reset(self) -> None:
        self.potential = 0.0


def of_channels(*args: Any) -> Net:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        return sum(net.out(net.fc(net.lif(net.norm(net.conv(x))).flatten(1))) for _ in range(STEPS)) / STEPS

    network = Net(code, Steps)
    network.lif = OfChannels(*args)
    return network.double()


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (4, 8, 8)])
def test_thresholds_by_channel_are_taken_up_by_the_weights(reset: str, shape: tuple[int, ...]) -> None:
    thresholds = torch.tensor([0.2, 0.7, 1.0, 3.0], dtype=torch.float64).reshape(4, 1, 1)
    network = of_channels(thresholds.expand(shape[-3:]).reshape(shape).clone(), 0.5, reset)
    found = checked(network)["lif"].op
    assert isinstance(found, CubaLif) and found.reset == reset
    given = np.asarray(found.gain)
    np.testing.assert_allclose(given[:, 0, 0] / given[0, 0, 0], [1.0, 0.2 / 0.7, 0.2, 0.2 / 3.0], rtol=1e-6)


@pytest.mark.parametrize(
    "neurons", [lambda: neuron.LIFNode(2.0, v_reset=-0.3), lambda: neuron.LIFNode(3.0, False, 0.5, 0.2),
                lambda: neuron.IFNode(1.0, 0.4), lambda: neuron.ParametricLIFNode(v_threshold=0.2, v_reset=-0.5)]
)  # fmt: skip
def test_potentials_may_rest_elsewhere(neurons: Any) -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        return sum(net.out(net.fc(net.lif(net.norm(net.conv(x))).flatten(1))) for _ in range(STEPS)) / STEPS

    checked(Net(code, neurons))


def test_thresholds_of_features_differ_as_they_like() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        return sum(net.out(net.fc(net.lif(net.conv(x)).flatten(1))) for _ in range(STEPS)) / STEPS

    network = Net(code, Steps)
    network.out = OfChannels(torch.linspace(0.2, 1.0, 5, dtype=torch.float64))
    checked(network)


@pytest.mark.parametrize(
    ("neurons", "reason"),
    [
        (
            (torch.linspace(0.5, 1.5, 64).reshape(8, 8).double(),),
            "layer lif: its neurons differ within a channel in their thresholds or the gain of their input, while the",
        ),
        (
            (torch.tensor([0.5]).double(), torch.tensor([0.3, 0.5, 0.6, 0.9]).reshape(4, 1, 1).double()),
            "differ among each other in more than their thresholds, and those of a layer of the chip have one decay",
        ),
        ((torch.tensor([-0.5, 0.5, 0.6, 0.9]).reshape(4, 1, 1).double(),), "its neurons differ among each other"),
    ],
)
def test_neurons_that_differ_otherwise_are_refused(neurons: Any, reason: str) -> None:
    with pytest.raises(UnsupportedNetwork) as caught:
        fold(trace(of_channels(*neurons), FRAMES[:1]))
    assert any(reason in problem for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize("leak", [0.05, 0.3, 0.77, 0.98])
def test_a_measured_decay_is_exact(leak: float) -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        return net.lif(each_step(net.conv, repeated(x))).mean((3, 4)).mean(0)

    found = trace(Net(code, lambda: Sequences(0, leak)).double(), FRAMES[:1])["lif"].op
    assert isinstance(found, CubaLif)
    assert abs(found.decay - (1 - leak)) < 1e-6


def test_attention_is_named_where_it_begins() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        tokens = net.lif(each_step(net.conv, repeated(x))).flatten(-2).transpose(-1, -2)
        return net.out(net.fc((tokens @ tokens.transpose(-1, -2) @ tokens).flatten(2))).mean(0)

    with pytest.raises(UnsupportedNetwork) as caught:
        trace(Net(code, lambda: Sequences(0)).double(), FRAMES[:1])
    assert "it makes 64 tokens of 4 features of maps of (4, 8, 8), as attention reads them; attention multi" in str(
        caught.value
    )
    assert sum("matmul" in problem for problem in caught.value.problems) == 2


def test_an_index_that_adds_an_axis_and_numbers_in_the_shape_of_a_signal() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        x = each_step(net.conv, x[None].repeat(STEPS, 1, 1, 1, 1))
        x = net.lif(x * net.gain[None, None, :, None, None].expand_as(x))
        return net.out(net.fc(x.flatten(2))).mean(0)

    assert checked(Net(code, Sequences)).steps == STEPS


class LoopedConv(nn.Conv2d):
    """Its own code goes over the steps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(*x.shape[:2], self.out_channels, *x.shape[3:], dtype=x.dtype)
        for step in range(len(x)):
            out[step] = F.conv2d(x[step], self.weight, self.bias, self.stride, self.padding)
        return out


def test_a_convolution_with_code_of_its_own_is_no_layer_of_neurons() -> None:
    class Looped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList([LoopedConv(2, 3, 3, padding=1), LoopedConv(3, 3, 3, padding=1)])
            self.neurons = nn.ModuleList([Sequences(), Sequences()])
            self.fc = nn.Linear(192, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)
            for conv, fires in zip(self.convs, self.neurons, strict=True):
                x = fires(conv(x))
            return self.fc(x.mean(0).flatten(1))

    torch.manual_seed(0)
    assert checked(Looped()).steps == STEPS
