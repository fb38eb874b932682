"""The record of a compression for the terminal, and its channels as CSV."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from neuroprune.compression.record import CompressRecord, LayerWidth, NetworkCost
from neuroprune.readable import plural, quantity
from neuroprune.records import csv_text


def render(record: CompressRecord) -> RenderableType:
    """What the network cost before and after, and how many channels each layer keeps; fits 80 columns."""
    prunable = f"{record.channels_prunable} of the {record.channels_total} channels of all layers are prunable: "
    notes: list[RenderableType] = [prunable + "no addition or output needs them whole", *map(_warning, record.warnings)]
    if record.change.is_noise:
        notes.insert(0, f"the change of accuracy is within the noise of {plural(record.samples, 'test sample')}")
    return Group(_cost_table(record), _channel_table(record), *notes)


def channels_csv(record: CompressRecord) -> str:
    """A row for each layer with prunable channels: the fields of `LayerWidth`."""
    return csv_text(LayerWidth.model_fields, (width.model_dump() for width in record.channels))


def _warning(sentence: str) -> Text:
    return Text(f"warning: {sentence}", "yellow")


def _cost_table(record: CompressRecord) -> Table:
    table = Table(title=f"Pruned by {escape(record.method)} to {record.flops_share:.1%} of the FLOPs")
    table.add_column("")
    for column in ("dense", "slimmed", "remains"):
        table.add_column(column, justify="right")
    dense, cut, slim = record.dense, record.cut, record.slim
    table.add_row("accuracy", _percent(dense), _percent(slim), _points(slim.accuracy - dense.accuracy))
    between = f"{100 * record.change.low:+.2f} to {100 * record.change.high:+.2f}"
    table.add_row("  95 % interval", _interval(dense), _interval(slim), between)
    if record.history:
        change = _points(cut.accuracy - dense.accuracy)
        table.add_row("  before fine-tuning", "", _percent(cut), change)
    for name, before, after, unit in (
        ("parameters", dense.parameters, slim.parameters, ""),
        ("FLOPs / sample", dense.flops, slim.flops, ""),
        ("unfolded SynOps", dense.unfolded_synops, slim.unfolded_synops, ""),
        ("bytes", dense.bytes, slim.bytes, "B"),
    ):
        remains = f"{after / before:.1%}" if before else "-"
        table.add_row(name, quantity(before, unit), quantity(after, unit), remains)
    return table


def _channel_table(record: CompressRecord) -> Table:
    table = Table(title=f"Channels kept ({1 - record.channels_removed_share:.1%} of all prunable ones)")
    table.add_column("layer")
    for column in ("dense", "slimmed", "remains", "regenerated"):
        table.add_column(column, justify="right")
    for width in record.channels:
        remains = f"{width.after / width.before:.1%}" if width.before else "-"
        table.add_row(Text(width.name), str(width.before), str(width.after), remains, str(width.regenerated))
    return table


def _percent(cost: NetworkCost) -> str:
    return f"{cost.accuracy:.2%}"


def _interval(cost: NetworkCost) -> str:
    low, high = cost.accuracy_interval
    return f"{100 * low:.1f}-{100 * high:.1f}%"


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f} points"
