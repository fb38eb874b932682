"""Reports side by side: what the first takes, and what the others take of that."""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import NamedTuple

from neuroprune.intervals import share_interval
from neuroprune.report.bottlenecks import layer_binding
from neuroprune.report.compare_schema import (
    AccuracyDifference,
    ComparedFigure,
    ComparedLayer,
    ComparedReport,
    Comparison,
)
from neuroprune.report.cost_schema import CostEstimate
from neuroprune.report.layer_schema import LayerReport
from neuroprune.report.ranges import energy_nj, latency_ns, step_ns
from neuroprune.report.schema import Report


class _Figure(NamedTuple):
    name: str
    unit: str
    of: Callable[[Report], float | None]


NOT_THE_SAME = "differences of accuracy between them are not judged, and activity is not of the same samples"

LAYER_FIGURES: tuple[tuple[str, str, Callable[[LayerReport], float]], ...] = (
    ("cores", "cores", lambda layer: layer.cores),
    ("neurons", "neurons", lambda layer: layer.neurons),
    ("synapses, not zero", "synapses", lambda layer: layer.nonzero_synapses),
    ("SynOps, not zero", "SynOps", lambda layer: layer.nonzero_synops_per_sample),
    ("spike rate", "", lambda layer: layer.spikes_per_neuron_step),
    ("bits", "bits", lambda layer: layer.weight_bits),
)
"""Name, unit and figure of a layer that are compared."""


def compare_reports(reports: Sequence[Report], names: Sequence[str]) -> Comparison:
    """The comparison of two or more `reports`, called by `names`."""
    assert len(reports) == len(names) >= 2
    figures = (_compared(each.name, each.unit, [each.of(report) for report in reports]) for each in _figures(reports))
    return Comparison(
        reports=tuple(map(_compared_report, reports, names)),
        remarks=_remarks(reports, names),
        accuracy=(None, *(_difference(reports[0], each) for each in reports[1:])),
        figures=tuple(each for each in figures if any(value is not None for value in each.values)),
        layers=_layers(reports),
    )


def _figures(reports: Sequence[Report]) -> list[_Figure]:
    """The figures that any of the reports may have, in the order of what a person asks."""
    resources = dict.fromkeys((use.name, use.unit) for report in reports for use in report.totals.resources)
    models = dict.fromkeys(cost.model for report in reports for cost in report.costs)
    found = [
        _Figure("accuracy, float", "", lambda report: report.accuracy.float),
        _Figure("accuracy, bit-accurate", "", lambda report: report.accuracy.bit_accurate),
        _Figure("cores", "cores", lambda report: report.totals.cores),
        _Figure("cores proven to be needed", "cores", lambda report: report.bound.bound if report.bound else None),
        _Figure("chips", "chips", lambda report: report.totals.chips),
        *(_Figure(name, unit, _used(name)) for name, unit in resources if name != "neurons"),
        _Figure("neurons", "neurons", lambda report: report.totals.neurons),
        _Figure("synapses", "synapses", lambda report: report.totals.synapses),
        _Figure("synapses, not zero", "synapses", lambda report: report.totals.nonzero_synapses),
        _Figure("spikes a sample", "spikes", lambda report: report.totals.spikes_per_sample),
        _Figure("SynOps a sample", "SynOps", lambda report: report.totals.synops_per_sample),
        _Figure("SynOps, not zero", "SynOps", lambda report: report.totals.nonzero_synops_per_sample),
        _Figure("SynOps a step, busiest core", "SynOps", lambda report: max(c.synops_per_step for c in report.cores)),
        _Figure("messages a sample", "messages", lambda r: r.traffic.messages_per_sample if r.traffic else None),
        _Figure("hops a sample", "hops", lambda r: r.traffic.hops_per_sample if r.traffic else None),
        _Figure("to other chips", "messages", lambda r: r.traffic.chip_crossings_per_sample if r.traffic else None),
    ]
    for model in models:
        found += [
            _Figure(f"a step by {model}", "ns", _cost(model, step_ns)),
            _Figure(f"a sample by {model}", "ns", _cost(model, latency_ns)),
            _Figure(f"energy by {model}", "nJ", _cost(model, energy_nj)),
        ]
    return found


