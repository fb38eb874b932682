"""Spiking channel activity: Li et al., "Towards Efficient Deep Spiking Neural Networks Construction with Spiking
Activity based Pruning" (ICML 2024).

Each epoch the most active channels stay, and a share of what stays is channels that return for the gradient of their
scale. A silenced channel has scale and shift 0, which is a gate that gradients of the scale pass; when it returns, it
has what it had before. After the last epoch, which nothing could be trained after but in fine-tuning, nothing returns.
What whole channels come nearest to the target is taken, however far that is: it hangs on the activity of the moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neuroprune.compression.channel_scorer import costs_of
from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.job import PruningJob
from neuroprune.compression.potentials import Recorder
from neuroprune.compression.pruning import ChannelPruning
from neuroprune.compression.scores import channels as scores
from neuroprune.compression.scores.neurons import Activity
from neuroprune.compression.search import Selection
from neuroprune.compression.surgery import silence_channels
from neuroprune.training.observer import ObserverState, Step, TrainingRun

RECORDED = 16
"""Batches of each epoch that the activity is the mean of, evenly over it: all of them cost much and say the same."""

L1 = 3e-5
"""Strength of the L1 penalty on the weights of 3x3 convolutions, while channels are chosen."""

_KEPT, _REGENERATED, _LOST = "kept.", "regenerated.", "lost."


class SpikingChannelActivity(ChannelPruning):
    """sca: channels are chosen anew at the end of each epoch; in the first all of them are there."""

    def __init__(self, job: PruningJob) -> None:
        super().__init__(job)
        self.recorder = Recorder(job.module, job.graph, scores.neurons_of(job.groups), Activity(), job.neurons)
        everything = {group.name: np.ones(group.channels, dtype=np.bool_) for group in job.groups}
        nothing = {name: np.zeros_like(mask) for name, mask in everything.items()}
        self.selection = Selection(everything, nothing, {})
        self._lost: dict[str, torch.Tensor] = {}
        """Of each parameter in which channels are silenced, what it had there."""

    def begin(self, run: TrainingRun) -> None:
        """Find where channels are silenced, and what is penalised."""
        self._every = max(1, run.iterations_per_epoch // RECORDED)
        self._slots = tuple(_slots(run.module, self.job.groups))
        self._lost = {slot.name: slot.parameter.detach().clone() for slot in self._slots}
        named = run.module.named_modules()
        self._kernels = [run.module.get_parameter(f"{path}.weight") for path, each in named if _is_3x3(each)]
        self._costs = costs_of(self.job)

    def before_forward(self, step: Step) -> None:
        """Record what the neurons do in some of the batches."""
        if step.iteration % self._every == 0:
            self.recorder.arm()

    def after_backward(self, step: Step) -> None:
        """Take the gradients of the scales, and add those of the L1 penalty."""
        if step.iteration % self._every == 0:
            self.recorder.disarm()
        if step.ends_epoch:
            self._gradients = scores.scale_gradient(step.run.module, self.job.groups)
        for weight in self._kernels:
            assert weight.grad is not None
            weight.grad.add_(weight.detach().sign(), alpha=L1)

    def after_step(self, step: Step) -> None:
        """Choose anew at the end of an epoch, and hold what is silenced."""
        if step.ends_epoch:
            self._exchange(self._chosen(is_last=step.iteration + 1 == step.run.iterations))
        silence_channels(step.run.module, self.job.groups, self.selection.kept)

    def choose(self) -> Selection:
        """The choice of the last epoch."""
        return self.selection

    def _chosen(self, is_last: bool) -> Selection:
        strategy = replace(self.job.strategy, regeneration=0.0) if is_last else self.job.strategy
        activity = scores.of_neurons(self.job.groups, self.recorder.take())
        search = ChannelPruning(replace(self.job, strategy=strategy)).search
        return search(activity, self._gradients, costs=self._costs, tolerance=1.0)

    def _exchange(self, chosen: Selection) -> None:
        """Remember what channels that go have, and give those that return what they had."""
        with torch.no_grad():
            for slot in self._slots:
                before, now = self.selection.kept[slot.group], chosen.kept[slot.group]
                going, returning = slot.places[before & ~now], slot.places[~before & now]
                lost = self._lost[slot.name]
                lost[going] = slot.parameter[going]
                slot.parameter[returning] = lost[returning]
        regenerated = {
            name: (mask | self.selection.regenerated[name]) & chosen.kept[name]
            for name, mask in chosen.regenerated.items()
        }
        self.selection = replace(chosen, regenerated=regenerated)

    def state(self) -> ObserverState:
        """The choice, and what silenced channels had."""
        masks = {f"{_KEPT}{name}": mask for name, mask in self.selection.kept.items()}
        masks |= {f"{_REGENERATED}{name}": mask for name, mask in self.selection.regenerated.items()}
        tensors = {name: torch.from_numpy(mask) for name, mask in masks.items()}
        tensors |= {f"{_LOST}{name}": tensor for name, tensor in self._lost.items()}
        return ObserverState(tensors, {"shares": self.selection.shares})

    def restore(self, state: ObserverState) -> None:
        """Take both back."""
        kept, regenerated = (
            {group.name: state.tensors[prefix + group.name].numpy() for group in self.job.groups}
            for prefix in (_KEPT, _REGENERATED)
        )
        self.selection = Selection(kept, regenerated, state.values["shares"])
        for name, tensor in self._lost.items():
            tensor.copy_(state.tensors[_LOST + name])


@dataclass(frozen=True, eq=False)
class _Slot:
    """A parameter that channels are silenced in: those of `group` at `places`, intp [channels of the group]."""

    group: str
    name: str
    parameter: nn.Parameter
    places: npt.NDArray[np.intp]


def _slots(module: nn.Module, groups: tuple[ChannelGroup, ...]) -> Iterator[_Slot]:
    for group in groups:
        bare = ((path, tuple(range(group.channels))) for path in group.bare)
        for path, places in (*bare, *group.scales):
            for name, parameter in module.get_submodule(path).named_parameters(recurse=False):
                yield _Slot(group.name, f"{group.name}.{path}.{name}", parameter, np.array(places))


def _is_3x3(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) and isinstance(layer.weight, nn.Parameter)
