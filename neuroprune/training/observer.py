"""Observers of a training: pruning methods and analyses, which see every step and keep state for resuming.

    begin                                   once, before the first step; then, where a training is resumed, restore
      for each iteration of each epoch
        before_forward                      the learning rate is set, gradients are cleared, neurons are at rest
        after_backward
        after_step
      state                                 at the end of each epoch, where a checkpoint is kept
    finish                                  once, however the training ends

Several observers are called in their order, `finish` in the reverse. What one does to weights in `after_step` is in the
checkpoint of the epoch, so the network must compute the same without its observers: `begin` may register hooks on
modules, to record potentials or to send gradients through a gate, but a mask must not be applied by a hook alone.

What the optimiser does is an observer's to change, and a resumed training repeats it: what is promised of the learning
rate, of gradients set to None and of the optimiser's own state stands at the methods below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from neuroprune.errors import InputError
from neuroprune.training.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What stays the same during one training.

    module, optimizer: on the device of training; parameters may be changed in place, but not replaced. The optimiser's
    state is kept with every epoch; its groups are not: their rate is the schedule's, all else the settings'.
    iterations_per_epoch: optimiser steps in each of the `settings.epochs` epochs.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    settings: TrainSettings
    iterations_per_epoch: int

    @property
    def iterations(self) -> int:
        """Optimiser steps of the whole training."""
        return self.iterations_per_epoch * self.settings.epochs


@dataclass(frozen=True, eq=False)
class Step:
    """One iteration of a training.

    epoch, iteration: counted from 0, the latter over all epochs, so `iteration` optimiser steps came before this one.
    frames, labels: the batch as the network saw it, augmented and coded: float32 [N, C, H, W] or [T, N, C, H, W], and
    int64 [N].
    """

    run: TrainingRun
    epoch: int
    iteration: int
    frames: torch.Tensor
    labels: torch.Tensor

    @property
    def begins_epoch(self) -> bool:
        """Whether this is the first iteration of its epoch."""
        return self.iteration % self.run.iterations_per_epoch == 0

    @property
    def ends_epoch(self) -> bool:
        """Whether this is the last iteration of its epoch."""
        return (self.iteration + 1) % self.run.iterations_per_epoch == 0


@dataclass(frozen=True, eq=False)
class ObserverState:
    """The state that an observer resumes from: tensors by name, and JSON values (tuples come back as lists)."""

    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


class Observer:
    """Takes part in a training; each method does nothing unless a subclass overrides it.

    For a resumed training to end with the numbers of an unbroken one, all that an observer carries from step to step
    must be in its state, that of a random generator of its own included (`Generator.get_state` is a tensor). Draws from
    torch's global generator are repeated as well: it is seeded at the start of each epoch.
    """

    @property
    def name(self) -> str:
        """The name of its saved state, by default that of its class; unique among the observers of one training."""
        return type(self).__name__

    def begin(self, run: TrainingRun) -> None:
        """Before the first step, or, of a resumed training, before `restore` and the module's tensors come back."""

    def restore(self, state: ObserverState) -> None:
        """Go on from what `state` returned at the end of an epoch; the tensors are on the CPU.

        A KeyError, TypeError, ValueError or RuntimeError means that the state is not one of this observer's.
        """

    def before_forward(self, step: Step) -> None:
        """Right before the network runs this batch: the moment to have a recorder of its potentials ready.

        What `after_step` may change may be changed here as well. In the first iteration of an epoch that is the moment
        for what is not to be part of the epoch before, such as another network to go on with: the accuracy of that
        epoch is measured, and the epoch kept, before it.
        """

    def after_backward(self, step: Step) -> None:
        """When the gradients of this batch are computed, those of L1 included.

        A learning rate that is set here, in `step.run.optimizer.param_groups`, holds for this iteration alone, since
        each begins with that of the schedule. A parameter whose gradient is set to None here, the optimiser leaves as
        it is, weight decay included, and keeps no state for: it is this observer's to update.
        """

    def after_step(self, step: Step) -> None:
        """When the optimiser has changed the parameters.

        Here weights may be replaced, in place, and `step.run.optimizer.state` changed or cleared, of all parameters or
        of some, so that the optimiser begins anew with them. What the last iteration of an epoch does is part of what
        is kept of that epoch.
        """

    def is_result(self, epoch: int) -> bool:
        """Whether the network at the end of `epoch`, from 0, is one of those that the training is for, as the last is.

        The test set is read for it, which is else read after the last epoch alone where samples are held out.
        """
        return False

    def state(self) -> ObserverState:
        """What `restore` needs at the end of an epoch."""
        return ObserverState()

    def finish(self) -> None:
        """When training has ended or failed: remove the hooks that `begin` registered; the parameters stay."""


def check_names(observers: Sequence[Observer]) -> None:
    """Raise InputError when two of them share a name, under which their states would be confused."""
    names = [observer.name for observer in observers]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"{names.count(name)} observers of one training are called {name}: give each a name of its own"
            )
