"""Records what layers of neurons do within a forward pass that happens anyway, in training as in evaluation.

SpikingJelly keeps the potential after reset only, and in multi-step mode that of the last step alone; so the potential
before reset is computed again, from what the neurons received and from where the module itself fired. The neurons are
read from the module when the pass reaches them, since training changes them (the time constant of a ParametricLIF).

Nothing of it reaches the numbers of the network: tensors are detached, and the hooks return nothing. Hooks are there
while a recorder is armed, so between recordings nothing is slower.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.read import Readers
from neuroprune.neurons.catalog import neuron_models
from neuroprune.neurons.model import FloatNeuron, NeuronModel, State

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moment:
    """What the neurons of a layer did in one step: tensors [N, channels, ...] without gradient.

    potential: before the reset (h); left: after it (v); both float32 or float64. fired: bool.
    """

    potential: torch.Tensor
    fired: torch.Tensor
    left: torch.Tensor


class Measure(ABC):
    """A figure of every channel of neurons: its mean over time, then one value of the map, then its mean over samples.

    So no more than one step of a layer and the sum of the steps before it are held.
    """

    @abstractmethod
    def begin(self, name: str, layer: nn.Module, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
        """What is averaged over the steps of a pass, [N, channels, ...], for the neurons `layer` at path `name`."""

    @abstractmethod
    def of_map(self, means: torch.Tensor) -> torch.Tensor:
        """One value of each map: [N, channels, positions] -> [N, channels]; fully connected neurons have 1 position."""


class Recorder:
    """Measures layers of a network, given by their paths, in forward passes that the caller makes.

    Each pass has the neurons at rest when it begins, and is recorded between `arm` and `disarm`:

        recorder = Recorder(module, ["body.neuron1"], Criticality())
        functional.reset_net(module)
        with recorder.armed():
            module(frames)
        recorder.take()["body.neuron1"]  # float64 [channels]

    In a training that is `arm` before a forward pass, and `disarm` after it.
    neurons: the models that layers are read as, by default all that neuroprune has.
    """

    def __init__(
        self, module: nn.Module, layers: Iterable[str], measure: Measure, neurons: Sequence[NeuronModel] | None = None
    ) -> None:
        self._layers = {name: _layer_at(module, name) for name in dict.fromkeys(layers)}
        self._measure = measure
        self._readers = Readers(neuron_models() if neurons is None else tuple(neurons))
        self._passes: dict[str, _Pass] = {}
        self._hooks: list[RemovableHandle] = []
        self._totals: dict[str, torch.Tensor] = {}
        self._samples = 0

    def arm(self) -> None:
        """Record the next forward pass; what is left of one that was not ended by `disarm` is forgotten."""
        self._detach()
        self._passes = {name: _Pass(name, self._measure, self._readers) for name in self._layers}
        self._hooks = [layer.register_forward_hook(self._passes[name]) for name, layer in self._layers.items()]

    def disarm(self) -> None:
        """Add the samples of the pass since `arm` to what was recorded; nothing where there was no pass."""
        self._detach()
        scores = {name: each.scores() for name, each in self._passes.items() if each.steps}
        self._passes = {}
        for name, of_samples in scores.items():
            total = of_samples.double().sum(0)
            self._totals[name] = total + self._totals[name] if name in self._totals else total
        self._samples += len(next(iter(scores.values()))) if scores else 0

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Within it one forward pass is recorded; one that fails is forgotten."""
        self.arm()
        try:
            yield
        except BaseException:
            self._detach()
            self._passes = {}
            raise
        self.disarm()

    def take(self) -> dict[str, Scores]:
        """Of each layer the means over all samples since the last call, float64 [channels]; they are then forgotten."""
        assert self._samples, "nothing was recorded"
        means = {name: (self._totals[name] / self._samples).cpu().numpy() for name in self._layers}
        self._totals, self._samples = {}, 0
        return means

    def _detach(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


class _Pass:
    """A forward hook on one layer, for one pass: one call with [T, N, ...] in multi-step mode, or T with [N, ...]."""

    def __init__(self, name: str, measure: Measure, readers: Readers) -> None:
        self._name = name
        self._measure = measure
        self._readers = readers
        self._neurons: FloatNeuron | None = None
        self._state: State = ()
        self._total = torch.zeros(())
        self.steps = 0

    def __call__(self, layer: Any, args: tuple[torch.Tensor, ...], spikes: torch.Tensor) -> None:
        received, spikes = args[0].detach(), spikes.detach()
        if getattr(layer, "step_mode", "s") == "m":
            assert self.steps == 0, f"{self._name}: a second pass while the recorder was armed for one"
        else:
            received, spikes = received[None], spikes[None]
        plain = torch.autocast(received.device.type, enabled=False)
        with torch.inference_mode(False), torch.no_grad(), plain:
            for current, spike in zip(received, spikes, strict=True):
                self._step(layer, current.to(torch.promote_types(current.dtype, torch.float32)), spike.bool())

    def _step(self, layer: nn.Module, current: torch.Tensor, fired: torch.Tensor) -> None:
        if self._neurons is None:
            self._neurons = _read(self._readers, self._name, layer)
            self._state = self._neurons.rest(current)
            self._figure = self._measure.begin(self._name, layer, self._neurons)
        gain = self._neurons.gain
        current = (
            current if np.all(gain == 1.0) else torch.tensor(gain, dtype=current.dtype, device=current.device) * current
        )
        state = self._neurons.integrate(self._state, current, 0.0)
        self._state = self._neurons.after_spike(state, fired)
        figure = self._figure(Moment(state[-1], fired, self._state[-1]))
        if self.steps == 0:
            self._total = torch.zeros_like(figure)
        self._total.add_(figure)
        self.steps += 1

    def scores(self) -> torch.Tensor:
        """Of each sample and channel, [N, channels]."""
        mean = self._total / self.steps
        return self._measure.of_map(mean.flatten(2) if mean.ndim > 2 else mean.unsqueeze(2))


def _layer_at(module: nn.Module, name: str) -> nn.Module:
    """The layer at path `name`. Raises UnsupportedNetwork for one of several that a single module computes."""
    try:
        return module.get_submodule(name)
    except AttributeError:
        raise UnsupportedNetwork(
            [
                f"layer {name}: one module computes several layers of neurons, so that the potentials of one cannot be "
                "recorded; give each a module of its own, or prune by --method slimming"
            ]
        ) from None


def _read(readers: Readers, name: str, layer: nn.Module) -> FloatNeuron:
    if not readers.know(layer):
        raise UnsupportedNetwork(
            [
                f"layer {name}: potentials are recorded of SpikingJelly's own neurons, and {type(layer).__name__} is a "
                "class of yours; use LIFNode, IFNode or ParametricLIFNode, or prune by --method slimming"
            ]
        )
    found, problem = readers.read(name, layer, ())
    if problem is not None:
        raise UnsupportedNetwork([problem])
    assert isinstance(found, FloatNeuron), f"{name} is no layer of neurons"
    return found
