"""What `check` found, on a terminal."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from neuroprune.checking.parts import PLACES, split_number
from neuroprune.checking.schema import Check, CheckedLayer, CheckedPart
from neuroprune.readable import amount, plain_table, plural
from neuroprune.report.layer_table import FULL, WIDE
from neuroprune.report.resources import BITS_PER_KIB

MOST_ROWS = 20
"""Beyond this number of layers, those with the same figures share a row."""
MOST_NAMES = 4
"""Parts of a layer that are named in its row."""
PLAIN = ("convolution", "linear", "batch norm", "addition")
"""Kinds of layers whose names are shown alone."""


def render_check(found: Check, width: int = WIDE, everything: bool = False) -> RenderableType:
    """The whole result for a terminal of `width` columns (80 or more), to be printed on a rich console.

    everything: a row for each layer, and the part that each layer and operation of the code plays.

    >>> from rich.console import Console
    >>> from neuroprune import build, check, load_recipe, render_check
    >>> network = build(load_recipe("digits-conv"), (1, 8, 8), classes=10)
    >>> console = Console(width=100)
    >>> with console.capture() as shown:
    ...     console.print(render_check(check(network, (1, 8, 8), network="digits-conv"), width=100))
    >>> shown.get().splitlines()[0]
    'digits-conv on loihi-sim: 6 cores of 128'
    """
    tables: list[RenderableType] = [_summary(found)]
    if found.layers:
        tables.append(_layers(found, width, everything))
    if everything and found.parts:
        tables.append(_parts(found.parts))
    return Group(Text(_title(found), "bold"), *tables)


def _title(found: Check) -> str:
    per_chip = found.target.cores_per_chip
    title = f"{found.network} on {found.target.name}"
    if found.problems:
        return f"{title}: {plural(len(found.problems), 'part')} cannot be mapped"
    if found.cannot_hold is not None:
        return f"{title}: the chip cannot hold it"
    if found.chips == 1:
        return f"{title}: {found.cores} cores of {per_chip}" if found.cores > 1 else f"{title}: 1 core of {per_chip}"
    return f"{title}: {found.cores:,} cores on {plural(found.chips, 'chip')} of {per_chip}"


def _summary(found: Check) -> Table:
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold")
    lines.add_column(overflow="fold")
    shape = "x".join(map(str, found.shape))
    steps = "" if found.steps is None else f", T = {found.steps}"
    lines.add_row("takes", Text(f"{found.takes or 'samples'}; samples of {shape}{steps}"))
    if found.problems:
        lines.add_row("layers", _kinds(found))
        for problem in found.problems:
            lines.add_row("[red]does not map[/]", Text(problem))
        return lines
    if found.parameters is not None:
        lines.add_row("has", f"{plural(found.parameters, 'parameter')} in {plural(len(found.parts) - 1, 'layer')}")
    kib = sum(layer.weight_memory_bits for layer in found.layers) / BITS_PER_KIB
    lines.add_row(
        "becomes",
        f"{plural(len(found.layers), 'layer')} of {plural(found.neurons, 'neuron')}, {amount(found.synapses)} synapses "
        f"of {amount(found.weights)} weights in {kib:,.1f} KiB",
    )
    if found.cannot_hold is not None:
        lines.add_row("[red]does not fit[/]", Text(found.cannot_hold))
    if found.binds:
        lines.add_row("binds", Text(", ".join(f"{each.name} on {plural(each.cores, 'core')}" for each in found.binds)))
        lines.add_row("load", Text(", ".join(f"{use.name} {use.percent:.0f}%" for use in found.resources)))
    if found.effort == "layers" and found.cores > 1:
        lines.add_row(
            "search", Text("none: each layer is cut by itself; deploy, and --effort normal, may save cores", "dim")
        )
    for number, advice in enumerate(found.advice):
        lines.add_row("" if number else "advice", Text(advice.text))
    if found.provisional:
        lines.add_row(
            "scales",
            Text("provisional: set without data; deploy sets them on samples, which hardly changes cores", "dim"),
        )
    return lines


def _kinds(found: Check) -> Text:
    """Which classes of layers have a counterpart on chips, and which have none."""
    mapped = ", ".join(f"{each.count} {each.name}" for each in found.kinds if each.maps)
    others = ", ".join(f"{each.count} {each.name}" for each in found.kinds if not each.maps)
    known = f"of classes that map: {mapped}" if mapped else "none of a class that maps"
    return Text(f"{known}; of others: {others}" if others else known)


class _Row(NamedTuple):
    """Layers that share a row."""

    layers: list[CheckedLayer]
    made_of: str


def _layers(found: Check, width: int, everything: bool) -> Table:
    table = plain_table("\nLayers on the chip", tight=True)
    table.add_column("made of", overflow="fold", ratio=3)
    table.add_column("neurons", overflow="fold", ratio=2)
    table.add_column("shape", no_wrap=True)
    wide = ("weights",) if width >= FULL else ()
    for name in ("neurons", "synapses", *wide, "KiB", "cores"):
        table.add_column(name, justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("fullest on a core", no_wrap=True)
    for row in _rows(found, everything):
        layer, more = row.layers[0], len(row.layers) - 1
        fullest = f"{layer.fullest.name} {layer.fullest.percent:.0f}%" if layer.fullest is not None else ""
        table.add_row(
            Text(row.made_of),
            Text.assemble(layer.name, (f" and {more} like it" if more else "", "dim")),
            Text("x".join(map(str, layer.shape))),
            amount(layer.neurons),
            amount(layer.synapses),
            *([amount(layer.weights)] if wide else []),
            f"{layer.weight_memory_bits / BITS_PER_KIB:,.1f}",
            str(layer.cores) if layer.cores else "",
            *([Text(fullest)] if width >= WIDE else []),
        )
    return table


def _rows(found: Check, everything: bool) -> list[_Row]:
    rows: dict[object, _Row] = {}
    together = not everything and len(found.layers) > MOST_ROWS
    for layer in found.layers:
        parts = [each for each in found.parts if each.readers[:1] == (layer.name,) and each.name != layer.name]
        kinds = tuple(part.kind for part in parts)
        figures = layer.model_dump(exclude={"name", "sources"}, mode="json") if together else layer.name
        row = rows.setdefault((repr(figures), kinds if together else ()), _Row([], _made_of(layer, parts, everything)))
        row.layers.append(layer)
    return list(rows.values())


def _made_of(layer: CheckedLayer, parts: Sequence[CheckedPart], everything: bool) -> str:
    """The parts of its synapses; of names in the same block as the neurons the last word."""
    if layer.kind == "relay":
        return "delay of a shorter path"
    if layer.kind == "coincidence":
        pool, number = split_number(layer.name)
        return f"places of {number} spikes of the sum before {pool}"
    block = layer.name.rpartition(".")[0] + "."
    named = [
        _within(block, each.name) + ("" if each.kind in PLAIN else f" ({each.kind})")
        for each in parts
        if each.kind not in ("input", "flatten")
    ]
    if layer.kind == "maximum pool" and not named and layer.sources == (f"{layer.name}{PLACES}",):
        return f"maximum pool of {layer.name}{PLACES}"
    if layer.kind != "neurons":
        named.append(layer.kind)
    if everything or len(named) <= MOST_NAMES:
        return ", ".join(named)
    return f"{', '.join(named[: MOST_NAMES - 1])}, {len(named) - MOST_NAMES + 1} more"


def _within(block: str, name: str) -> str:
    """`name` without `block` before it, where what is left is a word and no number."""
    left = name.removeprefix(block)
    return left if left[:1].isalpha() else name


def _parts(parts: Sequence[CheckedPart]) -> Table:
    table = plain_table("\nLayers and operations of the code", "name", "kind", "becomes", "of")
    for part in parts:
        of = "" if part.becomes.startswith("neurons") else ", ".join(part.readers)
        table.add_row(Text(part.name), part.kind, part.becomes, Text(of))
    return table
