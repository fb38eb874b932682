"""What a compression returns, and how it is kept while it is fine-tuned."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neuroprune.compression.record import CompressRecord, LayerWidth, NetworkCost
from neuroprune.compression.search import Selection
from neuroprune.compression.select import Mask
from neuroprune.compression.settings import CompressSettings
from neuroprune.errors import InputError
from neuroprune.intervals import accuracy_change, chance_warning
from neuroprune.training.history import EpochRecord
from neuroprune.training.observer import Observer, ObserverState, TrainingRun

_KEPT, _REGENERATED = "kept.", "regenerated."
"""What the names of the masks' tensors begin with."""
_DENSE_CORRECT, _CUT_CORRECT = "correct.dense", "correct.cut"


@dataclass(frozen=True, eq=False)
class CompressResult:
    """A slimmed network, and its costs before and after.

    module: the slimmed network, in evaluation mode.
    dense, cut, slim: costs before, right after the removal, and at the end (those of `cut` again if nothing was
    fine-tuned). dense_correct, slim_correct: bool [test samples], whether the network before and that at the end
    classifies each correctly. most_frequent: share of the most frequent class among them.
    selection: the channels that were kept. widths: of every layer with prunable channels, in the order of the network.
    prunable, channels: how many channels could be removed at all, of how many that the dense layers have.
    history: the log of fine-tuning, epoch by epoch.
    """

    module: nn.Module
    settings: CompressSettings
    dense: NetworkCost
    cut: NetworkCost
    slim: NetworkCost
    dense_correct: npt.NDArray[np.bool_]
    slim_correct: npt.NDArray[np.bool_]
    most_frequent: float
    selection: Selection
    widths: tuple[LayerWidth, ...]
    prunable: int
    channels: int
    history: tuple[EpochRecord, ...]

    def record(self, run: str, source: str) -> CompressRecord:
        """The record of it that is saved beside the network, in the folder `run`; `source`: the run that was pruned."""
        before, after = self.dense_correct, self.slim_correct
        warning = chance_warning(self.slim.accuracy, len(after), self.most_frequent)
        return CompressRecord(
            run=run,
            source=source,
            method=self.settings.method,
            regeneration=self.settings.r,
            flops_asked=self.settings.flops,
            flops_share=self.selection.shares["flops"],
            channels_prunable=self.prunable,
            channels_total=self.channels,
            channels_removed_share=self.selection.p,
            dense=self.dense,
            cut=self.cut,
            slim=self.slim,
            samples=len(after),
            change=accuracy_change(int(np.sum(after & ~before)), int(np.sum(before & ~after)), len(after)),
            warnings=() if warning is None else (warning,),
            channels=self.widths,
            history=self.history,
        )


class StartKeeper(Observer):
    """Keeps what a compression is before fine-tuning with every state of it, so that a resumed one chooses no more.

    start: the result with the costs right after the removal as those at the end; source: the run that was pruned. Both
    are read back where a compression is resumed, which must have been started with the settings `asked`, fields of
    CompressSettings by name.
    """

    def __init__(
        self, start: CompressResult | None = None, source: str = "", asked: Mapping[str, Any] | None = None
    ) -> None:
        self.start = start
        self.source = source
        self._asked = asked or {}

    @property
    def name(self) -> str:
        """What files call it."""
        return "compress"

    def begin(self, run: TrainingRun) -> None:
        """Remember the network that `restore` is about."""
        self._run = run

    def state(self) -> ObserverState:
        """The masks as tensors, all else as JSON."""
        assert self.start is not None
        start = self.start
        masks = {f"{_KEPT}{name}": mask for name, mask in start.selection.kept.items()}
        masks |= {f"{_REGENERATED}{name}": mask for name, mask in start.selection.regenerated.items()}
        values = {
            "source": self.source,
            "settings": asdict(replace(start.settings, fine_tune=None)),
            "dense": start.dense.model_dump(),
            "cut": start.cut.model_dump(),
            "most_frequent": start.most_frequent,
            "shares": start.selection.shares,
            "widths": [width.model_dump() for width in start.widths],
            "prunable": start.prunable,
            "channels": start.channels,
        }
        masks |= {_DENSE_CORRECT: start.dense_correct, _CUT_CORRECT: start.slim_correct}
        return ObserverState({name: torch.from_numpy(mask) for name, mask in masks.items()}, values)

    def restore(self, state: ObserverState) -> None:
        """Take what was kept. Raises InputError when other settings are asked for."""
        values, settings = state.values, CompressSettings(**state.values["settings"])
        for name, value in self._asked.items():
            if value != getattr(settings, name):
                raise InputError(
                    f"this compression was started with {name} = {getattr(settings, name)}, but resuming asks for "
                    f"{value}: give the same settings, or compress without --resume"
                )
        cut = NetworkCost.model_validate(values["cut"])
        self.source = str(values["source"])
        self.start = CompressResult(
            module=self._run.module,
            settings=replace(settings, fine_tune=self._run.settings),
            dense=NetworkCost.model_validate(values["dense"]),
            cut=cut,
            slim=cut,
            dense_correct=state.tensors[_DENSE_CORRECT].numpy(),
            slim_correct=state.tensors[_CUT_CORRECT].numpy(),
            most_frequent=float(values["most_frequent"]),
            selection=Selection(_masks(_KEPT, state), _masks(_REGENERATED, state), dict(values["shares"])),
            widths=tuple(LayerWidth.model_validate(width) for width in values["widths"]),
            prunable=int(values["prunable"]),
            channels=int(values["channels"]),
            history=(),
        )


def _masks(prefix: str, state: ObserverState) -> dict[str, Mask]:
    return {name.removeprefix(prefix): mask.numpy() for name, mask in state.tensors.items() if name.startswith(prefix)}
