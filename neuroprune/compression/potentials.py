"""Records what layers of neurons do within a forward pass that happens anyway, in training as in evaluation.

SpikingJelly keeps the potential after reset only, and in multi-step mode that of the last step alone; so the potential
before reset is computed again, from what the neurons received and from where the module itself fired. So it is for
every class of neurons that the traced graph has, the user's own too. They are read when a recorder is armed, since
training changes them.

Nothing of it reaches the numbers of the network: tensors are detached, and the hooks return nothing. Hooks are there
while a recorder is armed, so between recordings nothing is slower.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from neuroprune.compression.neuron_layers import NeuronLayer
from neuroprune.graph.nodes import Graph
from neuroprune.graph.read import Readers
from neuroprune.neurons.catalog import neuron_models
from neuroprune.neurons.model import FloatNeuron, NeuronModel, State

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moment:
    """What the neurons of a layer did in one step: tensors [N, channels, ...] without gradient.

    The potential is in the module's own unit, or in thresholds where that is not known: see `NeuronLayer.neurons`.

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
    def begin(self, layer: NeuronLayer, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
        """What is averaged over the steps of a pass, [N, channels, ...]. neurons: of the `layer`, as they are now."""

    @abstractmethod
    def of_map(self, means: torch.Tensor) -> torch.Tensor:
        """One value of each map: [N, channels, positions] -> [N, channels]; fully connected neurons have 1 position."""


class Recorder:
    """Measures layers of a network, the nodes `layers` of its `graph`, in forward passes that the caller makes.

    Each pass has the neurons at rest when it begins, and is recorded between `arm` and `disarm`:

        recorder = Recorder(module, trace(module, frames), ["body.neuron1"], Criticality())
        functional.reset_net(module)
        with recorder.armed():
            module(frames)
        recorder.take()["body.neuron1"]  # float64 [channels]

    In a training that is `arm` before a forward pass, and `disarm` after it.
    neurons: the models that layers are read as, by default all that neuroprune has.
    """

    def __init__(
        self,
        module: nn.Module,
        graph: Graph,
        layers: Iterable[str],
        measure: Measure,
        neurons: Sequence[NeuronModel] | None = None,
    ) -> None:
        readers = Readers(neuron_models() if neurons is None else tuple(neurons))
        self._layers = {name: NeuronLayer(module, graph, name, readers) for name in dict.fromkeys(layers)}
        self._measure = measure
        self._passes: dict[str, _Pass] = {}
        self._hooks: list[RemovableHandle] = []
        self._totals: dict[str, torch.Tensor] = {}
        self._samples = 0

    def arm(self) -> None:
        """Record the next forward pass; what is left of one that was not ended by `disarm` is forgotten.

        Raises UnsupportedNetwork where neurons have become others than the chip's, InputError where they do not suit
        the measure.
        """
        self._detach()
        self._passes = {name: _Pass(layer, self._measure) for name, layer in self._layers.items()}
        self._hooks = [self._layers[name].module.register_forward_hook(each) for name, each in self._passes.items()]

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
    """A forward hook on the module of one layer, for one pass: one of its calls, or T of them that make a step each."""

    def __init__(self, layer: NeuronLayer, measure: Measure) -> None:
        self._layer, self._measure = layer, measure
        self._neurons = layer.neurons()
        self._figure = measure.begin(layer, self._neurons)
        self._state: State = ()
        self._total = torch.zeros(())
        self._calls = 0
        self.steps = 0

    def __call__(self, module: nn.Module, args: tuple[torch.Tensor, ...], spikes: torch.Tensor) -> None:
        seen, call = self._layer.seen, self._calls
        self._calls += 1
        if seen.layout.has_steps:
            again = call > 0 and self._layer.is_known  # one of the user's may be called on several layers
            assert not again, f"{self._layer.name}: a second pass while the recorder was armed for one"
            if call != seen.call:
                return
        received, spikes = (self._layer.by_steps(each.detach()) for each in (args[0], spikes))
        plain = torch.autocast(received.device.type, enabled=False)
        with torch.inference_mode(False), torch.no_grad(), plain:
            for current, spike in zip(received, spikes, strict=True):
                self._step(current.to(torch.promote_types(current.dtype, torch.float32)), spike.bool())

    def _step(self, current: torch.Tensor, fired: torch.Tensor) -> None:
        if self.steps == 0:
            self._state = self._neurons.rest(current)
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
