"""The result of pruning for the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table

from neuroprune.compress.compress import CompressResult
from neuroprune.readable import quantity


def render(result: CompressResult) -> RenderableType:
    """What the network cost before and after, and how many channels each layer keeps; fits 80 columns."""
    prunable = f"{result.prunable} of the {result.channels} channels of all layers are prunable: "
    return Group(_cost_table(result), _channel_table(result), prunable + "no addition or output needs them whole")


def _cost_table(result: CompressResult) -> Table:
    table = Table(title=f"Pruned by {result.settings.method} to {result.selection.share:.1%} of the FLOPs")
    table.add_column("")
    for column in ("dense", "slimmed", "remains"):
        table.add_column(column, justify="right")
    dense, cut, slim = result.dense, result.cut, result.slim
    table.add_row("accuracy", f"{dense.accuracy:.2%}", f"{slim.accuracy:.2%}", _points(slim.accuracy - dense.accuracy))
    if result.history:
        change = _points(cut.accuracy - dense.accuracy)
        table.add_row("  before fine-tuning", "", f"{cut.accuracy:.2%}", change)
    for name, before, after, unit in (
        ("parameters", dense.parameters, slim.parameters, ""),
        ("FLOPs / sample", dense.flops, slim.flops, ""),
        ("SynOps / sample", dense.synops, slim.synops, ""),
        ("bytes", dense.bytes, slim.bytes, "B"),
    ):
        remains = f"{after / before:.1%}" if before else "-"
        table.add_row(name, quantity(before, unit), quantity(after, unit), remains)
    return table


def _channel_table(result: CompressResult) -> Table:
    table = Table(title=f"Channels kept ({1 - result.selection.p:.1%} of all prunable ones)")
    table.add_column("layer")
    for column in ("dense", "slimmed", "remains", "regenerated"):
        table.add_column(column, justify="right")
    for width in result.widths:
        remains = f"{width.after / width.before:.1%}"
        table.add_row(width.name, str(width.before), str(width.after), remains, str(width.regenerated))
    return table


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f} points"
