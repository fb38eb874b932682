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

    loss, train_accuracy: means over the epoch's batches while the network was changing; test_accuracy: of the test
    split at its end; lr: learning rate at its start; seconds: wall time. Accuracies are shares in 0..1.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    lr: float
    seconds: float


def write_metrics(folder: Path, history: Sequence[EpochRecord]) -> None:
    """`history` as metrics.jsonl in `folder`, one JSON object per epoch. Raises OutputError."""
    write_text(folder / METRICS, "".join(json.dumps(asdict(record)) + "\n" for record in history))
