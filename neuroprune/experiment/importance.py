"""How important channels become while what is left of a network is fine-tuned: the analysis "importance"."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from neuroprune.arrays import FloatArray
from neuroprune.compression.catalog import Residual
from neuroprune.compression.channels import ChannelGroup, channel_groups
from neuroprune.compression.scores.channels import magnitude
from neuroprune.experiment.record import IMPORTANCE, ImportanceRecord
from neuroprune.graph.trace import trace
from neuroprune.neurons.model import NeuronModel
from neuroprune.records import save_record
from neuroprune.training.observer import Observer, ObserverState, Step, TrainingRun


class ImportanceLog(Observer):
    """Leaves importance.json in `folder`: |gamma| of each channel before fine-tuning and after each of its epochs.

    frames: float [N, C, H, W] or [N, T, C, H, W] as for `neuroprune.graph.trace.trace`; residual: how channels were
    coupled when they were removed.
    """

    def __init__(
        self, folder: Path, frames: torch.Tensor, residual: Residual, neurons: Sequence[NeuronModel] | None = None
    ) -> None:
        self._folder = folder
        self._frames = frames
        self._residual = residual
        self._neurons = neurons
        self._groups: tuple[ChannelGroup, ...] = ()
        self._scales: list[list[float]] = []

    def begin(self, run: TrainingRun) -> None:
        """Find the channels."""
        graph = trace(run.module, self._frames, self._neurons)
        self._groups = tuple(group for group in channel_groups(graph, self._residual) if group.scales)

    def before_forward(self, step: Step) -> None:
        """Those that fine-tuning begins with."""
        if step.iteration == 0:
            self._note(step.run.module)

    def after_step(self, step: Step) -> None:
        """Those at the end of an epoch."""
        if step.ends_epoch:
            self._note(step.run.module)

    def state(self) -> ObserverState:
        """What was noted."""
        return ObserverState({}, {"scales": self._scales})

    def restore(self, state: ObserverState) -> None:
        """Take it back."""
        self._scales = [list(map(float, scales)) for scales in state.values["scales"]]

    def finish(self) -> None:
        """Write the file."""
        layers, start = {}, 0
        for group in self._groups:
            end = start + group.channels
            layers[group.name] = tuple(tuple(scales[start:end]) for scales in self._scales)
            start = end
        save_record(ImportanceRecord(layers=layers), self._folder / IMPORTANCE)

    def _note(self, module: nn.Module) -> None:
        if self._groups:
            self._scales.append(in_mean_channels(magnitude(module, self._groups)).tolist())


def in_mean_channels(scales: FloatArray) -> FloatArray:
    """|gamma| over the mean of all channels, so that networks compare whose scales all shrink; zeros stay zeros."""
    mean = scales.mean()
    return scales / mean if mean > 0.0 else scales
