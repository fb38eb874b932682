"""The record of a trial: plain data that tables and plots read, and the schema of trial.json; without torch."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from neuroprune.compression.catalog import Kind
from neuroprune.compression.record import CompressRecord, NetworkCost, Target
from neuroprune.compression.strategy import Strategy
from neuroprune.intervals import Share
from neuroprune.records import Record, csv_text, load_record

FILE = "trial.json"
FEATURES, IMPORTANCE = "features.json", "importance.json"
COSTS = ("parameters", "nonzero_parameters", "flops", "flops_per_step", "unfolded_synops")
"""Fields of NetworkCost that results.csv has of the pruned and of the dense network."""

ON_CHIP = ("cores", "kib")
"""Fields of ChipCost that it has of both, blank where the plan names no chip or the network does not fit it."""


class TrialResult(Record):
    """What came of a trial that was run to its end.

    strategy: how was pruned, all defaults filled in. reached: shares of the dense cost that remain, or of weights that
    are zero. dense, pruned: costs and accuracies on the `samples` of the test set. validation_accuracy: after the last
    epoch, None where nothing was held out. epochs: of pruning and fine-tuning; seconds: they took.
    """

    strategy: Strategy
    reached: dict[str, Share]
    samples: Annotated[int, Field(ge=1)]
    dense: NetworkCost
    pruned: NetworkCost
    validation_accuracy: Share | None
    epochs: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]


class TrialRecord(Record):
    """One trial of an experiment.

    place: its folder in that of the experiment. asked: the target. error: why it failed, "" where it did not; result:
    None where it did.
    """

    schema_version: Literal[1] = 1
    place: str
    network: str
    seed: Annotated[int, Field(ge=0)]
    comparison: str
    variant: str
    kind: Kind
    asked: dict[str, float]
    error: str = ""
    result: TrialResult | None = None

    @property
    def target(self) -> str:
        """What was asked for, in words, such as "sparsity 0.95"."""
        return target_name(self.asked)

    @property
    def accuracy(self) -> float:
        """Of the pruned network on the test set, of a trial that did not fail."""
        assert self.result is not None
        return self.result.pruned.accuracy


class FeatureRecord(Record):
    """What the classifier of a pruned network sees, of each class: the analysis "features".

    variance: intra-class variance on the test set; similarity: cosine of the class's means on training and test set.
    """

    schema_version: Literal[1] = 1
    variance: tuple[float, ...]
    similarity: tuple[float, ...]


class ImportanceRecord(Record):
    """How the scales of channels change while a pruned network is fine-tuned: the analysis "importance".

    layers: by name of the layer, as in the record of the compression, [epochs + 1][channels left]: |gamma| of each
    channel over the mean of all channels of the network, before the first epoch and after each.
    """

    schema_version: Literal[1] = 1
    layers: dict[str, tuple[tuple[Annotated[float, Field(ge=0)], ...], ...]]


def target_name(asked: dict[str, float]) -> str:
    """Targets in words, such as "flops 0.5 + params 0.4"."""
    return " + ".join(f"{name} {value:g}" for name, value in asked.items())


def result_of(record: CompressRecord) -> TrialResult:
    """What the record of a compression says of a trial."""
    last = record.history[-1] if record.history else None
    return TrialResult(
        strategy=record.strategy,
        reached={target.of: target.reached for target in record.targets},
        samples=record.samples,
        dense=record.dense,
        pruned=record.pruned,
        validation_accuracy=None if last is None else last.validation_accuracy,
        epochs=len(record.history),
        seconds=sum(epoch.seconds for epoch in record.history),
    )


def result_of_round(record: CompressRecord, sparsity: float) -> TrialResult:
    """What it says of the trial that ends with its round of that sparsity, or of one as near as whole weights allow."""
    found = min(record.rounds, key=lambda each: abs(each.sparsity - sparsity))
    return result_of(
        record.model_copy(
            update={
                "targets": (Target(of="sparsity", asked=sparsity, reached=found.sparsity),),
                "pruned": found.cost,
                "history": record.history[: found.epoch],
            }
        )
    )


def load_trial(path: Path) -> TrialRecord:
    """The record in the file `path`. Raises InputError when it is missing, not whole or of another schema."""
    return load_record(TrialRecord, path, "record of a trial", "experiment", "remove it, and it is run again")


def load_features(path: Path) -> FeatureRecord:
    """The record in the file `path`. Raises InputError when it is missing, not whole or of another schema."""
    return load_record(FeatureRecord, path, "record of features", "experiment", "remove its trial, and it is run again")


def load_importance(path: Path) -> ImportanceRecord:
    """The record in the file `path`. Raises InputError when it is missing, not whole or of another schema."""
    return load_record(
        ImportanceRecord, path, "record of importance", "experiment", "remove its trial, and it is run again"
    )


def results_csv(records: Iterable[TrialRecord]) -> str:
    """A row for each trial; what a failed one has no figures for is blank."""
    names = ("network", "seed", "comparison", "variant", "kind", "method", "target", "asked", "reached", "accuracy")
    more = ("validation_accuracy", "dense_accuracy", "samples", "regeneration", "prune_epochs", "epochs", "seconds")
    costs = (f"{prefix}{name}" for name in (*COSTS, *ON_CHIP) for prefix in ("", "dense_"))
    return csv_text((*names, *more, *costs, "status", "error"), map(_row, records))


def _row(record: TrialRecord) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(record, name) for name in ("network", "seed", "comparison", "variant", "kind")}
    row |= {"target": "+".join(record.asked), "asked": "+".join(f"{value:g}" for value in record.asked.values())}
    row |= {"status": "failed" if record.result is None else "done", "error": record.error}
    result = record.result
    if result is None:
        return row
    row |= {name: getattr(result, name) for name in ("samples", "validation_accuracy", "epochs", "seconds")}
    row |= {name: getattr(result.strategy, name) for name in ("method", "regeneration", "prune_epochs")}
    row |= {"reached": "+".join(f"{result.reached[name]:.6g}" for name in record.asked)}
    row |= {"accuracy": result.pruned.accuracy, "dense_accuracy": result.dense.accuracy}
    for prefix, cost in (("", result.pruned), ("dense_", result.dense)):
        row |= {f"{prefix}{name}": getattr(cost, name) for name in COSTS}
        if cost.on_chip is not None:
            row |= {f"{prefix}{name}": getattr(cost.on_chip, name) for name in ON_CHIP}
    return row
