"""A comparison of reports on a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from neuroprune.readable import amount, plain_table, plural, rate
from neuroprune.report.compare_schema import (
    AccuracyDifference,
    ComparedFigure,
    ComparedLayer,
    ComparedReport,
    Comparison,
)
from neuroprune.report.ranges import ENERGIES, TIMES, in_units
from neuroprune.report.resources import BITS_PER_KIB


def render_comparison(comparison: Comparison) -> RenderableType:
    """What the reports are of, how they differ, their figures with ratios to the first, and their layers."""
    parts: list[RenderableType] = [Text(described(each)) for each in comparison.reports]
    parts += [Text(f"warning: {remark}", "yellow") for remark in comparison.remarks]
    parts += [_figures(comparison)]
    parts += [Text(said) for said in differences(comparison)]
    return Group(*parts, _layers(comparison))


def described(report: ComparedReport) -> str:
    """What a report is of, in one line."""
    data = f" of {report.data}" if report.data is not None else ""
    bits = " and ".join(map(str, report.bits))
    return (
        f"{report.name}: {report.network} on {report.target}, {plural(report.samples, 'sample')}{data}, "
        f"{plural(report.steps, 'step')}, {bits} bits"
    )


def differences(comparison: Comparison) -> tuple[str, ...]:
    """A sentence on the accuracy of each report but the first, as far as it is judged."""
    return tuple(
        f"{report.name}: {_difference(found)}"
        for report, found in zip(comparison.reports, comparison.accuracy, strict=True)
        if found is not None
    )


def shown_figure(figure: ComparedFigure, place: int) -> str:
    """The figure of one report, with its unit where the name does not say it; "" where it is not known."""
    value = figure.values[place]
    if value is None:
        return ""
    match figure.unit:
        case "":
            return f"{value:.2%}" if figure.name.startswith("accuracy") else rate(value)
        case "ns":
            return in_units(value, TIMES)
        case "nJ":
            return in_units(value, ENERGIES)
        case "bits" if figure.name != "bits":
            return f"{value / BITS_PER_KIB:,.1f} KiB"
        case _:
            return amount(value)


def shown_ratio(figure: ComparedFigure, place: int) -> str:
    """How much of the first report's figure it is, as in "x0.52"; "" for the first, for shares, and where not known."""
    ratio = figure.ratios[place]
    return "" if ratio is None or place == 0 or not figure.unit else f"x{ratio:.2f}"


def _difference(found: AccuracyDifference) -> str:
    ends = f"{100 * found.difference:+.2f} points ({100 * found.low:+.2f} to {100 * found.high:+.2f} at 95 %)"
    verdict = "within the noise of these samples" if found.is_noise else "beyond the noise of these samples"
    return f"accuracy {ends}, {verdict}"


def _figures(comparison: Comparison) -> Table:
    table = plain_table("\nFigures")
    table.add_column("figure", overflow="fold")
    for report in comparison.reports:
        table.add_column(Text(report.name), justify="right", overflow="fold")
    for figure in comparison.figures:
        cells = []
        for place in range(len(comparison.reports)):
            ratio = shown_ratio(figure, place)
            cells.append(Text.assemble(shown_figure(figure, place), (f" {ratio}" if ratio else "", "bold cyan")))
        table.add_row(Text(figure.name), *cells)
    return table


def _layers(comparison: Comparison) -> Table:
    """A row for each layer, in each cell what the reports have, one after the other."""
    table = plain_table("\nLayers, one report after the other")
    table.add_column("layer", overflow="fold")
    for figure in comparison.layers[0].figures:
        table.add_column(figure.name, justify="right", overflow="fold")
    table.add_column("binds", overflow="fold")
    for layer in comparison.layers:
        cells = (Text(in_turn(figure)) for figure in layer.figures)
        table.add_row(Text(layer.name), *cells, Text(binding(layer)))
    return table


def in_turn(figure: ComparedFigure) -> str:
    """A layer's figure in each report, once where all agree; "-" where a report does not have the layer."""
    texts = [shown_figure(figure, place) or "-" for place in range(len(figure.values))]
    return texts[0] if len(set(texts)) == 1 else " > ".join(texts)


def binding(layer: ComparedLayer) -> str:
    """What binds a layer in each report, once where all agree."""
    texts = [each or "-" for each in layer.binds]
    return texts[0] if len(set(texts)) == 1 else " > ".join(texts)
