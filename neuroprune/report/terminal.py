"""The report on a terminal: a summary, the layers, the cores."""

from collections.abc import Sequence
from statistics import fmean

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from neuroprune.report.schema import CoreReport, LavaCheck, LayerReport, Report

MOST_CORES = 40
"""Beyond as many cores, those with the same layers on them are shown together."""

WIDE = 100
"""Columns of a terminal that shows everything; a narrower one leaves out what the other columns tell as well."""

LIMITS = ("neurons", "input_axons", "output_axons", "synapse_memory")


def render(report: Report, width: int = WIDE) -> RenderableType:
    """The whole report for a terminal of `width` columns (80 or more), to be printed on a rich console."""
    return Group(_summary(report), _layers(report, width), _cores(report, width))


def amount(value: float) -> str:
    """Three digits and a prefix: 12, 1.23k, 45.6M."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor:
            return f"{_three_digits(value / factor)}{prefix}"
    return f"{value:.0f}" if value == int(value) else _three_digits(value)


def _three_digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    """One digit after the point; 0% is kept for none at all."""
    return "0%" if share == 0 else f"{100 * share:.1f}%" if share >= 0.0005 else "<0.1%"


def _rate(rate: float) -> str:
    """Three digits after the point; 0 is kept for a silent layer."""
    return "0" if rate == 0 else f"{rate:.3f}" if rate >= 0.0005 else "<0.001"


# --- summary ----------------------------------------------------------------------------------------------------------


def _summary(report: Report) -> Panel:
    totals, target = report.totals, report.target
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold")
    lines.add_column()
    lines.add_row("target", Text(f"{target.name}: {target.title}"))
    samples = _plural(report.samples, "sample") + (f" of {report.data}" if report.data else "")
    lines.add_row("run", Text(f"{samples}, {_plural(report.steps, 'step')} each"))
    lines.add_row("accuracy", _accuracy(report))
    lines.add_row("Lava", _lava(report.lava))
    lines.add_row(
        "takes",
        f"[bold cyan]{_plural(totals.cores, 'core')}[/] on {_plural(totals.chips, 'chip')}, "
        f"{_plural(totals.neurons, 'neuron')}, {amount(totals.synapses)} synapses "
        f"({amount(totals.nonzero_synapses)} not zero), {totals.synapse_kib:,.1f} KiB",
    )
    lines.add_row(
        "a sample",
        f"{amount(totals.spikes_per_sample)} spikes, [bold cyan]{amount(totals.synops_per_sample)} SynOps[/] "
        f"({amount(totals.nonzero_synops_per_sample)} without zero weights)",
    )
    busiest = report.cores[totals.busiest_core]
    lines.add_row("a step", f"{amount(busiest.synops_per_step)} SynOps on the busiest core, {busiest.index}")
    if report.input.saturated_share > 0:
        lines.add_row("input", f"[yellow]{_percent(report.input.saturated_share)} of the values were clipped[/]")
    for remark in report.netx_remarks:
        lines.add_row("netx", Text(remark))
    return Panel(lines, title=Text(f"{report.network} on {target.name}"), title_align="left", border_style="dim")


def _accuracy(report: Report) -> Text:
    ladder = report.accuracy
    steps = (
        ("float", ladder.float),
        ("folded", ladder.folded),
        ("quantised", ladder.quantised),
        ("bit-accurate", ladder.bit_accurate),
    )
    known = [(name, share) for name, share in steps if share is not None]
    if not known:
        return Text("unknown: the samples have no labels", "dim")
    line = Text(" > ").join(Text.assemble(f"{name} ", (f"{100 * share:.2f}%", "bold")) for name, share in known)
    if ladder.float is not None and ladder.bit_accurate is not None:
        line.append(f" ({100 * (ladder.bit_accurate - ladder.float):+.2f} points)")
    return line


def _lava(lava: LavaCheck) -> Text:
    if lava.samples == 0:
        return Text(f"not compared: {lava.not_run}", "yellow")
    return Text.assemble(
        (f"{lava.differences} differences", "bold green"),
        f" in {_plural(lava.samples, 'sample')}: {_plural(lava.spikes, 'spike')} in "
        f"{lava.neuron_steps:,} neuron steps, {_plural(lava.voltages, 'voltage')}",
    )


# --- layers -----------------------------------------------------------------------------------------------------------


def _layers(report: Report, width: int) -> RenderableType:
    table = _table("Layers")
    table.add_column("layer", overflow="fold")
    if width >= WIDE:
        table.add_column("kind", no_wrap=True)
        table.add_column("shape", no_wrap=True)
    activity = ("neurons", "synapses", "spike\nrate", "SynOps/\nsample", "without\nzeros")
    for name in (*activity, "weight\nbits", "satu-\nrated", "over-\nflows", "cores"):
        table.add_column(name, justify="right", no_wrap=True)
    for layer in report.layers:
        table.add_row(*_layer(layer, width))
    note = "saturated: weights at an end of their range; overflows: current wraps and voltage saturations"
    return Group(table, Text(note, "dim"))


def _layer(layer: LayerReport, width: int) -> list[RenderableType]:
    overflows = layer.current_wraps + layer.voltage_saturations
    form = [layer.kind, "x".join(map(str, layer.shape))] if width >= WIDE else []
    return [
        Text(layer.name),
        *form,
        amount(layer.neurons),
        amount(layer.synapses),
        _rate(layer.spikes_per_neuron_step),
        amount(layer.synops_per_sample),
        amount(layer.nonzero_synops_per_sample),
        str(layer.weight_bits),
        _percent(layer.saturated_weights_share),
        Text(amount(overflows), "yellow" if overflows else ""),
        str(layer.cores),
    ]


# --- cores ------------------------------------------------------------------------------------------------------------


def _cores(report: Report, width: int) -> RenderableType:
    """One row for each core, or, beyond MOST_CORES, one for those that hold the same layers."""
    if len(report.cores) <= MOST_CORES:
        table = _core_table("Cores", "core", width)
        for core in report.cores:
            table.add_row(str(core.index), *_core_row([core], f"{core.chip} {core.x},{core.y}", width))
        return table
    together: dict[tuple[str, ...], list[CoreReport]] = {}
    for core in report.cores:
        together.setdefault(core.layers, []).append(core)
    table = _core_table("Cores, together where they hold the same layers", "cores", width)
    for group in together.values():
        chips = sorted({core.chip for core in group})
        place = str(chips[0]) if len(chips) == 1 else f"{chips[0]}-{chips[-1]}"
        table.add_row(str(len(group)), *_core_row(group, place, width))
    note = (
        f"{len(report.cores)} cores in {len(together)} rows: means of use and percentage, the most SynOps of any core; "
        "`neuroprune report --csv` lists every core"
    )
    return Group(table, Text(note, "dim"))


def _core_table(title: str, count: str, width: int) -> Table:
    table = _table(title)
    table.add_column(count, justify="right", no_wrap=True)
    table.add_column("chip x,y" if count == "core" else "chip", no_wrap=True)
    table.add_column("layers", overflow="fold")
    for name in ("neurons", "input\naxons", "output\naxons", "synapse\nKiB"):
        table.add_column(name, justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("fullest", no_wrap=True)
        table.add_column("encoding")
    table.add_column("SynOps/\nstep", justify="right", no_wrap=True)
    return table


def _core_row(group: Sequence[CoreReport], place: str, width: int) -> list[RenderableType]:
    """Means over `group`, save for SynOps: a step takes as long as the core with the most of them."""
    percents = [fmean(getattr(core, f"{limit}_percent") for core in group) for limit in LIMITS]
    uses = (
        f"{fmean(core.neurons for core in group):.0f}",
        f"{fmean(core.input_axons for core in group):.0f}",
        f"{fmean(core.output_axons for core in group):.0f}",
        f"{fmean(core.synapse_kib for core in group):.1f}",
    )
    row: list[RenderableType] = [place, Text(" ".join(group[0].layers))]
    for use, percent in zip(uses, percents, strict=True):
        row.append(Text.assemble(use, (f" {percent:3.0f}%", "bold cyan" if percent == max(percents) else "dim")))
    if width >= WIDE:
        row.append(
            ProgressBar(total=100, completed=max(percents), width=7, complete_style="cyan", finished_style="cyan")
        )
        row.append(" ".join(dict.fromkeys(encoding for core in group for encoding in core.encodings)))
    return [*row, amount(max(core.synops_per_step for core in group))]


def _table(title: str) -> Table:
    return Table(
        title=f"\n{title}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, padding=0
    )
