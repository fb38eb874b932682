"""The table of cores on a terminal."""

from collections.abc import Sequence
from statistics import fmean

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from neuroprune.readable import amount, plain_table
from neuroprune.report.bottlenecks import worst_first
from neuroprune.report.chip_schema import CoreReport, ResourceUse
from neuroprune.report.layer_table import WIDE
from neuroprune.report.resources import heading, shown
from neuroprune.report.schema import Report

MOST_CORES = 40
"""Beyond this number of cores, those that hold the same layers share a row."""

RESOURCES, RESOURCE_WIDTH = 4, 10
"""Resources that a terminal of up to WIDE columns has room for, and the columns that each one more takes."""


def core_table(report: Report, width: int) -> RenderableType:
    """A row for each core or, beyond MOST_CORES, for all cores that hold the same layers."""
    fullest = [
        max(uses, key=lambda use: use.percent) for uses in zip(*(core.resources for core in report.cores), strict=True)
    ]
    kept = _with_room(fullest, width)
    resources = [fullest[number] for number in kept]
    left_out = [f"{use.name}, at most {use.percent:.0f}%" for number, use in enumerate(fullest) if number not in kept]
    notes = [f"not shown: {'; '.join(left_out)}"] if left_out else []
    if len(report.cores) <= MOST_CORES:
        table = _empty_table("Cores, most SynOps first", "core", resources, width)
        for core in worst_first(report.cores):
            table.add_row(str(core.index), *_core_row([core], f"{core.chip} {core.x},{core.y}", kept, width))
    else:
        groups: dict[tuple[str, ...], list[CoreReport]] = {}
        for core in worst_first(report.cores):
            groups.setdefault(core.layers, []).append(core)
        table = _empty_table(
            "Cores, together where they hold the same layers, most SynOps first", "cores", resources, width
        )
        for group in groups.values():
            chips = sorted({core.chip for core in group})
            place = str(chips[0]) if len(chips) == 1 else f"{chips[0]}-{chips[-1]}"
            table.add_row(str(len(group)), *_core_row(group, place, kept, width))
        notes.append(
            f"{len(report.cores)} cores in {len(groups)} rows: means of use and percentage, the most SynOps of any "
            "core; `neuroprune report --csv` lists every core"
        )
    return Group(table, Text("; ".join(notes), "dim")) if notes else table


def _with_room(fullest: Sequence[ResourceUse], width: int) -> list[int]:
    """Numbers of the resources that a terminal of `width` shows: those that come closest to their limit on any core.

    fullest: of each resource the use on the core that uses most of it.
    """
    room = RESOURCES + max(0, width - WIDE) // RESOURCE_WIDTH
    return sorted(sorted(range(len(fullest)), key=lambda number: -fullest[number].percent)[:room])


def _empty_table(title: str, count: str, resources: Sequence[ResourceUse], width: int) -> Table:
    table = plain_table(f"\n{title}", tight=True)
    table.add_column(count, justify="right", no_wrap=True)
    table.add_column("chip x,y" if count == "core" else "chip", no_wrap=True)
    table.add_column("layers", overflow="fold")
    for resource in resources:
        table.add_column(Text(heading(resource)), justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("fullest", no_wrap=True)
        table.add_column("encoding")
    table.add_column("SynOps/\nstep", justify="right", no_wrap=True)
    return table


def _core_row(group: Sequence[CoreReport], place: str, kept: Sequence[int], width: int) -> list[RenderableType]:
    """Means over `group`, save for SynOps: a step takes as long as the core with the most of them.

    kept: numbers of the resources that are shown; the bar is of the fullest, shown or not.
    """
    uses = list(zip(*(core.resources for core in group), strict=True))
    percents = [fmean(each.percent for each in use) for use in uses]
    row: list[RenderableType] = [place, Text(" ".join(group[0].layers))]
    for number in kept:
        use, style = uses[number], "bold cyan" if percents[number] == max(percents) else "dim"
        text = shown(fmean(each.used for each in use), use[0])
        row.append(Text.assemble(text, (f" {percents[number]:3.0f}%", style)))
    if width >= WIDE:
        row.append(
            ProgressBar(
                total=100, completed=max(percents, default=0), width=7, complete_style="cyan", finished_style="cyan"
            )
        )
        row.append(Text(" ".join(dict.fromkeys(encoding for core in group for encoding in core.encodings))))
    return [*row, amount(max(core.synops_per_step for core in group))]
