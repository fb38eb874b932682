"""The settings of a training."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from neuroprune.choices import check_choice
from neuroprune.data.hold_out import check_share
from neuroprune.errors import InputError
from neuroprune.networks.catalog import LOSSES, OPTIMIZERS, SCHEDULES
from neuroprune.networks.recipe import FineTuning, Recipe

STEP_FACTOR = 0.1
"""What each milestone of the step schedule multiplies the learning rate by."""

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""What Linux calls bfloat16 instructions of x86 and Arm processors."""

SEEDS = 2**63
"""Seeds that torch takes are signed integers of 64 bits."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run.

    epochs, batch: passes over the training split and samples per optimiser step (an incomplete last batch is left out).
    lr: the learning rate at the start; schedule "cosine" takes it to 0 over all epochs, step by step; "step" multiplies
    it by 0.1 at the start of each epoch (counted from 0) in `milestones`.
    optimizer: "sgd" (with `momentum`) or "adamw"; weight_decay applies to every parameter.
    loss: "cross-entropy", of rates times RATE_SCALE as logits, or "mse", the mean over samples and classes of
    (rate - target)^2, where the target is 1 for the label and 0 for the others.
    label_smoothing: of the cross-entropy, share of the target spread evenly over all classes, in [0, 1).
    l1: lambda of the L1 penalty on BatchNorm scales, added as gamma.grad += lambda * sign(gamma) (network slimming, Liu
    et al. 2017; Eq 10 of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks").
    validation: share of the training samples that is held out to choose by, in 0 to 0.5 (`hold_out`): they are not
    trained on, the accuracy after each epoch is theirs, and the test split is read once, after the last epoch.
    augment: whether training frames are varied by the data set's `Augmentation`.
    seed: random seed; with the number of the epoch it decides every random number.
    device: "cpu", "cuda", "cuda:1", or "auto" for a GPU where there is one; amp: bfloat16 autocast, which takes many
    times as long as without where the device has no such instructions (the command line then leaves it out).

    Raises InputError for values out of range.
    """

    epochs: int = 20
    batch: int = 128
    lr: float = 1e-3
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    milestones: tuple[int, ...] = ()
    loss: str = "cross-entropy"
    label_smoothing: float = 0.0
    l1: float = 0.0
    validation: float = 0.0
    augment: bool = True
    seed: int = 0
    device: str = "auto"
    amp: bool = False

    def __post_init__(self) -> None:
        for name, lowest in (("epochs", 1), ("batch", 1), ("seed", 0), ("weight_decay", 0), ("l1", 0)):
            value = getattr(self, name)
            if not lowest <= value < math.inf:
                raise InputError(
                    f"training setting {name} is {value}, but must be at least {lowest}: give a larger one"
                )
        if self.seed >= SEEDS:
            raise InputError(f"training setting seed is {self.seed}, but must be below 2^63: give a smaller one")
        if not 0 < self.lr < math.inf:
            raise InputError(f"training setting lr is {self.lr}, but must lie above 0: give one such as 0.001")
        for name in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"training setting {name} is {getattr(self, name)}, but must be at least 0 and below 1: correct it"
                )
        check_share(self.validation)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("loss", self.loss, LOSSES)
        if self.schedule == "step" and not self.milestones:
            raise InputError(
                "the schedule step has 0 milestones, but needs at least 1: name the epochs at which the learning rate "
                "falls (--milestones 80,120), or take the schedule cosine"
            )
        if self.label_smoothing and self.loss != "cross-entropy":
            raise InputError(
                f"training setting label_smoothing is {self.label_smoothing}, but must be 0 with the loss {self.loss}, "
                "since only the cross-entropy is smoothed: give --label-smoothing 0, or take the loss cross-entropy"
            )

    def learning_rate(self, epoch: int, progress: float) -> float:
        """The rate in `epoch` (from 0), of which the share `progress` in [0, 1) is done."""
        if self.schedule == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * (epoch + progress) / self.epochs))
        return self.lr * STEP_FACTOR ** sum(epoch >= milestone for milestone in self.milestones)


def settings_of(recipe: Recipe, **changes: Any) -> TrainSettings:
    """The training defaults of `recipe`, with `changes` to fields of TrainSettings. Raises InputError.

    >>> from neuroprune import load_recipe, settings_of
    >>> settings = settings_of(load_recipe("digits-conv"), epochs=5)
    >>> settings.epochs, settings.lr
    (5, 0.003)
    """
    return TrainSettings(**{**recipe.training.model_dump(), **changes})


def fine_tuning_of(training: TrainSettings, usual: FineTuning, **changes: Any) -> TrainSettings:
    """Settings of the training that follows pruning: `training`'s, but with epochs and rate of `usual` and no L1.

    >>> from neuroprune import fine_tuning_of, load_recipe, settings_of
    >>> recipe = load_recipe("digits-conv")
    >>> settings = fine_tuning_of(settings_of(recipe), recipe.fine_tuning)
    >>> settings.epochs, settings.l1
    (30, 0.0)
    """
    return replace(training, **{**usual.model_dump(), "l1": 0.0, **changes})


def pick_device(name: str) -> torch.device:
    """The torch device of that name, "auto" being a GPU where there is one. Raises InputError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"there is no device {name!r}: choose auto, cpu, cuda or cuda:<number>") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name} cannot be used: choose auto, cpu, cuda or cuda:<number>")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise InputError(f"device {name} is not there (this machine offers {count} CUDA devices): choose auto or cpu")
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether `device` has instructions for bfloat16; True where that cannot be told.

    Without them autocast is slower than float32: 5.8 s against 0.42 s for a step on a CPU with AVX2.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        return not BFLOAT16_FLAGS.isdisjoint(CPU_INFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return True
