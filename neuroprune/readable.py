"""Numbers and tables for people: few digits, few lines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(value: float) -> str:
    """Three digits and a prefix: 12, 1.23k, 45.6M."""
    for factor, prefix in PREFIXES:
        if abs(value) >= 0.9995 * factor:
            return f"{three_digits(value / factor)}{prefix}"
    return f"{value:.0f}" if value == int(value) else three_digits(value)


def three_digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def quantity(value: float, unit: str = "") -> str:
    """Four digits and a unit with its prefix: 12.35 M, 131.1 kB."""
    for factor, prefix in PREFIXES:
        if value >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value:.4g} {unit}".rstrip()


def figure(value: float) -> str:
    """Whole numbers as they are, others with at most four significant digits."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.4g}"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """One digit after the point; 0% is shown only for exactly none."""
    return "0%" if share == 0 else f"{100 * share:.1f}%" if share >= 0.0005 else "<0.1%"


def rate(rate: float) -> str:
    """Three digits after the point; 0 is shown only for a silent layer."""
    return "0" if rate == 0 else f"{rate:.3f}" if rate >= 0.0005 else "<0.001"


def plain_table(title: str, *columns: str, right: tuple[str, ...] = (), tight: bool = False) -> "Table":
    """An empty rich table with its title above; the columns in `right` hold numbers.

    tight: without blanks between columns, for tables that need all the width.
    """
    from rich import box
    from rich.table import Table

    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0 if tight else (0, 1),
    )
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table
