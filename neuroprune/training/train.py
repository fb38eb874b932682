"""The training loop: samples on the device as bytes, a step, observers of it, a checkpoint after every epoch."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from spikingjelly.activation_based import functional
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from neuroprune.data.hold_out import hold_out
from neuroprune.data.types import Dataset, Split
from neuroprune.errors import InputError
from neuroprune.progress import Progress, silent
from neuroprune.training.checkpoint import DESCRIPTION, Model, WeightsFacts, facts_of, save_checkpoint
from neuroprune.training.evaluate import Figures, measure_split
from neuroprune.training.fit import check_fits, rates_of
from neuroprune.training.history import EpochRecord
from neuroprune.training.loss import loss_of
from neuroprune.training.observer import Observer, Step, TrainingRun, check_names
from neuroprune.training.resume import Keeping, finish, load_state, save_state
from neuroprune.training.samples import Samples
from neuroprune.training.settings import TrainSettings, pick_device


@dataclass(frozen=True, eq=False)
class TrainResult:
    """The trained module, which is the one that was given, in evaluation mode, and the log of each epoch."""

    module: nn.Module
    history: tuple[EpochRecord, ...]


def train(
    module: nn.Module,
    data: Dataset,
    settings: TrainSettings,
    folder: Path | None = None,
    model: Model | None = None,
    resume: bool = False,
    progress: Progress = silent,
    observers: Sequence[Observer] = (),
    weights: WeightsFacts | None = None,
) -> TrainResult:
    """Train `module`, in place, to classify `data` by its firing rates [N, classes].

    Where there is a validation split, that of `data` or of `settings.validation`, the accuracy after each epoch is that
    on it, and the test split is read once, after the last epoch.

    It is called with frames [N, C, H, W], or [T, N, C, H, W] where the coding of `data` makes sequences; Poisson spikes
    are drawn anew in every epoch.

    folder: where a checkpoint is kept after every epoch, which needs `model` to say how the module is built (a
    recipe, or "file.py:Class"); resume: go on from the last finished epoch kept there, to the numbers of an unbroken
    run (on a CPU to the bit). observers: see every step, as pruning methods do; a resumed training needs the same ones.
    weights: the facts of the file that the module's weights are of, which the checkpoint keeps (see `load_weights`).

    Raises InputError when the module does not take this data, when training diverges, when two observers share a name,
    or when `folder` cannot be begun or resumed in; OutputError when it cannot be written. After KeyboardInterrupt the
    last finished epoch is whole in `folder`.

    >>> from neuroprune import TrainSettings, build, load_dataset, load_recipe, train
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> result = train(network, data, TrainSettings(epochs=1, batch=16, lr=0.003, device="cpu"))
    >>> result.history[-1].test_accuracy > 0.2  # chance is 0.1
    True
    """
    if folder is not None and model is None:
        raise InputError("a checkpoint must say how its network is built: pass model, a recipe or 'file.py:Class'")
    keeping = Keeping(folder, model, weights=weights) if folder is not None and model is not None else None
    result = train_unfinished(module, data, settings, keeping, resume, progress, observers)
    if folder is not None:
        finish(folder)
    return result


def train_unfinished(
    module: nn.Module,
    data: Dataset,
    settings: TrainSettings,
    keeping: Keeping | None,
    resume: bool = False,
    progress: Progress = silent,
    observers: Sequence[Observer] = (),
) -> TrainResult:
    """As `train`, but the run stays unfinished: the command that this training is a part of calls `finish`."""
    check_names(observers)
    data = hold_out(data, settings.validation)
    device = pick_device(settings.device)
    module.to(device)
    check_fits(module, data, device)
    optimizer = _make_optimizer(module, settings)
    if keeping is not None and not (resume or keeping.goes_on) and (keeping.folder / DESCRIPTION).exists():
        raise InputError(
            f"{keeping.folder} already holds a checkpoint: resume it with --resume, or choose another folder"
        )
    samples = Samples.of(data, settings, device)
    run = TrainingRun(module, optimizer, settings, samples.batches_per_epoch)
    history: tuple[EpochRecord, ...] = ()
    with ExitStack() as observed:
        for observer in observers:
            observer.begin(run)
            observed.callback(observer.finish)
        if keeping is not None and resume:
            keeping, history = load_state(keeping, module, optimizer, settings, observers)
            # A training that was killed while it saved has a checkpoint that is an epoch behind its state.
            _save_checkpoint(keeping, run, data, history)
        elif keeping is not None and keeping.from_start:
            _save(keeping, run, data, history, observers)
        for epoch in range(len(history), settings.epochs):
            start = time.perf_counter()
            before = history[-1].validation_accuracy if history else None
            beside = {} if before is None else {"validation": before}
            loss, train_accuracy, rate = _train_epoch(run, samples, epoch, observers, progress, beside)
            is_result = epoch + 1 == settings.epochs or any(observer.is_result(epoch) for observer in observers)
            test, validation = _measured(module, data, settings, is_result)
            record = EpochRecord(
                epoch=epoch + 1,
                loss=loss,
                train_accuracy=train_accuracy,
                test_accuracy=test.accuracy,
                lr=rate,
                seconds=time.perf_counter() - start,
                validation_accuracy=validation.accuracy,
                test_loss=test.loss,
                validation_loss=validation.loss,
            )
            history = (*history, record)
            if keeping is not None:
                _keep(partial(_save, keeping, run, data, history, observers))
    return TrainResult(module.eval(), history)


def _train_epoch(
    run: TrainingRun,
    samples: Samples,
    epoch: int,
    observers: Sequence[Observer],
    progress: Progress,
    beside: Mapping[str, float],
) -> tuple[float, float, float]:
    """One pass over the training split; mean loss and accuracy over its batches, and the learning rate of the first.

    beside: more figures to show.
    """
    module, optimizer, settings, steps = run.module, run.optimizer, run.settings, run.iterations_per_epoch
    seed = int(np.random.SeedSequence((settings.seed, epoch)).generate_state(1)[0])
    device = samples.labels.device
    loss_sum, correct, seen, rate = 0.0, 0, 0, 0.0
    module.train()
    start = time.perf_counter()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for index, (frames, labels) in enumerate(samples.batches(seed)):
            step = Step(run, epoch, epoch * steps + index, frames, labels)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate(epoch, index / steps)
            optimizer.zero_grad(set_to_none=True)
            functional.reset_net(module)
            for observer in observers:
                observer.before_forward(step)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=settings.amp):
                rates = rates_of(module, frames, samples.classes)
            loss = loss_of(rates, labels, settings)
            loss.backward()
            _add_l1(module, settings.l1)
            for observer in observers:
                observer.after_backward(step)
            rate = rate if index else optimizer.param_groups[0]["lr"]
            optimizer.step()
            for observer in observers:
                observer.after_step(step)

            loss_sum += loss.item()
            correct += int((rates.argmax(1) == labels).sum())
            seen += len(labels)
            progress(
                "training",
                step.iteration + 1,
                run.iterations,
                epoch=epoch + 1,
                loss=loss_sum / (index + 1),
                accuracy=correct / seen,
                **beside,
                images_per_s=seen / (time.perf_counter() - start),
            )
    functional.reset_net(module)
    _check_finite(module, epoch)
    return loss_sum / steps, correct / seen, rate


def _measured(module: nn.Module, data: Dataset, settings: TrainSettings, is_result: bool) -> tuple[Figures, Figures]:
    """On the test and on the validation split; where there is the latter, the former is read of results alone."""

    def figures(split: Split) -> Figures:
        return measure_split(module, split, data.coding, settings)

    reads_test = data.validation is None or is_result
    return figures(data.test) if reads_test else Figures(), figures(data.validation) if data.validation else Figures()


def _check_finite(module: nn.Module, epoch: int) -> None:
    """Raise InputError when a tensor of `module` is not finite; the loss need not show it, since NaN never spikes."""
    for name, tensor in module.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"training diverged in epoch {epoch + 1}: tensor {name} holds values that are not finite; "
                "lower the learning rate"
            )


def _add_l1(module: nn.Module, strength: float) -> None:
    """The gradient of strength * sum |gamma| over all BatchNorm scales, added to what is there."""
    for layer in module.modules():
        if strength and isinstance(layer, _BatchNorm) and layer.weight is not None and layer.weight.grad is not None:
            layer.weight.grad.add_(layer.weight.detach().sign(), alpha=strength)


def _make_optimizer(module: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=settings.weight_decay)


def _save(
    keeping: Keeping, run: TrainingRun, data: Dataset, history: tuple[EpochRecord, ...], observers: Sequence[Observer]
) -> None:
    """The state first, since a checkpoint without one is of a finished run."""
    save_state(keeping, run.module, run.optimizer, run.settings, history, observers)
    _save_checkpoint(keeping, run, data, history)


def _save_checkpoint(keeping: Keeping, run: TrainingRun, data: Dataset, history: tuple[EpochRecord, ...]) -> None:
    whole = (*keeping.earlier, *history)
    facts = facts_of(data)
    save_checkpoint(keeping.folder, run.module, keeping.model, facts, run.settings, whole, keeping.weights)


def _keep(save: Callable[[], None]) -> None:
    """Save; when Ctrl-C interrupts it, save everything before the interrupt is passed on."""
    try:
        save()
    except KeyboardInterrupt:
        save()
        raise
