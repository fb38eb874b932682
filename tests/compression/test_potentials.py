"""What neurons do, recorded within passes that happen anyway, against the neurons' equations in NumPy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from devices import DEVICES
from numpy_neurons import currents_of, run
from sample_networks import Cuba, ParametricTau, SoftReset
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.compression.neuron_layers import NeuronLayer
from neuroprune.compression.potentials import Measure, Moment, Recorder
from neuroprune.compression.scores.neurons import Activity, Criticality
from neuroprune.data.types import Augmentation, Split, make_dataset
from neuroprune.errors import UnsupportedNetwork
from neuroprune.evaluation import evaluation_mode
from neuroprune.graph.nodes import Graph
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.neurons.model import FloatNeuron
from neuroprune.training.observer import Observer, Step, TrainingRun
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import train


@dataclass(frozen=True)
class Mean(Measure):
    """The mean of the potential before reset, of the spikes or of the potential after it."""

    what: str = "potential"

    def begin(self, layer: NeuronLayer, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
        return lambda moment: getattr(moment, self.what).double()

    def of_map(self, means: torch.Tensor) -> torch.Tensor:
        return means.mean(2)


def neurons_in(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes if isinstance(node.op, FloatNeuron) and not node.op.integrates]


def measured(network: nn.Module, layers: list[str], frames: torch.Tensor, measure: Measure) -> dict[str, np.ndarray]:
    recorder = Recorder(network, trace(network, frames), layers, measure)
    functional.reset_net(network)
    with torch.no_grad(), recorder.armed():
        network(frames)
    functional.reset_net(network)
    return recorder.take()


def test_potentials_and_spikes_are_those_of_the_neurons_equations(network: nn.Module, frames: torch.Tensor) -> None:
    layers = neurons_in(trace(network, frames))
    for place, what in enumerate(("potential", "fired", "left")):
        found = measured(network, layers, frames, Mean(what))
        for name in layers:
            expected = run(network.get_submodule(name), currents_of(network, name, frames))[place]
            np.testing.assert_allclose(found[name], expected.mean((0, 1, 3)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [SoftReset, ParametricTau])
def test_other_resets_and_learned_time_constants(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network, frames = kind().double().eval(), 2.0 * torch.randn(5, 1, 8, 8, dtype=torch.float64)
    layers = neurons_in(trace(network, frames))
    found = measured(network, layers, frames, Mean("left"))
    for name in layers:
        expected = run(network.get_submodule(name), currents_of(network, name, frames))[2]
        np.testing.assert_allclose(found[name], expected.mean((0, 1, 3)), rtol=1e-9, atol=1e-12)


def test_neurons_with_a_current_are_followed_within_their_own_resolution() -> None:
    torch.manual_seed(0)
    network, frames = Cuba().eval(), 2.0 * torch.randn(5, 1, 8, 8)
    graph = trace(network, frames)
    layers = neurons_in(graph)
    found = measured(network, layers, frames, Mean())
    for name in layers:
        node = graph[name].op
        assert isinstance(node, FloatNeuron)
        currents = currents_of(network, name, frames)
        i, v, total = np.zeros(currents.shape[1:]), np.zeros(currents.shape[1:]), 0.0
        for x in currents:
            i = i * (1 - node.current_decay) + x
            h = v * (1 - node.decay) + i
            total = total + h
            v = np.where(h >= node.threshold, 0.0, h)
        expected = (total / len(currents)).mean((0, 2))
        np.testing.assert_allclose(found[name], expected, atol=node.deviation(len(currents)), err_msg=name)


def test_passes_add_up_by_their_samples(network: nn.Module, frames: torch.Tensor) -> None:
    layers = neurons_in(trace(network, frames))
    recorder = Recorder(network, trace(network, frames), layers, Criticality())
    for some in (frames[:1], frames[1:4], frames[4:]):
        functional.reset_net(network)
        with torch.no_grad(), recorder.armed():
            network(some)
    parts, whole = recorder.take(), measured(network, layers, frames, Criticality())
    for name in layers:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12)
    functional.reset_net(network)
    with torch.no_grad(), recorder.armed():
        network(frames[:1])
    again = recorder.take()
    assert all((again[name] != whole[name]).any() for name in layers), "what was taken is forgotten"


def hooks_in(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def test_hooks_are_there_while_armed_and_a_pass_that_fails_is_forgotten(
    network: nn.Module, frames: torch.Tensor
) -> None:
    layers = neurons_in(trace(network, frames))
    expected = measured(network, layers, frames, Criticality())
    recorder = Recorder(network, trace(network, frames), layers, Criticality())
    assert hooks_in(network) == 0
    functional.reset_net(network)
    with pytest.raises(ZeroDivisionError), torch.no_grad(), recorder.armed():
        network(frames[:2])
        raise ZeroDivisionError
    assert hooks_in(network) == 0
    functional.reset_net(network)
    recorder.arm()
    with torch.no_grad():
        network(frames[:3])
    recorder.arm()  # again, since a training may have been interrupted before it disarmed
    recorder.disarm()  # no pass
    recorder.arm()
    assert hooks_in(network) == len(layers)
    functional.reset_net(network)
    with torch.inference_mode():
        network(frames)
    recorder.disarm()
    recorder.disarm()
    assert hooks_in(network) == 0
    for name, scores in recorder.take().items():
        np.testing.assert_allclose(scores, expected[name], rtol=1e-12)


def test_two_passes_while_armed_for_one_are_a_mistake() -> None:
    network, frames = SoftReset().eval(), torch.rand(2, 1, 8, 8)
    graph = trace(network, frames)
    recorder = Recorder(network, graph, ["body.1"], Criticality())
    mistake = r"^body\.1: a second pass while the recorder was armed for one$"
    with pytest.raises(AssertionError, match=mistake), torch.no_grad(), recorder.armed():
        network(frames)
        network(frames)
    with pytest.raises(AssertionError, match=r"^nothing was recorded$"):
        Recorder(network, graph, ["body.1"], Criticality()).take()


def test_neurons_that_became_another_kind_since_the_trace_are_refused() -> None:
    network, frames = SoftReset().eval(), torch.rand(2, 1, 8, 8)
    recorder = Recorder(network, trace(network, frames), ["body.1"], Criticality())
    network.body[1].v_reset = 0.5
    with pytest.raises(UnsupportedNetwork, match=r"layer body\.1: hard reset to 0\.5 cannot be mapped"):
        recorder.arm()
    assert hooks_in(network) == 0


# ---------------------------------------------------------------------------------------------------------------------
# Within training

LAYERS = [{"conv": 6}, {"pool": "max"}, {"dropout": 0.2}, {"conv": 8}, {"linear": 8}]
KINDS = {
    "lif": {"kind": "lif", "tau": 1.5},
    "plif, soft reset": {"kind": "plif", "tau": 2.0, "reset": "subtract", "surrogate": "sigmoid"},
    "if": {"kind": "if", "surrogate": "piecewise_quadratic"},
}


def small(kind: str) -> nn.Module:
    neurons = {"v_threshold": 0.5, **KINDS[kind]}
    values = {"name": "r", "title": "t", "data": "x", "steps": 3, "layers": LAYERS, "neuron": neurons}
    return build(parse_recipe(values, "r"), (1, 6, 6), 3)


def data():
    generator = np.random.default_rng(0)
    splits = [Split(generator.integers(0, 256, (n, 1, 6, 6), dtype=np.uint8), np.arange(n) % 3) for n in (48, 9)]
    return make_dataset("noise", *splits, ("a", "b", "c"), Augmentation(1, flip=True))


class Recording(Observer):
    """Takes criticality and activity of every batch but the first of an epoch."""

    def begin(self, run: TrainingRun) -> None:
        layers = [name for name, each in run.module.named_modules() if isinstance(each, neuron.BaseNode)]
        graph = trace(run.module, torch.zeros(1, 1, 6, 6))
        self.recorders = [Recorder(run.module, graph, layers, measure) for measure in (Criticality(), Activity())]
        self.taken: list[dict[str, np.ndarray]] = []

    def after_backward(self, step: Step) -> None:
        if step.iteration % step.run.iterations_per_epoch:
            for recorder in self.recorders:
                recorder.disarm()
                self.taken.append(recorder.take())

    def after_step(self, step: Step) -> None:
        if not step.ends_epoch:
            for recorder in self.recorders:
                recorder.arm()


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_is_recorded_ends_with_the_same_bits(kind: str, amp: bool) -> None:
    settings = TrainSettings(epochs=2, batch=12, lr=0.02, device="cpu", amp=amp)
    watched, alone, recording = small(kind), small(kind), Recording()
    train(watched, data(), settings, observers=[recording])
    train(alone, data(), settings)
    assert len(recording.taken) == 2 * 2 * (48 // 12 - 1)
    for name, tensor in watched.state_dict().items():
        assert torch.equal(tensor, alone.state_dict()[name]), name
    assert hooks_in(watched) == 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_recorded_in_training_is_of_that_batch_and_holds_no_graph(kind: str, amp: bool, device: str) -> None:
    """Under autocast the neurons themselves compute in bfloat16, so potentials are theirs to 3 digits."""
    network = small(kind).to(device).train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.constant_(norm.weight, 1.5)
    plif = [each for each in network.modules() if isinstance(each, neuron.ParametricLIFNode)]
    layers = [name for name, each in network.named_modules() if isinstance(each, neuron.BaseNode)][:-1]
    recorder = Recorder(network, trace(network, torch.zeros(1, 1, 6, 6)), layers, Mean("potential"))
    received: dict[str, torch.Tensor] = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda module, args, spikes, name=name: received.__setitem__(name, args[0].detach().double().cpu())
        )
        for name in layers
    ]
    for shift in (0.0, -1.0):  # the second time with other time constants than when the recorder was made
        for each in plif:
            each.w.data += shift
        functional.reset_net(network)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=amp), recorder.armed():
            output = network(torch.randn(7, 1, 6, 6, device=device))
        found = recorder.take()
        output.float().square().sum().backward()
        for name in layers:
            currents = received[name].flatten(3).numpy() if received[name].ndim > 3 else received[name][..., None]
            expected = run(network.get_submodule(name), np.asarray(currents))[0].mean((0, 1, 3))
            np.testing.assert_allclose(found[name], expected, rtol=0.1 if amp else 1e-3, atol=0.05 if amp else 1e-5)
            assert found[name].dtype == np.float64
    for hook in hooks:
        hook.remove()


def test_no_tensor_of_a_recording_needs_a_gradient() -> None:
    seen: list[Moment] = []

    class Keep(Mean):
        def begin(self, layer: NeuronLayer, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
            return lambda moment: seen.append(moment) or moment.potential

    network = small("plif, soft reset").train()
    graph = trace(network, torch.zeros(1, 1, 6, 6))
    with Recorder(network, graph, ["body.neuron1", "body.neuron2"], Keep()).armed():
        network(torch.randn(4, 1, 6, 6))
    assert len(seen) == 2 * 3
    for moment in seen:
        assert not any(each.requires_grad for each in (moment.potential, moment.fired, moment.left))


def test_evaluation_keeps_nothing_of_a_recording() -> None:
    """The trap that `evaluation_mode` would hide: neurons at rest, and the mode as it was."""
    network, frames = small("lif"), torch.randn(4, 1, 6, 6)
    recorder = Recorder(network, trace(network, frames), ["body.neuron1"], Activity())
    with evaluation_mode(network), torch.no_grad():
        plain = network(frames)
    with evaluation_mode(network), torch.no_grad(), recorder.armed():
        assert torch.equal(network(frames), plain)


def test_layers_of_plain_features_are_recorded_too() -> None:
    network = nn.Sequential(layer.Flatten(), layer.Linear(3, 4), neuron.LIFNode(tau=2.0))
    recorder = Recorder(network, trace(network, torch.zeros(1, 3, 1, 1)), ["2"], Criticality())
    with torch.no_grad(), recorder.armed():
        for _ in range(3):
            network(torch.randn(5, 3))
    assert recorder.take()["2"].shape == (4,)
