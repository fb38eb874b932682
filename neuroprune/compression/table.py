"""The record of a compression for the terminal, and its layers as CSV."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from neuroprune.compression.findings import finding
from neuroprune.compression.record import CompressRecord, LayerShare, NetworkCost
from neuroprune.readable import plural, quantity
from neuroprune.records import csv_text

NOUNS = {
    "flops": "of the FLOPs",
    "params": "of the parameters",
    "synops": "of the SynOps",
    "sparsity": "zero weights",
    "cores": "cores",
    "kib": "KiB",
    "step-time": "us a step",
}


def render(record: CompressRecord) -> RenderableType:
    """What the network cost before and after, and what each layer keeps; fits 80 columns."""
    notes: list[RenderableType] = [_prunable(record), _how(record), *map(_warning, record.warnings)]
    for name, cost in (("dense", record.dense), ("pruned", record.pruned)):
        if cost.on_chip is not None and cost.on_chip.why_not is not None:
            notes.append(_warning(f"the {name} network is not put on {cost.on_chip.chip}: {cost.on_chip.why_not}"))
    if record.timed_on is not None:
        notes.append(f"a step takes so long by deploy --optimize time --cores {record.timed_on}")
    found = finding(record.strategy)
    if found is not None:
        notes.append(found)
    if record.change.is_noise:
        notes.insert(0, f"the change of accuracy is within the noise of {plural(record.samples, 'test sample')}")
    tables = [_cost_table(record), _layer_table(record), *([_round_table(record)] if record.rounds else [])]
    return Group(*tables, *notes)


def layers_csv(record: CompressRecord) -> str:
    """A row for each layer with prunable channels or weights: the fields of `LayerShare` but for `kept`."""
    fields = [name for name in LayerShare.model_fields if name != "kept"]
    return csv_text(fields, (layer.model_dump(exclude={"kept"}) for layer in record.layers))


def _warning(sentence: str) -> Text:
    return Text(f"warning: {sentence}", "yellow")


def _prunable(record: CompressRecord) -> str:
    if record.strategy.kind == "unstructured":
        return f"{quantity(record.prunable, '')} weights of convolutions and linear layers are prunable"
    why = (
        "no output needs them whole"
        if record.strategy.residual == "coupled"
        else "no addition or output needs them whole"
    )
    return f"{record.prunable} of the {record.total} channels of all layers are prunable: {why}"


def _how(record: CompressRecord) -> str:
    """The parts of the method, all defaults filled in."""
    strategy = record.strategy
    parts = [f"score {strategy.score}" + (", every layer alike" if strategy.uniform else "")]
    if strategy.score == "own":
        parts = []
    if strategy.algorithm == "own":
        parts = [f"{strategy.method} is an algorithm of one's own"]
    elif strategy.regenerate_by != "none":
        share = "a layer exchanged at first" if strategy.algorithm == "granet" else "what stays brought back"
        rate = f"{strategy.regeneration:.3g} of {share} by {strategy.regenerate_by}"
        critical = f" ({strategy.aggregation}, {strategy.surrogate} surrogate)"
        parts.append(rate + (critical if strategy.regenerate_by == "criticality" else ""))
    if strategy.layer_floor and strategy.algorithm != "own":
        parts.append(f"at least {strategy.layer_floor:.0%} of each layer")
    if strategy.prune_epochs:
        parts.append(f"{plural(strategy.prune_epochs, 'epoch')} of pruning from {strategy.start} weights")
    return "; ".join(parts)


def _cost_table(record: CompressRecord) -> Table:
    shares = (f"{target.reached:.1%} {NOUNS[target.of]}" for target in record.targets)
    limits = (f"at most {each.asked:g} {NOUNS[each.of]} of {each.chip}" for each in record.limits)
    reached = escape(" and ".join((*shares, *limits)))
    table = Table(title=f"Pruned by {escape(record.strategy.method)} to {reached}")
    table.add_column("")
    for column in ("dense", "pruned", "remains"):
        table.add_column(column, justify="right")
    dense, cut, pruned = record.dense, record.cut, record.pruned
    table.add_row("accuracy", _percent(dense), _percent(pruned), _points(pruned.accuracy - dense.accuracy))
    between = f"{100 * record.change.low:+.2f} to {100 * record.change.high:+.2f}"
    table.add_row("  95 % interval", _interval(dense), _interval(pruned), between)
    if record.history and cut is not None:
        change = _points(cut.accuracy - dense.accuracy)
        table.add_row("  before fine-tuning", "", _percent(cut), change)
    for name, before, after, unit in (
        ("parameters", dense.parameters, pruned.parameters, ""),
        ("  not zero", dense.nonzero_parameters, pruned.nonzero_parameters, ""),
        ("FLOPs / sample", dense.flops, pruned.flops, ""),
        ("FLOPs / step", dense.flops_per_step, pruned.flops_per_step, ""),
        ("unfolded SynOps", dense.unfolded_synops, pruned.unfolded_synops, ""),
        ("bytes", dense.bytes, pruned.bytes, "B"),
    ):
        remains = f"{after / before:.1%}" if before else "-"
        table.add_row(name, quantity(before, unit), quantity(after, unit), remains)
    for row in _chip_rows(record):
        table.add_row(*row)
    return table


def _chip_rows(record: CompressRecord) -> Iterator[tuple[str, str, str, str]]:
    """Cores, memory and, where it was asked for, the step on the chip; a dash where a network cannot be put there."""
    dense, pruned = record.dense.on_chip, record.pruned.on_chip
    if dense is None or pruned is None:
        return
    rows: list[tuple[str, float | None, float | None, int]] = [
        (f"cores, {dense.chip}", dense.cores, pruned.cores, 0),
        ("KiB on its cores", dense.kib, pruned.kib, 0),
    ]
    for limit in record.limits:
        if limit.of == "step-time":
            rows.append(("us a step", dense.step_us, pruned.step_us, 1))
            rows.append(("  as dense fires", dense.step_us, limit.counted, 1))
    for name, before, after, digits in rows:
        first, last = ("-" if each is None else f"{each:,.{digits}f}" for each in (before, after))
        yield name, first, last, f"{after / before:.1%}" if before and after is not None else "-"


def _layer_table(record: CompressRecord) -> Table:
    before, after = (sum(getattr(layer, of) for layer in record.layers) for of in ("before", "after"))
    noun = "Channels" if record.strategy.kind == "structured" else "Weights"
    table = Table(title=f"{noun} kept ({after / before:.1%} of all prunable ones)")
    table.add_column("layer")
    for column in ("dense", "pruned", "remains", "regenerated"):
        table.add_column(column, justify="right")
    for layer in record.layers:
        remains = f"{layer.after / layer.before:.1%}" if layer.before else "-"
        table.add_row(Text(layer.name), str(layer.before), str(layer.after), remains, str(layer.regenerated))
    return table


def _round_table(record: CompressRecord) -> Table:
    """The networks that were done on the way."""
    table = Table(title="Networks of earlier rounds")
    for column in ("epoch", "zero weights", "accuracy", "not zero", "unfolded SynOps", "cores"):
        table.add_column(column, justify="right")
    for each in record.rounds:
        cost, chip = each.cost, each.cost.on_chip
        cores = "-" if chip is None or chip.cores is None else str(chip.cores)
        sizes = quantity(cost.nonzero_parameters, ""), quantity(cost.unfolded_synops, "")
        table.add_row(str(each.epoch), f"{each.sparsity:.1%}", _percent(cost), *sizes, cores)
    return table


def _percent(cost: NetworkCost) -> str:
    return f"{cost.accuracy:.2%}"


def _interval(cost: NetworkCost) -> str:
    low, high = cost.accuracy_interval
    return f"{100 * low:.1f}-{100 * high:.1f}%"


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f} points"
