"""What neurons of a class of the user's do, recorded and scored, against SpikingJelly's own of the same dynamics."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import nn

from neuroprune.compression.compress import compress
from neuroprune.compression.neuron_layers import NeuronLayer
from neuroprune.compression.potentials import Measure, Moment, Recorder
from neuroprune.compression.scores.neurons import Activity, Criticality
from neuroprune.compression.settings import CompressSettings
from neuroprune.data.types import Augmentation, Split, make_dataset
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.graph.trace import trace
from neuroprune.neurons.model import FloatNeuron
from neuroprune.training.observer import Observer, Step, TrainingRun
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import train

STEPS, TAU = 4, 2.0
FRAMES = torch.rand(6, 2, 6, 6, generator=torch.Generator().manual_seed(3))


class Fires(torch.autograd.Function):
    """ATan with alpha 2, by hand."""

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(u)
        return (u >= 0).to(u)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (u,) = ctx.saved_tensors
        return gradient / (1 + (math.pi * u).square())


class Silent(Fires):
    """A function without a slope."""

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return 0.0 * gradient


class Sequences(nn.Module):
    """LIF neurons with time constant `TAU` that take all steps in the axis `time`, and keep no state between calls."""

    def __init__(self, time: int = 0, fires: Callable[[torch.Tensor], torch.Tensor] = Fires.apply) -> None:
        super().__init__()
        self.time, self.fires = time, fires

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        v, spikes = torch.zeros(()), []
        for current in x.unbind(self.time):
            v = v + (current - v) / TAU
            spikes.append(self.fires(v - 1.0))
            v = v * (1.0 - spikes[-1])
        return torch.stack(spikes, self.time)


class Merged(Sequences):
    """With the steps behind each other in the axis of samples."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.unflatten(0, (STEPS, -1))).flatten(0, 1)


