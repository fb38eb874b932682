"""The page of one report."""

from pathlib import Path
from typing import NamedTuple

from neuroprune.files import write_text
from neuroprune.report.bottlenecks import cores_bound_by, cores_worth, layer_binding, worst_first
from neuroprune.report.html.chip_map import STRONG, chip_maps, details, measures
from neuroprune.report.html.page import page
from neuroprune.report.layer_table import overflows, times
from neuroprune.report.resources import shown, shown_unit
from neuroprune.report.schema import AccuracyLadder, Report
from neuroprune.report.verdicts import bound_sentence, change_sentence, known_steps, share_with_interval, verdicts

WORST_CORES = 10
"""Cores that the view of bottlenecks has; the table below has all."""


class Rung(NamedTuple):
    """An accuracy on an axis as wide as all intervals. left, width: of its interval, at: of itself, in per cent."""

    name: str
    text: str
    left: float
    width: float
    at: float


def report_html(report: Report) -> str:
    """The whole report as one page of HTML, which loads nothing."""
    shown_measures = measures(report)
    return page(
        "report.html",
        report=report,
        verdicts=verdicts(report),
        bound_sentence=bound_sentence(report.bound) if report.bound else None,
        change=change_sentence(report.accuracy, report.samples),
        rungs=_rungs(report.accuracy),
        maps=chip_maps(report),
        positions={core.index: place for place, core in enumerate(report.cores)},
        measures=shown_measures,
        map_data={
            "measures": [measure._asdict() for measure in shown_measures],
            "cores": details(report),
            "strong": STRONG,
        },
        strong=STRONG,
        bindings=[layer_binding(layer, report.target) for layer in report.layers],
        worth=[cores_worth(layer, report.target) for layer in report.layers],
        bound_by=cores_bound_by(report.cores),
        worst=worst_first(report.cores),
        worst_shown=WORST_CORES,
        overflows=overflows,
        times=times,
        shown=shown,
        shown_unit=shown_unit,
    )


def write_report_html(report: Report, path: Path) -> None:
    """Write the page of `report` to the file `path`, atomically. Raises OutputError."""
    write_text(path, report_html(report))


def _rungs(ladder: AccuracyLadder) -> tuple[Rung, ...]:
    known = [
        (name, share, interval or (share, share), share_with_interval(share, interval))
        for name, share, interval in known_steps(ladder)
    ]
    low = min((interval[0] for _, _, interval, _ in known), default=0.0)
    high = max((interval[1] for _, _, interval, _ in known), default=1.0)
    scale = 100 / (high - low) if high > low else 0.0
    return tuple(
        Rung(name, text, scale * (start - low), scale * (stop - start), scale * (share - low))
        for name, share, (start, stop), text in known
    )