def _used(name: str) -> Callable[[Report], float | None]:
    return lambda report: next((use.used for use in report.totals.resources if use.name == name), None)


def _cost(model: str, figure: Callable[[CostEstimate], float | None]) -> Callable[[Report], float | None]:
    return lambda report: next((figure(cost) for cost in report.costs if cost.model == model), None)


def _compared(name: str, unit: str, values: Sequence[float | None]) -> ComparedFigure:
    first = values[0]
    ratios = tuple(None if value is None or not first else value / first for value in values)
    return ComparedFigure(name=name, unit=unit, values=tuple(values), ratios=ratios)


def _compared_report(report: Report, name: str) -> ComparedReport:
    return ComparedReport(
        name=name,
        network=report.network,
        data=report.data,
        target=report.target.name,
        samples=report.samples,
        steps=report.steps,
        bits=tuple(sorted({layer.weight_bits for layer in report.layers})),
    )


def _difference(first: Report, other: Report) -> AccuracyDifference | None:
    before, after = first.accuracy.bit_accurate, other.accuracy.bit_accurate
    if before is None or after is None or not _same_samples(first, other):
        return None
    low, high = difference_of_shares((before, first.samples), (after, other.samples))
    return AccuracyDifference(difference=after - before, low=low, high=high, is_noise=low <= 0.0 <= high)


def difference_of_shares(first: tuple[float, int], other: tuple[float, int]) -> tuple[float, float]:
    """The 95 % interval of how much larger the share `other` is than `first`, each with its number of samples.

    Method 10 of Newcombe 1998; see `AccuracyDifference`.
    """
    (before, _), (after, _) = first, other
    (low1, high1), (low2, high2) = share_interval(*first), share_interval(*other)
    low = after - before - sqrt((after - low2) ** 2 + (high1 - before) ** 2)
    return low, after - before + sqrt((high2 - after) ** 2 + (before - low1) ** 2)


def _layers(reports: Sequence[Report]) -> tuple[ComparedLayer, ...]:
    """Layers in the order of the first report that has them; relays are the mapper's, and left out."""
    named = [{layer.name: layer for layer in report.layers if not layer.relay} for report in reports]
    found = []
    for name in dict.fromkeys(name for layers in named for name in layers):
        of_each = [layers.get(name) for layers in named]
        binding = [
            layer_binding(layer, report.target) if layer else None
            for layer, report in zip(of_each, reports, strict=True)
        ]
        figures = tuple(
            _compared(what, unit, [figure(layer) if layer else None for layer in of_each])
            for what, unit, figure in LAYER_FIGURES
        )
        found.append(
            ComparedLayer(name=name, figures=figures, binds=tuple(each.name if each else None for each in binding))
        )
    return tuple(found)


def _data_sum(report: Report) -> str | None:
    return report.provenance.data_sha256 if report.provenance else None


def _same_samples(first: Report, other: Report) -> bool:
    """Whether both ran the same samples, as far as they tell."""
    same_sums = None in (_data_sum(first), _data_sum(other)) or _data_sum(first) == _data_sum(other)
    return (first.data, first.samples) == (other.data, other.samples) and same_sums


def _remarks(reports: Sequence[Report], names: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each way in which the reports are not of the same."""

    def differ(what: str, values: Sequence[object], effect: str) -> str | None:
        said = ("unknown" if value is None else str(value) for value in values)
        with_names = ", ".join(f"{value} ({name})" for value, name in zip(said, names, strict=True))
        return f"{what} differ: {with_names}; {effect}" if len(set(values)) > 1 else None

    found = [
        differ("the data", [report.data for report in reports], NOT_THE_SAME),
        differ("the numbers of samples", [report.samples for report in reports], NOT_THE_SAME),
    ]
    if found == [None, None] and not all(_same_samples(reports[0], each) for each in reports):
        found.append(f"the samples differ by their SHA-256 sums; {NOT_THE_SAME}")
    found.append(differ("the targets", [report.target.name for report in reports], "their cores are not the same"))
    steps = [report.steps for report in reports]
    found.append(differ("the steps of a sample", steps, "spikes and SynOps are those of more steps or fewer"))
    return tuple(each for each in found if each is not None)
