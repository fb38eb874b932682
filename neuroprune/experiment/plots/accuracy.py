"""Accuracy against what a pruned network costs, and against what pruning was asked for."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from neuroprune.compression.record import NetworkCost
from neuroprune.experiment.plots.style import Drawn, figure, legend, style_of
from neuroprune.experiment.record import TrialRecord, TrialResult

COSTS = {"flops": "FLOPs", "unfolded_synops": "SynOps", "cores": "cores"}
"""What networks cost, by field of NetworkCost, or of the ChipCost in it."""
SWEEPS = {"regeneration": "share r of what stays that is brought back", "prune_epochs": "epochs of pruning, $N_p$"}
"""Fields of Strategy whose effect is drawn where variants differ in nothing else."""

Points = dict[str, list[tuple[float, list[float]]]]
"""By the name of a line: x, and the accuracies of all seeds there."""


def draw_accuracy(records: Sequence[TrialRecord]) -> Iterator[Drawn]:
    """Of one comparison on one network: accuracy against sparsity and costs, effect of r and of the pruning epochs."""
    results = [(record, record.result) for record in records if record.result is not None]
    if not results:
        return
    first = results[0][0]
    of_whom = f"{first.network}, {first.comparison}"
    dense = float(np.mean([result.dense.accuracy for _, result in results]))
    if first.kind == "unstructured":
        points = _points(results, lambda result: 1.0 - result.reached["sparsity"])
        yield "accuracy-sparsity", _draw(f"Accuracy against sparsity ({of_whom})", points, dense, "sparsity", _sparsity)
    for name, title in COSTS.items():
        if all(_cost(result.dense, name) and _cost(result.pruned, name) for _, result in results):
            points = _points(results, partial(_share, name))
            label = f"{title} left of the dense network's"
            yield (
                f"accuracy-{title.lower()}",
                _draw(f"Accuracy against {title} ({of_whom})", points, dense, label, _left),
            )
    for name, label in SWEEPS.items():
        points = _sweep(results, name)
        if points:
            title = f"Effect of {'r' if name == 'regeneration' else 'the pruning epochs'} ({of_whom})"
            yield f"effect-of-{name.replace('_', '-')}", _draw(title, points, dense, label, _plain)


def _points(results: Sequence[tuple[TrialRecord, TrialResult]], x: Callable[[TrialResult], float]) -> Points:
    """A line for each variant, a point for each target: x is the mean over the seeds."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record, result in results:
        found.setdefault(record.variant, {}).setdefault(record.target, []).append((x(result), record.accuracy))
    return {
        variant: sorted(
            (float(np.mean([each for each, _ in pairs])), [accuracy for _, accuracy in pairs])
            for pairs in by_target.values()
        )
        for variant, by_target in found.items()
    }


def _sweep(results: Sequence[tuple[TrialRecord, TrialResult]], name: str) -> Points:
    """A line for each target of variants that differ in the field `name` of their strategy alone."""
    found: dict[tuple[Any, ...], dict[float, list[float]]] = {}
    for record, result in results:
        rest = tuple(value for field, value in vars(result.strategy).items() if field != name)
        values = found.setdefault((f"{result.strategy.method}, {record.target}", rest), {})
        values.setdefault(getattr(result.strategy, name), []).append(record.accuracy)
    return {title: sorted(values.items()) for (title, _), values in found.items() if len(values) > 1}


def _share(name: str, result: TrialResult) -> float:
    return _cost(result.pruned, name) / _cost(result.dense, name)


def _cost(cost: NetworkCost, name: str) -> float:
    """0 where it is not known."""
    return float(getattr(cost.on_chip if name == "cores" else cost, name, None) or 0.0)


def _draw(title: str, points: Points, dense: float, label: str, scale: Callable[[Axes, list[float]], None]) -> Figure:
    drawn, (axes,) = figure(title)
    for number, (name, line) in enumerate(points.items()):
        means = [100 * float(np.mean(values)) for _, values in line]
        spread = [100 * float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for _, values in line]
        axes.errorbar([x for x, _ in line], means, spread, capsize=2.5, label=name, **style_of(number))
    axes.axhline(100 * dense, color="grey", linestyle="--", linewidth=1, label="dense")
    axes.set_xlabel(label, fontsize=9)
    axes.set_ylabel("test accuracy, %", fontsize=9)
    scale(axes, sorted({x for line in points.values() for x, _ in line}))
    legend(drawn, axes)
    return drawn


def _sparsity(axes: Axes, shares: list[float]) -> None:
    """Of weights that stay, on a logarithmic scale, written as sparsity."""
    axes.set_xlim(1.15 * shares[-1], shares[0] / 1.15)  # first: one share alone has no limits to put on a scale
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(_apart(shares))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * (1 - share):.3g}%"))


def _left(axes: Axes, shares: list[float]) -> None:
    """Shares, the largest on the left."""
    beside = 0.01 + (shares[-1] - shares[0]) / 20
    axes.set_xlim(shares[-1] + beside, shares[0] - beside)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}%"))


def _plain(axes: Axes, values: list[float]) -> None:
    axes.set_xticks(_apart(values))


def _apart(values: list[float]) -> list[float]:
    """Those that leave room for their labels: at least a twentieth of the whole range apart."""
    kept: list[float] = []
    for value in values:
        if not kept or value - kept[-1] > (values[-1] - values[0]) / 20:
            kept.append(value)
    return kept
