"""What a compression returns, and what of it is kept while it trains."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter
from torch import nn

from neuroprune.compression.pruning import SurvivalStep
from neuroprune.compression.record import (
    ChipCost,
    ChipTarget,
    CompressRecord,
    LayerShare,
    NetworkCost,
    Round,
    Survival,
    Target,
)
from neuroprune.compression.search import Selection
from neuroprune.compression.select import Mask
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import Strategy
from neuroprune.intervals import accuracy_change, chance_warning
from neuroprune.simulation.types import LayerTrace, Trace
from neuroprune.training.history import EpochRecord
from neuroprune.training.observer import Observer, ObserverState

_KEPT, _REGENERATED = "kept.", "regenerated."
"""What the names of the masks' tensors begin with."""
_DENSE_CORRECT = "correct.dense"
_INPUT_EVENTS, _SPIKES = "events.input", "spikes."


@dataclass(frozen=True, eq=False)
class Before:
    """What is known of a compression before anything is pruned.

    source: the run that is pruned. dense: its cost; dense_correct: bool [test samples], which it classifies correctly.
    most_frequent: share of the most frequent class among them. prunable, total: how many channels or weights could be
    removed at all, of how many that the layers have. activity: of the dense network on the chip, where a step is to be
    timed with fewer channels.
    """

    settings: CompressSettings
    strategy: Strategy
    source: str
    dense: NetworkCost
    dense_correct: npt.NDArray[np.bool_]
    most_frequent: float
    prunable: int
    total: int
    activity: Trace | None = None

    @property
    def timed_on(self) -> int | None:
        """The cores on which a step is timed: those asked for, else as many as the dense network takes for its
        shortest step, so that fewer channels make none slower; None where none is timed."""
        if "step-time" not in self.settings.limits:
            return None
        on_chip = self.dense.on_chip
        return self.settings.cores or (on_chip.cores if on_chip else None) or 0


@dataclass(frozen=True, eq=False)
class Cut:
    """What is known once channels are removed.

    selection: which stay; cost: right after it; layers: every layer with prunable ones. history: of the training in
    which they were chosen. counted: what they were counted to take of the chip, where that is limited.
    """

    selection: Selection
    cost: NetworkCost
    layers: tuple[LayerShare, ...]
    history: tuple[EpochRecord, ...] = ()
    counted: ChipCost | None = None


@dataclass(frozen=True, eq=False)
class CompressResult:
    """A pruned network, and its costs before and after.

    module: the pruned network, in evaluation mode.
    before: what it was made from. targets: what was asked for and reached; limits: likewise, of a chip. layers: every
    layer with prunable channels or weights, in the order of the network.
    kept, regenerated: bool masks by name of the channel group or of the parameter: what stays, and what of it was
    brought back. survival: each pruning while training. rounds: networks that were done before the last.
    cut, pruned: costs right after channels were removed (None of single weights), and at the end; correct: bool [test
    samples], which the pruned network classifies correctly. history: the log of its training, epoch by epoch.
    """

    module: nn.Module
    before: Before
    targets: tuple[Target, ...]
    layers: tuple[LayerShare, ...]
    kept: Mapping[str, Mask]
    regenerated: Mapping[str, Mask]
    cut: NetworkCost | None
    pruned: NetworkCost
    correct: npt.NDArray[np.bool_]
    history: tuple[EpochRecord, ...]
    survival: tuple[SurvivalStep, ...] = ()
    rounds: tuple[Round, ...] = ()
    limits: tuple[ChipTarget, ...] = ()

    @property
    def dense(self) -> NetworkCost:
        """The cost before."""
        return self.before.dense

    def record(self, run: str) -> CompressRecord:
        """The record of it that is saved beside the network, in the folder `run`."""
        before, after = self.before.dense_correct, self.correct
        warning = chance_warning(self.pruned.accuracy, len(after), self.before.most_frequent)
        broken = [each for each in self.limits if not each.holds]
        return CompressRecord(
            run=run,
            source=self.before.source,
            strategy=self.before.strategy,
            targets=self.targets,
            limits=self.limits,
            prunable=self.before.prunable,
            total=self.before.total,
            dense=self.before.dense,
            cut=self.cut,
            pruned=self.pruned,
            samples=len(after),
            change=accuracy_change(int(np.sum(after & ~before)), int(np.sum(before & ~after)), len(after)),
            warnings=(*(() if warning is None else (warning,)), *map(_exceeded, broken)),
            layers=self.layers,
            survival=tuple(Survival(**vars(step)) for step in self.survival),
            rounds=self.rounds,
            history=self.history,
        )


