"""Estimates of time and energy in two lines: their range over the models, and who says so."""

from collections.abc import Sequence

from rich.text import Text

from neuroprune.readable import amount
from neuroprune.report.schema import Report


def cost_lines(report: Report) -> tuple[Text, ...]:
    """From the lowest to the highest that any published model estimates, and each model with its grade."""
    if not report.costs:
        return (Text(f"no model of the times and energies of {report.target.name} is known", "dim"),)
    shown = (
        ([each.energy.total_nj / 1e3 for each in report.costs if each.energy], "uJ a sample"),
        ([each.step.total_ns / 1e3 for each in report.costs if each.step], "us a step"),
        ([each.latency_us for each in report.costs if each.latency_us is not None], "us to an answer"),
        ([each.samples_per_s for each in report.costs if each.samples_per_s is not None], "samples/s"),
    )
    line = Text(", ").join(Text.assemble((_range(values), "bold"), f" {unit}") for values, unit in shown if values)
    models = ", ".join(f"{each.model} ({each.grade})" for each in report.costs)
    return line, Text(f"not measured: by {models}", "dim")


def _range(values: Sequence[float]) -> str:
    """From the lowest to the highest, where these differ in what is shown of them."""
    low, high = amount(min(values)), amount(max(values))
    return low if low == high else f"{low} to {high}"
