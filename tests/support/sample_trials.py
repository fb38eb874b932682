"""Trials that nobody ran: records with figures that follow from their names, and work that takes no time."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from neuroprune.compression.record import ChipCost, CompressRecord, NetworkCost, Survival
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import strategy_of
from neuroprune.errors import InputError
from neuroprune.experiment.jobs import DenseJob, Job, TrialJob
from neuroprune.experiment.record import FILE, TrialRecord, TrialResult
from neuroprune.files import write_text
from neuroprune.intervals import AccuracyChange
from neuroprune.progress import Progress
from neuroprune.records import save_record
from neuroprune.runs import CHECKPOINT
from neuroprune.training.history import EpochRecord
from neuroprune.training.settings import TrainSettings

PLAN: dict[str, Any] = {
    "name": "sample",
    "title": "Nothing that anybody would run",
    "data": {"name": "digits"},
    "networks": ["digits-conv"],
    "seeds": [0, 1],
    "training": {"epochs": 2, "device": "cpu"},
    "comparisons": [
        {
            "name": "weights",
            "targets": [{"sparsity": 0.9}],
            "fine_tuning": {"epochs": 2},
            "baseline": "gmp",
            "variants": {"criticality": {}, "gmp": {"method": "gmp"}},
        },
        {
            "name": "channels",
            "targets": [{"flops": 0.5}, {"flops": 0.3}],
            "fine_tuning": {"epochs": 1},
            "baseline": "slimming",
            "variants": {"slimming": {"method": "slimming"}, "r0.1": {"regeneration": 0.1}},
        },
    ],
}


def sample_cost(accuracy: float, share: float = 1.0, nonzero: float | None = None) -> NetworkCost:
    """Of a network of which a share is left, and of that, or of all, a share of weights that are not zero."""
    sizes = {"parameters": 100_000, "flops": 2_000_000, "flops_per_step": 500_000}
    left = share if nonzero is None else nonzero
    chip = ChipCost(chip="loihi-sim", cores=round(10 + 90 * share), chips=1, kib=800.0 * share)
    return NetworkCost(
        accuracy=accuracy,
        accuracy_interval=(max(accuracy - 0.02, 0.0), min(accuracy + 0.02, 1.0)),
        nonzero_parameters=round(left * sizes["parameters"]),
        unfolded_synops=left * 300_000.0,
        bytes=400_000,
        **{name: round(share * size) for name, size in sizes.items()},
        on_chip=chip,
    )


def sample_result(settings: CompressSettings, accuracy: float, dense: float = 0.95) -> TrialResult:
    """The result of a trial that reached its target exactly."""
    reached = dict(settings.targets) if settings.sparsity is None else {"sparsity": settings.sparsity}
    left = min(reached.values()) if settings.sparsity is None else 1.0
    nonzero = None if settings.sparsity is None else 1.0 - settings.sparsity
    return TrialResult(
        strategy=strategy_of(settings, "plain"),
        reached=reached,
        samples=1000,
        dense=sample_cost(dense),
        pruned=sample_cost(accuracy, left, nonzero),
        validation_accuracy=None,
        epochs=4,
        seconds=60.0,
    )


def sample_records(accuracies: dict[str, dict[float, list[float]]], **settings: Any) -> list[TrialRecord]:
    """Of variants by name: the accuracies of all seeds by sparsity. settings: of CompressSettings."""
    return [
        TrialRecord(
            place=f"trials/weights/{variant}-{sparsity}-{seed}",
            network="net",
            seed=seed,
            comparison="weights",
            variant=variant,
            kind="unstructured",
            asked={"sparsity": sparsity},
            result=sample_result(
                CompressSettings(**{"sparsity": sparsity, "fine_tune": TrainSettings(epochs=4), **settings}), accuracy
            ),
        )
        for variant, by_sparsity in accuracies.items()
        for sparsity, values in by_sparsity.items()
        for seed, accuracy in enumerate(values)
    ]


def sample_compression(record: TrialRecord, epochs: int = 6, rescued: float = 0.5) -> CompressRecord:
    """What a compression may have left in the folder of `record`."""
    assert record.result is not None
    random = np.random.default_rng(record.seed)
    result = record.result
    change = AccuracyChange(gained=1, lost=2, low=-0.01, high=0.01)
    history = tuple(
        EpochRecord(
            epoch, 2.0 / epoch, 1 - 0.5 / epoch, result.pruned.accuracy - 0.3 / epoch, 0.1, 1.0, test_loss=2.2 / epoch
        )
        for epoch in range(1, epochs + 1)
    )
    survival = tuple(
        Survival(iteration=20 * step, sparsity=0.9, cut=1000, rescued=int(1000 * rescued * random.uniform(0.8, 1.0)))
        for step in range(1, 12)
    )
    return CompressRecord(
        run=record.place,
        source="dense",
        strategy=result.strategy,
        targets=(),
        prunable=10,
        total=10,
        dense=result.dense,
        cut=None,
        pruned=result.pruned,
        samples=result.samples,
        change=change,
        warnings=(),
        layers=(),
        survival=survival,
        history=history,
    )


def sample_work(job: Job, progress: Progress, folder: Path, mischief: dict[str, str]) -> None:
    """Leaves what a job leaves, with figures that follow from its name, and a line in log.txt.

    mischief: by parts of a job's place, what happens in it: "refuse", "crash", "die", "die once" or "wait".
    """
    place = folder / job.place
    place.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a") as log:
        log.write(f"{job.place} {os.getpid()}\n")
    for part, what in mischief.items():
        if part in str(job.place):
            _misbehave(what, place)
    progress("training", 1, 2)
    if isinstance(job, DenseJob):
        write_text(place / CHECKPOINT, "{}")
    else:
        save_record(job.record(result=_result(job)), place / FILE)


def _misbehave(what: str, place: Path) -> None:
    if what == "refuse":
        raise InputError("this is out of reach: ask for less")
    if what == "crash":
        raise ZeroDivisionError("by mistake")
    if what == "wait":
        while not (place / "go-on").exists():
            time.sleep(0.02)
    elif what == "die" or not (place / "died").exists():
        (place / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _result(job: TrialJob) -> TrialResult:
    seed = int.from_bytes(str(job.place).encode()) % 2**32
    return sample_result(job.settings, float(np.random.default_rng(seed).uniform(0.5, 0.9)))
