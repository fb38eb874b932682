"""The report on a terminal: the answers on one screen, what else there is to say, the layers, the cores."""

from collections.abc import Sequence
from itertools import chain, repeat

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from neuroprune.graph.nodes import INPUT
from neuroprune.readable import amount, figure, percent, plural
from neuroprune.report.chip_schema import ResourceUse
from neuroprune.report.core_table import core_table
from neuroprune.report.layer_schema import LayerReport
from neuroprune.report.layer_table import WIDE, layer_table, overflows, times
from neuroprune.report.resources import is_counted, shown, shown_unit
from neuroprune.report.schema import Report, Totals
from neuroprune.report.verdicts import Tone, known_steps, share_with_interval, verdicts

LONGEST_STAGES = 2
"""Stages whose time is shown."""
MOST_WARNINGS = 2
"""Warnings that stand on the first screen; the others follow."""
MOST_STEPS_ABOVE = 2
"""Steps of the accuracy ladder that the first screen has: its ends."""
LABELS = 8
"""Columns of the labels, so that both panels have their text below each other."""
STYLES: dict[Tone, str] = {"good": "bold green", "plain": "", "warning": "yellow", "bad": "bold red"}
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
    return Group(_answers(report), _more(report), layer_table(report, width), core_table(report, width))


def _answers(report: Report) -> Panel:
    """What people ask first, on one screen of 80 x 24."""
    lines = _lines()
    for verdict in verdicts(report):
        lines.add_row(verdict.label, Text(verdict.headline, STYLES[verdict.tone]))
        for sentence in verdict.details:
            lines.add_row("", Text(sentence))
    for warning in report.warnings[:MOST_WARNINGS]:
        lines.add_row("[yellow]warning[/]", Text(warning, "yellow"))
    return Panel(lines, title=Text(f"{report.network} on {report.target.name}"), title_align="left", border_style="dim")


def _more(report: Report) -> Panel:
    totals, target = report.totals, report.target
    lines = _lines()
    lines.add_row("target", Text(f"{target.name}: {target.title}"))
    samples = plural(report.samples, "sample") + (f" of {report.data}" if report.data else "")
    lines.add_row("run", Text(f"{samples}, {plural(report.steps, 'step')} each"))
    steps = known_steps(report.accuracy)
    if len(steps) > MOST_STEPS_ABOVE:
        lines.add_row("ladder", Text(" > ").join(map(_step, steps)))
    for label, sentence in zip(chain(["Lava"], repeat("")), report.lava.own_models, strict=False):
        lines.add_row(label, Text(sentence, "dim"))
    if any(layer.bound for layer in report.layers):
        lines.add_row("overflow", _overflow(report.layers))
    lines.add_row(
        "takes",
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
    if report.input.saturated_share > 0:
        lines.add_row("input", f"[yellow]{percent(report.input.saturated_share)} of the values were clipped[/]")
    for label, advice in zip(chain(["changes"], repeat("")), report.advice[1:], strict=False):
        lines.add_row(label, Text(advice.text))
    if report.date is not None:
        lines.add_row("made", Text(_made(report), "dim"))
    for warning in report.warnings[MOST_WARNINGS:]:
        lines.add_row("[yellow]warning[/]", Text(warning, "yellow"))
    for remark in report.exchange_remarks[:MOST_REMARKS]:
        lines.add_row("files", Text(f"{remark.file}: {remark.text}"))
    if len(report.exchange_remarks) > MOST_REMARKS:
        lines.add_row("", f"and {len(report.exchange_remarks) - MOST_REMARKS} more like these, in report.json")
    return Panel(lines, title="more", title_align="left", border_style="dim")


def _lines() -> Table:
    """An empty list of facts: labels, and what there is to say."""
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold", min_width=LABELS)
    lines.add_column()
    return lines


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


def _step(step: tuple[str, float, tuple[float, float] | None]) -> Text:
    name, share, interval = step
    return Text.assemble(f"{name} ", share_with_interval(share, interval))


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
