"""The log of a training: one record per epoch."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ConfigDict

from neuroprune.files import write_text

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class EpochRecord:
    """Figures of one epoch, counted from 1.

    loss, train_accuracy: means over the epoch's batches while the network was changing; lr: learning rate at its start;
    seconds: wall time. test_accuracy, validation_accuracy: of these splits at its end, None where it was not read: the
    latter where there is no such split, the former before the last epoch where there is one. Accuracies are shares in
    0..1. test_loss, validation_loss: by the same loss, mean over the samples of these splits, None where they were not
    read, or in a log from before they were kept.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None
    lr: float
    seconds: float
    validation_accuracy: float | None = None
    test_loss: float | None = None
    validation_loss: float | None = None

    def __post_init__(self) -> None:
        if self.test_accuracy is None and self.validation_accuracy is None:
            raise ValueError(f"epoch {self.epoch} has neither a test nor a validation accuracy")

    @property
    def watched(self) -> tuple[str, float]:
        """What a training is watched by, "validation" or else "test", and the accuracy on it."""
        if self.validation_accuracy is not None:
            return "validation", self.validation_accuracy
        assert self.test_accuracy is not None
        return "test", self.test_accuracy

    @property
    def watched_loss(self) -> float | None:
        """The loss on what it is watched by; None in a log from before it was kept."""
        return self.test_loss if self.validation_accuracy is None else self.validation_loss


def write_metrics(folder: Path, history: Sequence[EpochRecord]) -> None:
    """`history` as metrics.jsonl in `folder`, one JSON object per epoch. Raises OutputError."""
    write_text(folder / METRICS, "".join(json.dumps(asdict(record)) + "\n" for record in history))
