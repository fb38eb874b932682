"""The report on a terminal: a summary, the layers, the cores."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from neuroprune.graph.nodes import INPUT
from neuroprune.readable import amount, figure, percent, plural, three_digits
from neuroprune.report.chip_schema import ResourceUse
from neuroprune.report.core_table import core_table
from neuroprune.report.cost_lines import cost_lines
from neuroprune.report.layer_schema import LayerReport
from neuroprune.report.layer_table import WIDE, layer_table, overflows, times
from neuroprune.report.resources import is_counted, shown, shown_unit
from neuroprune.report.schema import AccuracyLadder, LavaCheck, Report, Totals
from neuroprune.report.traffic_schema import TrafficReport

LONGEST_STAGES = 2
"""Stages whose time is shown."""
MOST_REMARKS = 3
"""Remarks on exchange files that are shown; networks with branches have many, all of which are in report.json."""


def render(report: Report, width: int = WIDE) -> RenderableType:
    """The whole report for a terminal of `width` columns (80 or more), to be printed on a rich console.

    >>> from rich.console import Console
    >>> from neuroprune import LavaSettings, build, deploy, frames_of, load_dataset, load_recipe, render
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> report = deploy(network, frames, lava=LavaSettings(samples=0), network="digits-conv").report
    >>> console = Console(width=100)
    >>> with console.capture() as shown:
    ...     console.print(render(report, width=100))
    >>> "digits-conv on loihi-sim" in shown.get()
    True
    """
    return Group(_summary(report), layer_table(report, width), core_table(report, width))


def _summary(report: Report) -> Panel:
    totals, target = report.totals, report.target
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold")
    lines.add_column()
    lines.add_row("target", Text(f"{target.name}: {target.title}"))
    samples = plural(report.samples, "sample") + (f" of {report.data}" if report.data else "")
    lines.add_row("run", Text(f"{samples}, {plural(report.steps, 'step')} each"))
    lines.add_row("accuracy", _accuracy(report))
    if report.accuracy.change is not None:
        lines.add_row("", _change(report.accuracy, report.samples))
    lines.add_row("Lava", _lava(report.lava))
    for sentence in report.lava.own_models:
        lines.add_row("", Text(sentence, "dim"))
    if any(layer.bound for layer in report.layers):
        lines.add_row("overflow", _overflow(report.layers))
    lines.add_row(
        "takes",
        f"[bold cyan]{plural(totals.cores, 'core')}[/] on {plural(totals.chips, 'chip')}, "
        f"{plural(totals.neurons, 'neuron')}, {amount(totals.synapses)} synapses "
        f"({amount(totals.nonzero_synapses)} not zero)",
    )
    lines.add_row("load", Text(", ".join(map(_load, totals.resources))))
    if totals.zeros_stored is not None or totals.zeros_do_not_fit is not None:
        lines.add_row("zeros", _zeros(totals))
    if totals.relay_neurons or totals.delayed_synapses:
        lines.add_row("paths", _paths(report))
    lines.add_row(
        "a sample",
        f"{amount(totals.spikes_per_sample)} spikes, [bold cyan]{amount(totals.synops_per_sample)} SynOps[/] "
        f"({amount(totals.nonzero_synops_per_sample)} without zero weights)",
    )
    busiest = report.cores[totals.busiest_core]
    lines.add_row("a step", f"{amount(busiest.synops_per_step)} SynOps on the busiest core, {busiest.index}")
    if report.traffic is not None:
        lines.add_row("messages", _traffic(report.traffic, report.totals.chips, report.steps))
    for title, line in zip_longest(["estimate"], cost_lines(report), fillvalue=""):
        lines.add_row(title, line)
    if report.input.saturated_share > 0:
        lines.add_row("input", f"[yellow]{percent(report.input.saturated_share)} of the values were clipped[/]")
    if report.date is not None:
        lines.add_row("made", Text(_made(report), "dim"))
    for warning in report.warnings:
        lines.add_row("[yellow]warning[/]", Text(warning, "yellow"))
    for remark in report.exchange_remarks[:MOST_REMARKS]:
        lines.add_row("files", Text(f"{remark.file}: {remark.text}"))
    if len(report.exchange_remarks) > MOST_REMARKS:
        lines.add_row("", f"and {len(report.exchange_remarks) - MOST_REMARKS} more like these, in report.json")
    return Panel(lines, title=Text(f"{report.network} on {target.name}"), title_align="left", border_style="dim")


def _traffic(traffic: TrafficReport, chips: int, steps: int) -> str:
    """Per step, as the links are; the share that crosses chips where there are several."""
    total = traffic.messages_per_sample
    if total == 0:
        return "none between cores"
    line = f"{amount(total / steps)} a step between cores, {three_digits(traffic.hops_per_sample / total)} hops each"
    if traffic.heaviest_link is not None:
        line += f", {amount(traffic.heaviest_link.messages_per_step)} on the heaviest link"
    crossing = traffic.chip_crossings_per_sample / total
    return f"{line}, {percent(crossing)} to other chips" if chips > 1 else line


def _made(report: Report) -> str:
    """When, in what time, with the stages that took the most of it, and by which command."""
    assert report.date is not None
    longest = sorted(report.durations_s.items(), key=lambda each: -each[1])[:LONGEST_STAGES]
    stages = ", ".join(f"{name} {figure(seconds)} s" for name, seconds in longest)
    line = f"{report.date:%Y-%m-%d %H:%M} UTC in {figure(sum(report.durations_s.values()))} s ({stages})"
    return f"{line} by {report.provenance.command}" if report.provenance and report.provenance.command else line


def _load(resource: ResourceUse) -> str:
    """The share of what these cores have, and the amount where the share alone does not tell it: memory."""
    amount = "" if is_counted(resource) else f" ({shown(resource.used, resource)} {shown_unit(resource)})"
    return f"{resource.name} {resource.percent:.0f}%{amount}"


def _zeros(totals: Totals) -> Text:
    """What the zero weights save: what the program takes beside what it would take if they were stored."""
    line = Text.assemble((percent(totals.zero_weights_share or 0.0), "bold"), " of the weights")
    stored = totals.zeros_stored
    if stored is None:
        return line.append(f", without which it would not fit: {totals.zeros_do_not_fit}")
    memory = [
        f"{shown(used.used, used)} {shown_unit(used)} of {used.name} in place of {shown(each.used, each)}"
        for used, each in zip(totals.resources, stored.resources, strict=True)
        if not is_counted(used)
    ]
    cores = f"{plural(totals.cores, 'core')} in place of {stored.cores:,}"
    return line.append(f": {', '.join([cores, *memory])} were they stored")


def _accuracy(report: Report) -> Text:
    ladder = report.accuracy
    steps = (
        ("float", ladder.float, ladder.intervals.float),
        ("folded", ladder.folded, ladder.intervals.folded),
        ("quantised", ladder.quantised, ladder.intervals.quantised),
        ("bit-accurate", ladder.bit_accurate, ladder.intervals.bit_accurate),
    )
    known = [(name, share, interval) for name, share, interval in steps if share is not None]
    if not known:
        return Text("unknown: the samples have no labels", "dim")
    return Text(" > ").join(
        Text.assemble(f"{name} ", (f"{share:.2%}", "bold"), (f" ({_ends(interval)})", "dim") if interval else "")
        for name, share, interval in known
    )


def _ends(interval: tuple[float, float]) -> str:
    """The 95 % interval of a share, in per cent."""
    low, high = interval
    return f"{100 * low:.1f}-{100 * high:.1f}"


def _change(ladder: AccuracyLadder, samples: int) -> str:
    change = ladder.change
    assert change is not None and ladder.bit_accurate is not None and ladder.float is not None
    line = (
        f"{100 * (ladder.bit_accurate - ladder.float):+.2f} points on the chip "
        f"({100 * change.low:+.2f} to {100 * change.high:+.2f} at 95 %)"
    )
    return f"{line}, within the noise of {plural(samples, 'sample')}" if change.is_noise else line


def _lava(lava: LavaCheck) -> Text:
    if lava.unverified is not None:
        compared = f"{plural(lava.differences, 'difference')} in {plural(lava.samples, 'sample')}, the first"
        return Text(
            f"UNVERIFIED, {compared if lava.samples else 'nothing was compared'}: {lava.unverified}", "bold red"
        )
    if lava.samples == 0:
        return Text(f"not compared: {lava.not_run}", "yellow")
    return Text.assemble(
        (f"{lava.differences} differences", "bold green"),
        f" in {plural(lava.samples, 'sample')}: {plural(lava.spikes, 'spike')} in "
        f"{lava.neuron_steps:,} neuron steps, {plural(lava.voltages, 'voltage')}",
    )


def _overflow(layers: Sequence[LayerReport]) -> Text:
    """In how many layers, relays left out, overflows are ruled out, the worst of the others, and how many occurred."""
    bounds = {layer.name: layer.bound for layer in layers if layer.bound and not layer.relay}
    unproved = [name for name, bound in bounds.items() if not bound.safe]
    line = Text.assemble((f"ruled out in {len(bounds) - len(unproved)} of {plural(len(bounds), 'layer')}", "bold"))
    if unproved:
        worst = max(unproved, key=lambda name: bounds[name].times_register)
        line.append(f", at worst {times(bounds[worst])} the register in {worst}")
    occurred = sum(map(overflows, layers))
    line.append(f"; {amount(occurred) if occurred else 'none'} on these samples", "yellow" if occurred else "")
    return line


def _paths(report: Report) -> str:
    """How spikes are delayed for those that take a longer path."""
    totals, relays = report.totals, sum(layer.relay for layer in report.layers)
    ways = []
    if totals.relay_neurons:
        ways.append(f"{amount(totals.relay_neurons)} relay neurons in {plural(relays, 'layer')}")
    if totals.delayed_synapses:
        waits = (
            wait
            for layer in report.layers
            for source, wait in zip(layer.sources, layer.waits, strict=True)
            if source != INPUT
        )
        longest = max(waits, default=0)
        ways.append(f"{amount(totals.delayed_synapses)} synapses that delay by up to {plural(longest, 'step')}")
    return f"balanced by {' and '.join(ways)}"
