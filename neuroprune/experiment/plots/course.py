"""What happens while networks are pruned and trained on: survival by iteration, and the curves of the training."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from neuroprune.compression.record import CompressRecord
from neuroprune.experiment.plots.style import Drawn, figure, legend, style_of
from neuroprune.training.history import EpochRecord

Compressions = Mapping[str, Sequence[CompressRecord]]
"""By variant, the compressions of all seeds."""


def draw_course(title: str, compressions: Compressions) -> Iterator[Drawn]:
    """Of one comparison on one network at one target, which `title` says."""
    yield from _survival(title, compressions)
    yield from _curves(title, compressions)


def _survival(title: str, compressions: Compressions) -> Iterator[Drawn]:
    """Of the weights that the score alone would have cut, the share that is brought back, at each pruning."""
    lines = {}
    for variant, records in compressions.items():
        rescued = [[step.rescued / step.cut if step.cut else 0.0 for step in record.survival] for record in records]
        if any(map(any, rescued)):
            steps = min(map(len, rescued))
            iterations = [step.iteration for step in records[0].survival[:steps]]
            lines[variant] = iterations, np.array([each[:steps] for each in rescued])
    if not lines:
        return
    drawn, (axes,) = figure(f"Survival by regeneration ({title})")
    for number, (variant, (iterations, shares)) in enumerate(lines.items()):
        axes.plot(iterations, 100 * shares.mean(0), label=variant, **style_of(number))
    axes.set_ylim(0, 102)
    axes.set_xlabel("iteration of the pruning", fontsize=9)
    axes.set_ylabel("rescued, of those that\nmagnitude alone would cut, %", fontsize=9)
    legend(drawn, axes)
    yield "survival", drawn


def _curves(title: str, compressions: Compressions) -> Iterator[Drawn]:
    """Accuracy on what is trained on and on what is not, and the loss, by epoch."""
    found = {name: [record.history for record in records if record.history] for name, records in compressions.items()}
    found = {name: histories for name, histories in found.items() if histories}
    if not found:
        return
    drawn, (accuracy, loss) = figure(f"Training and test curves ({title})", columns=2)
    on = "test"
    for number, (variant, histories) in enumerate(found.items()):
        style = style_of(number) | {"markersize": 3}
        on, watched = _watched(histories)
        epochs = np.arange(1, watched.shape[1] + 1)
        training = np.array([[100 * epoch.train_accuracy for epoch in each[: len(epochs)]] for each in histories])
        faint = style | {"marker": "", "alpha": 0.45, "linewidth": 1}
        accuracy.plot(epochs, watched.mean(0), label=variant, **style)
        accuracy.plot(epochs, training.mean(0), **faint)
        losses, watched_losses = (
            np.array([[getattr(epoch, of) for epoch in each[: len(epochs)]] for each in histories], np.float64)
            for of in ("loss", "watched_loss")
        )
        loss.plot(epochs, losses.mean(0), **faint)
        loss.plot(epochs, watched_losses.mean(0), **style)
    for axes, what in ((accuracy, "accuracy, %"), (loss, "loss")):
        axes.set_title(f"{what}: {on} with markers, training faint", fontsize=9)
    for axes in (accuracy, loss):
        axes.set_xlabel("epoch of pruning and fine-tuning", fontsize=9)
    legend(drawn, accuracy)
    yield "curves", drawn


def _watched(
    histories: Sequence[Sequence[EpochRecord]],
) -> tuple[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """What an epoch's accuracy was measured on, and it in percent, [seeds, epochs]."""
    epochs = min(map(len, histories))
    values = np.array([[epoch.watched[1] for epoch in each[:epochs]] for each in histories], np.float64)
    return histories[0][0].watched[0], 100 * values