class CompressKeeper(Observer):
    """Keeps what is known of a compression with every state of its training, so that a resumed one chooses no more."""

    def __init__(self, before: Before, cut: Cut | None = None) -> None:
        self._before = before
        self._cut = cut

    @property
    def name(self) -> str:
        """What files call it."""
        return "compress"

    def state(self) -> ObserverState:
        """The masks as tensors, all else as JSON."""
        before, cut = self._before, self._cut
        values: dict[str, Any] = {
            "settings": asdict(before.settings),
            "strategy": asdict(before.strategy),
            "source": before.source,
            "dense": before.dense.model_dump(),
            "most_frequent": before.most_frequent,
            "prunable": before.prunable,
            "total": before.total,
            "activity": None,
        }
        tensors: dict[str, npt.NDArray[Any]] = {_DENSE_CORRECT: before.dense_correct}
        if before.activity is not None:
            values["activity"] = {"samples": before.activity.samples, "steps": before.activity.steps}
            tensors[_INPUT_EVENTS] = before.activity.input_events
            tensors |= {f"{_SPIKES}{layer.name}": layer.spikes for layer in before.activity.layers}
        if cut is not None:
            tensors |= {f"{_KEPT}{name}": mask for name, mask in cut.selection.kept.items()}
            tensors |= {f"{_REGENERATED}{name}": mask for name, mask in cut.selection.regenerated.items()}
            values |= {
                "shares": cut.selection.shares,
                "cut": cut.cost.model_dump(),
                "layers": [layer.model_dump() for layer in cut.layers],
                "history": [asdict(record) for record in cut.history],
                "counted": None if cut.counted is None else cut.counted.model_dump(),
            }
        return ObserverState({name: torch.from_numpy(mask) for name, mask in tensors.items()}, values)


def read_kept(state: ObserverState) -> tuple[Before, Cut | None]:
    """What a `CompressKeeper` has kept.

    A KeyError, TypeError or ValueError means that the state is not one of this observer's.
    """
    values = state.values
    before = Before(
        settings=TypeAdapter(CompressSettings).validate_python(values["settings"]),
        strategy=TypeAdapter(Strategy).validate_python(values["strategy"]),
        source=str(values["source"]),
        dense=NetworkCost.model_validate(values["dense"]),
        dense_correct=state.tensors[_DENSE_CORRECT].numpy(),
        most_frequent=float(values["most_frequent"]),
        prunable=int(values["prunable"]),
        total=int(values["total"]),
        activity=_activity(state),
    )
    if "cut" not in values:
        return before, None
    selection = Selection(_masks(_KEPT, state), _masks(_REGENERATED, state), values["shares"])
    layers = tuple(LayerShare.model_validate(layer) for layer in values["layers"])
    history = TypeAdapter(tuple[EpochRecord, ...]).validate_python(values["history"])
    counted = None if values["counted"] is None else ChipCost.model_validate(values["counted"])
    return before, Cut(selection, NetworkCost.model_validate(values["cut"]), layers, history, counted)


def _activity(state: ObserverState) -> Trace | None:
    """What is kept of the activity of the dense network: no outputs and no overflows."""
    taken = state.values["activity"]
    if taken is None:
        return None
    spikes = {name.removeprefix(_SPIKES): each for name, each in state.tensors.items() if name.startswith(_SPIKES)}
    return Trace(
        samples=int(taken["samples"]),
        steps=int(taken["steps"]),
        outputs=np.zeros((int(taken["samples"]), 0), dtype=np.int64),
        input_events=state.tensors[_INPUT_EVENTS].numpy(),
        saturated_inputs=0,
        layers=tuple(LayerTrace(name, each.numpy(), 0, 0) for name, each in spikes.items()),
    )


def _exceeded(limit: ChipTarget) -> str:
    name = {"cores": "cores", "kib": "KiB", "step-time": "us a step"}[limit.of]
    if limit.reached is None:
        return f"{limit.asked:g} {name} of {limit.chip} were asked for, and the network does not fit it"
    said = f"{limit.asked:g} {name} of {limit.chip} were asked for, and the network takes {limit.reached:,.5g}"
    if limit.of != "step-time" or limit.counted is None:
        return said
    return f"{said} as it fires, {limit.counted:,.5g} if it fired as the dense one does"


def _masks(prefix: str, state: ObserverState) -> dict[str, Mask]:
    return {name.removeprefix(prefix): mask.numpy() for name, mask in state.tensors.items() if name.startswith(prefix)}