class OneStep(nn.Module):
    """One step a call. What is learned is their time constant, as of ParametricLIFNode."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.0))
        self.reset()

    def reset(self) -> None:
        self.v: Any = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        v = self.v + (x - self.v) * self.w.sigmoid()
        spike = Fires.apply(v - 1.0)
        self.v = v * (1.0 - spike)
        return spike


def lif() -> nn.Module:
    return neuron.LIFNode(tau=TAU, surrogate_function=surrogate.ATan(2.0), step_mode="m")


class Net(nn.Module):
    """Convolutions of `FRAMES`, and neurons behind each of them, as `code` joins them."""

    def __init__(self, code: Callable[["Net", torch.Tensor], torch.Tensor], neurons: Callable[[], nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.code = code
        self.conv1, self.conv2, self.fc = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 8, 3), nn.Linear(32, 3)
        for each in (self.conv1, self.conv2):
            each.weight.data *= 4.0
        self.one, self.two, self.three = neurons(), neurons(), neurons()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.one.reset() if isinstance(self.one, OneStep) else None
        self.two.reset() if isinstance(self.two, OneStep) else None
        self.three.reset() if isinstance(self.three, OneStep) else None
        return self.code(self, x)


def each_step(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def steps_first(net: Net, x: torch.Tensor) -> torch.Tensor:
    x = net.one(each_step(net.conv1, x.expand(STEPS, *x.shape)))
    return net.three(net.fc(net.two(each_step(net.conv2, x)).flatten(2))).mean(0)


def samples_first(net: Net, x: torch.Tensor) -> torch.Tensor:
    x = net.one(each_step(net.conv1, x.unsqueeze(1).repeat(1, STEPS, 1, 1, 1)))
    return net.three(net.fc(net.two(each_step(net.conv2, x)).flatten(2))).mean(1)


def merged(net: Net, x: torch.Tensor) -> torch.Tensor:
    x = net.two(net.conv2(net.one(net.conv1(x.repeat(STEPS, 1, 1, 1))))).flatten(1)
    return net.three(net.fc(x)).unflatten(0, (STEPS, -1)).mean(0)


def one_for_all(net: Net, x: torch.Tensor) -> torch.Tensor:
    x = net.one(each_step(net.conv1, x.expand(STEPS, *x.shape)))
    return net.one(net.fc(net.one(each_step(net.conv2, x)).flatten(2))).mean(0)


def loop(net: Net, x: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(())
    for _ in range(STEPS):
        total = total + net.three(net.fc(net.two(net.conv2(net.one(net.conv1(x)))).flatten(1)))
    return total / STEPS


WRITTEN = {
    "steps first": (steps_first, Sequences, ("one", "two")),
    "samples first": (samples_first, lambda: Sequences(1), ("one", "two")),
    "steps and samples in one axis": (merged, Merged, ("one", "two")),
    "one module for all layers": (one_for_all, Sequences, ("one", "one@2")),
    "a step a call": (loop, OneStep, ("one", "two")),
}


@dataclass(frozen=True)
class Mean(Measure):
    what: str

    def begin(self, layer: NeuronLayer, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
        return lambda moment: getattr(moment, self.what).double()

    def of_map(self, means: torch.Tensor) -> torch.Tensor:
        return means.mean(2)


def measured(network: nn.Module, layers: tuple[str, ...], *measures: Measure) -> list[np.ndarray]:
    """Of each measure and layer, [channels]."""
    graph, found = trace(network.eval(), FRAMES), []
    for measure in measures:
        recorder = Recorder(network, graph, layers, measure)
        functional.reset_net(network)
        with torch.no_grad(), recorder.armed():
            network(FRAMES)
        functional.reset_net(network)
        found += list(recorder.take().values())
    return found


@pytest.mark.parametrize("form", WRITTEN)
def test_they_are_recorded_and_scored_as_spikingjellys_of_the_same_dynamics(form: str) -> None:
    code, neurons, layers = WRITTEN[form]
    measures = (Mean("potential"), Mean("fired"), Mean("left"), Criticality(), Criticality("mean", "paper"), Activity())
    found = measured(Net(code, neurons), layers, *measures)
    expected = measured(Net(steps_first, lif), ("one", "two"), *measures)
    for one, other in zip(found, expected, strict=True):
        assert other.std() > 0.0
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def stripes() -> Any:
    generator = np.random.default_rng(0)
    splits = [Split(generator.integers(0, 256, (n, 2, 6, 6), dtype=np.uint8), np.arange(n) % 3) for n in (24, 6)]
    return make_dataset("noise", *splits, ("a", "b", "c"), Augmentation())


@pytest.mark.parametrize("form", ["samples first", "one module for all layers", "a step a call"])
def test_criticality_keeps_the_channels_that_it_keeps_of_spikingjellys(form: str) -> None:
    code, neurons, _ = WRITTEN[form]
    settings = CompressSettings(flops=0.6, method="criticality", score="criticality", regenerate_by="none")
    kept = [compress(net, stripes(), settings).kept for net in (Net(code, neurons), Net(steps_first, lif))]
    assert kept[0].keys() == kept[1].keys() == {"conv1", "conv2"}
    for name, mask in kept[0].items():
        np.testing.assert_array_equal(mask, kept[1][name])


@pytest.mark.parametrize("form", ["one module for all layers", "a step a call"])
def test_criticality_of_weights_while_they_train_and_learn(form: str) -> None:
    code, neurons, _ = WRITTEN[form]
    tune = TrainSettings(epochs=1, batch=8, device="cpu")
    settings = CompressSettings(sparsity=0.5, method="criticality", start="trained", interval=1, fine_tune=tune)
    result = compress(Net(code, neurons), stripes(), settings)
    assert result.targets[0].reached == pytest.approx(0.5, abs=0.01)
    assert any(step.cut for step in result.survival)


class Recording(Observer):
    """Takes criticality of every batch."""

    def begin(self, run: TrainingRun) -> None:
        graph = trace(run.module, FRAMES)
        self.recorder = Recorder(run.module, graph, ("one", "two"), Criticality())
        self.taken: list[np.ndarray] = []

    def before_forward(self, step: Step) -> None:
        self.recorder.arm()

    def after_backward(self, step: Step) -> None:
        self.recorder.disarm()
        self.taken.append(self.recorder.take()["one"])


def test_a_training_that_is_recorded_ends_with_the_same_bits() -> None:
    settings = TrainSettings(epochs=1, batch=8, lr=0.1, device="cpu")
    watched, alone, recording = Net(loop, OneStep), Net(loop, OneStep), Recording()
    train(watched, stripes(), settings, observers=[recording])
    train(alone, stripes(), settings)
    assert len(recording.taken) == 3 and watched.one.w != 0.0
    for name, tensor in watched.state_dict().items():
        assert torch.equal(tensor, alone.state_dict()[name]), name
    assert not any(module._forward_hooks for module in watched.modules())


def test_what_they_have_learned_since_they_were_traced_counts() -> None:
    network, same = Net(loop, OneStep).eval(), Net(steps_first, lif)
    recorder = Recorder(network, trace(network, FRAMES), ("one",), Criticality())
    for w, tau in ((0.0, 2.0), (math.log(3.0), 4.0 / 3.0)):
        network.one.w.data.fill_(w)
        same.one.tau = tau
        network(FRAMES).sum().backward()  # leaves potentials that have gradients
        with torch.no_grad(), recorder.armed():
            network(FRAMES)
        (expected,) = measured(same, ("one",), Criticality())
        np.testing.assert_allclose(recorder.take()["one"], expected, rtol=1e-4)


def test_neurons_that_learned_to_be_others_are_refused() -> None:
    class Drifts(OneStep):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * (1.0 + self.w)

    network = Net(loop, Drifts).eval()
    recorder = Recorder(network, trace(network, FRAMES), ("one",), Criticality())
    network.one.w.data.fill_(0.5)
    expected = (
        r"layer one: with what it has learned, Drifts is no neuron of the chip any more, since it gives 1\.5 for a "
        r"spike, where 1 is handed on; hold what it learns within what the chip has"
    )
    with pytest.raises(UnsupportedNetwork, match=expected):
        recorder.arm()
    network.one.w.data.fill_(-1.0)
    with pytest.raises(UnsupportedNetwork, match=r"any more, since it gives something else than spikes"):
        recorder.arm()


def test_neurons_without_a_slope_are_scored_by_the_papers_alone() -> None:
    network = Net(steps_first, lambda: Sequences(fires=Silent.apply))
    expected = (
        r"^layer one: the derivative of what Sequences gives is 0 at the threshold, but scores are in units of that; "
        r"score by the paper's surrogate function \(--surrogate paper\)$"
    )
    with pytest.raises(InputError, match=expected):
        measured(network, ("one",), Criticality())
    assert measured(network, ("one",), Criticality(surrogate="paper"))[0].any()
