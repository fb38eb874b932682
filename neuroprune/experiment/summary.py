"""What an experiment says: for each network and target every variant, against the baseline and against chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroprune.experiment.plan import Plan
from neuroprune.experiment.record import TrialRecord
from neuroprune.experiment.statistics import Difference, Verdict, judge, paired_difference
from neuroprune.readable import plain_table, plural
from neuroprune.records import csv_text

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = 100
"""Of the terminal that a table fits."""


@dataclass(frozen=True)
class VariantSummary:
    """A variant at a target, over its seeds.

    accuracy, deviation: mean and standard deviation over `seeds`, the latter None for one. difference: from the
    baseline, None for the baseline itself. weights, flops, synops: shares of the dense network's that are left, means.
    failed: trials that did.
    """

    variant: str
    seeds: int
    failed: int
    accuracy: float
    deviation: float | None
    difference: Difference | None
    weights: float
    flops: float
    synops: float


@dataclass(frozen=True)
class Group:
    """What is compared: the variants of a comparison, on one network, at one target.

    dense: mean accuracy of the trained networks. verdict: None where no trial was finished.
    """

    network: str
    comparison: str
    target: str
    baseline: str
    dense: float
    variants: tuple[VariantSummary, ...]
    verdict: Verdict | None
    unfinished: tuple[str, ...] = ()

    def standing(self, variant: str) -> str:
        """In a word: "best", "tied" with others, or "behind" the best."""
        assert self.verdict is not None
        if variant == self.verdict.winner:
            return "best"
        return "tied" if variant in self.verdict.best else "behind"

    @property
    def sentence(self) -> str:
        """The verdict."""
        if self.verdict is None:
            return "no trial was finished"
        seeds = min(each.seeds for each in self.variants)
        if len(self.variants) == 1:
            return f"{self.variants[0].variant} alone was run, on {plural(seeds, 'seed')}"
        if self.verdict.winner is not None:
            return f"{self.verdict.winner} is best: every other variant is behind by more than chance"
        names = list(self.verdict.best)
        return f"no winner: {', '.join(names[:-1])} and {names[-1]} cannot be told apart on {plural(seeds, 'seed')}"


def summarise(plan: Plan, records: Iterable[TrialRecord]) -> tuple[Group, ...]:
    """The groups of an experiment, in the plan's order.

    >>> from neuroprune import load_plan, summarise
    >>> summarise(load_plan("small"), records=[])  # or what run_experiment returns
    ()
    """
    grouped: dict[tuple[str, str, str], list[TrialRecord]] = {}
    for record in records:
        grouped.setdefault((record.comparison, record.network, record.target), []).append(record)
    baselines = {comparison.name: comparison.baseline for comparison in plan.comparisons}
    order = {comparison.name: number for number, comparison in enumerate(plan.comparisons)}
    return tuple(
        _group(*key, baselines[key[0]], grouped[key]) for key in sorted(grouped, key=lambda key: order[key[0]])
    )


def summary_csv(groups: Iterable[Group]) -> str:
    """A row for each variant in each group; accuracies and differences are shares in 0..1."""
    who = ("network", "comparison", "target", "variant")
    what = ("seeds", "failed", "accuracy", "deviation", "dense_accuracy")
    more = ("baseline", "difference", "low", "high", "p", "weights", "flops", "synops", "standing")
    rows = []
    for group in groups:
        for each in group.variants:
            row = {name: getattr(group, name) for name in ("network", "comparison", "target", "baseline")}
            row |= {name: getattr(each, name) for name in ("variant", "seeds", "failed", "accuracy", "deviation")}
            row |= {name: getattr(each, name) for name in ("weights", "flops", "synops")}
            row |= {"dense_accuracy": group.dense, "standing": group.standing(each.variant)}
            if each.difference is not None:
                row |= {name: getattr(each.difference, name) for name in ("low", "high", "p")}
                row["difference"] = each.difference.mean
            rows.append(row)
    return csv_text((*who, *what, *more), rows)


def render(groups: Sequence[Group]) -> "list[RenderableType]":
    """A table and a verdict for each group, within 100 columns."""
    from rich.text import Text

    parts: list[RenderableType] = []
    for group in groups:
        title = f"{group.network}, {group.target}" + (f" (dense {group.dense:.2%})" if group.variants else "")
        right = ("seeds", "accuracy %", f"against {group.baseline}", "weights", "FLOPs", "SynOps")
        table = plain_table(title, "variant", *right, "", right=right)
        for each in group.variants:
            standing = group.standing(each.variant) if len(group.variants) > 1 else ""
            table.add_row(
                Text(each.variant),
                str(each.seeds),
                _mean(each),
                _difference(each.difference),
                *(f"{100 * share:.1f}%" for share in (each.weights, each.flops, each.synops)),
                Text(standing, "bold" if standing == "best" else ""),
            )
        parts.append(table if group.variants else Text(title, "bold"))
        if group.unfinished:
            parts.append(Text(f"failed: {', '.join(group.unfinished)}", "yellow"))
        parts.append(Text(f"{group.sentence}\n"))
    return parts


def _group(comparison: str, network: str, target: str, baseline: str, records: list[TrialRecord]) -> Group:
    done = [record for record in records if record.result is not None]
    by_variant: dict[str, dict[int, TrialRecord]] = {}
    for record in done:
        by_variant.setdefault(record.variant, {})[record.seed] = record
    accuracies = {name: {seed: record.accuracy for seed, record in found.items()} for name, found in by_variant.items()}
    results = [record.result for record in done if record.result is not None]
    resolution = 1.0 / results[0].samples if results else 0.0
    failed = [record.variant for record in records if record.result is None]
    return Group(
        network=network,
        comparison=comparison,
        target=target,
        baseline=baseline,
        dense=float(np.mean([result.dense.accuracy for result in results])) if results else 0.0,
        variants=tuple(
            _variant(
                name, found, failed.count(name), accuracies.get(baseline, {}) if name != baseline else {}, resolution
            )
            for name, found in by_variant.items()
        ),
        verdict=judge(accuracies, resolution) if accuracies else None,
        unfinished=tuple(f"{record.variant} of seed {record.seed}" for record in records if record.result is None),
    )


def _variant(
    name: str, found: dict[int, TrialRecord], failed: int, baseline: dict[int, float], resolution: float
) -> VariantSummary:
    results = [record.result for record in found.values() if record.result is not None]
    values = [result.pruned.accuracy for result in results]
    common = [seed for seed in found if seed in baseline]
    difference = None
    if common:
        pair = [found[seed].accuracy for seed in common], [baseline[seed] for seed in common]
        difference = paired_difference(*pair, resolution)

    def left(of: str) -> float:
        return float(np.mean([getattr(result.pruned, of) / max(getattr(result.dense, of), 1) for result in results]))

    return VariantSummary(
        variant=name,
        seeds=len(values),
        failed=failed,
        accuracy=float(np.mean(values)),
        deviation=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        difference=difference,
        weights=left("nonzero_parameters"),
        flops=left("flops"),
        synops=left("unfolded_synops"),
    )


def _mean(each: VariantSummary) -> str:
    spread = "" if each.deviation is None else f" ± {100 * each.deviation:.2f}"
    return f"{100 * each.accuracy:.2f}{spread}"


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    interval = ""
    if difference.low is not None and difference.high is not None:
        interval = f" ({100 * difference.low:+.2f} to {100 * difference.high:+.2f})"
    return f"{100 * difference.mean:+.2f}{interval}"
