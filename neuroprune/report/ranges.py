"""Time and energy as ranges over the models of a report, and what they are called on screen."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from neuroprune.readable import plural, three_digits
from neuroprune.report.cost_schema import CostEstimate

TIMES, ENERGIES = ("ns", "\N{MICRO SIGN}s", "ms", "s"), ("nJ", "\N{MICRO SIGN}J", "mJ", "J")
"""Units, each a thousand of the one before."""


class Range(NamedTuple):
    """What the models that know a figure say of it: the least and the most, and those models."""

    low: float
    high: float
    models: tuple[CostEstimate, ...]


def range_of(costs: Sequence[CostEstimate], figure: Callable[[CostEstimate], float | None]) -> Range | None:
    """The range of a figure; None where no model knows it."""
    known = [(value, each) for each in costs if (value := figure(each)) is not None]
    if not known:
        return None
    values = [value for value, _ in known]
    return Range(min(values), max(values), tuple(each for _, each in known))


def step_ns(cost: CostEstimate) -> float | None:
    return cost.step.total_ns if cost.step else None


def latency_ns(cost: CostEstimate) -> float | None:
    return None if cost.latency_us is None else 1000 * cost.latency_us


def energy_nj(cost: CostEstimate) -> float | None:
    return cost.energy.total_nj if cost.energy else None


def in_units(value: float, units: Sequence[str]) -> str:
    """`value`, in the first of `units`, with three digits in the one that suits it: "12.3 ms"."""
    number = 0
    while abs(value) >= 999.5 and number < len(units) - 1:
        value, number = value / 1000, number + 1
    return f"{three_digits(value)} {units[number]}"


def span(found: Range, units: Sequence[str]) -> str:
    """ "3.20 to 5.10 ms", or the one value where all agree."""
    low, high = in_units(found.low, units), in_units(found.high, units)
    if low == high:
        return low
    low_amount, low_unit = low.split()
    return f"{low_amount if high.endswith(f' {low_unit}') else low} to {high}"


def grades(models: Iterable[CostEstimate]) -> str:
    """How many models, and how well their figures are known: "2 models: derived, fitted"."""
    found = tuple(models)
    return f"{plural(len(found), 'model')}: {', '.join(sorted({each.grade for each in found}))}"
