"""Reports side by side, as plain data."""

from typing import Literal

from neuroprune.records import Record

COMPARISON_VERSION: Literal[1] = 1


class ComparedReport(Record):
    """One of the reports: its name in the comparison, and what it is of. bits: of weights, each width once."""

    name: str
    network: str
    data: str | None
    target: str
    samples: int
    steps: int
    bits: tuple[int, ...]


class AccuracyDifference(Record):
    """From the first report's accuracy on the chip to another's.

    low, high: the 95 % interval of the difference of two shares of independent samples (Newcombe 1998, "Interval
    estimation for the difference between independent proportions", Statistics in Medicine 17, method 10). Where both
    ran the same samples it is wider than need be. is_noise: whether it holds 0.
    """

    difference: float
    low: float
    high: float
    is_noise: bool


class ComparedFigure(Record):
    """A figure of each report, None where it is not known, and its ratio to that of the first."""

    name: str
    unit: str
    values: tuple[float | None, ...]
    ratios: tuple[float | None, ...]


class ComparedLayer(Record):
    """A layer of each report, by its name: figures, None in those that do not have it, and what binds it."""

    name: str
    figures: tuple[ComparedFigure, ...]
    binds: tuple[str | None, ...]


class Comparison(Record):
    """Two or more reports. All tuples with an entry for each report have the order of `reports`.

    remarks: a sentence for each way in which the reports are not of the same. accuracy: None where not known, for the
    first, and where data or samples differ.
    """

    schema_version: Literal[1] = COMPARISON_VERSION
    reports: tuple[ComparedReport, ...]
    remarks: tuple[str, ...]
    accuracy: tuple[AccuracyDifference | None, ...]
    figures: tuple[ComparedFigure, ...]
    layers: tuple[ComparedLayer, ...]
