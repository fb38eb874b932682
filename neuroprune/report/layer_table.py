"""The table of layers on a terminal."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.text import Text

from neuroprune.readable import amount, percent, plain_table, rate, three_digits
from neuroprune.report.bottlenecks import layer_binding
from neuroprune.report.layer_schema import BoundReport, LayerReport
from neuroprune.report.schema import NOTICEABLE_ZEROS, Report

WIDE, FULL, FULLEST = 100, 120, 130
"""Widths of a terminal, in characters, from which more columns of layers and cores are shown, the last all of them."""

UNLIMITED = 10_000
"""Characters, more than any table takes."""


def layer_table(report: Report, width: int) -> RenderableType:
    """A row for each layer, as many columns as `width` allows.

    Relays are left out: the summary has a line on them.
    """
    layers = [layer for layer in report.layers if not layer.relay]
    binds = Column(
        "binds", lambda layer: _binds(layer, report), note="binds: what it takes most of, on its cores", narrowed_to=11
    )
    columns = [column for column in (*COLUMNS, binds) if width >= column.width and any(map(column.text, layers))]
    table = plain_table("\nLayers", tight=True)
    for column in columns:
        justify: Literal["left", "right"] = "left" if column.name in ("layer", "kind", "shape", "binds") else "right"
        folds = column.name in ("layer", "binds")
        table.add_column(column.name, justify=justify, no_wrap=not folds, overflow="fold")
    for layer in layers:
        table.add_row(*(column.text(layer) for column in columns))
    if Console(width=UNLIMITED).measure(table).maximum > width:
        for shown, column in zip(table.columns, columns, strict=True):
            shown.max_width = column.narrowed_to
    notes = [column.note for column in columns if column.note]
    if any(len(set(layer.sources)) > 1 for layer in layers):
        notes.insert(0, "+1: reads one layer more")
    return Group(table, Text("; ".join(notes), "dim"))


def _name(layer: LayerReport) -> Text:
    more = len(set(layer.sources)) - 1
    return Text.assemble(layer.name, (f" +{more}" if more else "", "dim"))


def overflows(layer: LayerReport) -> int:
    """Overflows of both registers on these samples: current wraps and voltage saturations."""
    return layer.current_wraps + layer.voltage_saturations


def times(bound: BoundReport) -> str:
    """The largest value that any input can cause, as a multiple of what its register holds."""
    return f"{three_digits(bound.times_register)}x"


def _bound(layer: LayerReport) -> Text:
    if layer.bound is None:
        return Text()
    return Text("safe", "green") if layer.bound.safe else Text(times(layer.bound), "yellow")


def _changed(layer: LayerReport) -> Text:
    return Text(percent(layer.changed.bit_accurate) if layer.changed else "")


def _binds(layer: LayerReport, report: Report) -> Text:
    binding = layer_binding(layer, report.target)
    return Text(f"{binding.name} {100 * binding.share:.0f}%" if binding else "")


def _zeros(layer: LayerReport) -> Text:
    share = layer.zero_weights_share or 0.0
    return Text(percent(share) if share >= NOTICEABLE_ZEROS else "")


def _cores_with_zeros(layer: LayerReport) -> Text:
    return Text(str(layer.zeros_stored.cores) if layer.zeros_stored else "", "dim")


class Column(NamedTuple):
    """A column of the table of layers: shown from a terminal of `width` on where any layer has something in it.

    narrowed_to: the most characters of a line of it, which is broken between words, where the table is too wide.
    """

    name: str
    text: Callable[[LayerReport], Text]
    width: int = 0
    note: str = ""
    narrowed_to: int | None = None


COLUMNS = (
    Column("layer", _name),
    Column("kind", lambda layer: Text(layer.kind), FULL),
    Column("shape", lambda layer: Text("x".join(map(str, layer.shape))), FULL),
    Column("neurons", lambda layer: Text(amount(layer.neurons))),
    Column("synapses", lambda layer: Text(amount(layer.synapses)), WIDE),
    Column("spike\nrate", lambda layer: Text(rate(layer.spikes_per_neuron_step))),
    Column("spikes\nchanged", _changed, note="changed: against the float network, of all neurons x steps"),
    Column("SynOps/\nsample", lambda layer: Text(amount(layer.synops_per_sample))),
    Column("without\nzeros", lambda layer: Text(amount(layer.nonzero_synops_per_sample)), FULL),
    Column("bits", lambda layer: Text(str(layer.weight_bits)), WIDE),
    Column(
        "satu-\nrated",
        lambda layer: Text(percent(layer.saturated_weights_share)),
        FULLEST,
        "saturated: weights at an end of their range",
    ),
    Column("bound", _bound, note="bound: safe, or the most that any input can ask of a register"),
    Column(
        "over-\nflows",
        lambda layer: Text(amount(overflows(layer)), "yellow" if overflows(layer) else ""),
        note="overflows: current wraps and voltage saturations",
    ),
    Column("zeros", _zeros, WIDE),
    Column("cores", lambda layer: Text(str(layer.cores))),
    Column("of", _cores_with_zeros, FULLEST, "of: the cores with all zeros stored"),
)
