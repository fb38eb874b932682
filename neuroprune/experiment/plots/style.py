"""How all plots look: colours that colour-blind people can tell apart, markers, a legend that hides nothing."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito 2008, Color Universal Design, without the yellow, which is faint on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*")

Drawn = tuple[str, Figure]
"""A figure and the name of its files."""


def style_of(number: int) -> dict[str, Any]:
    """Colour, marker and line of thing `number`: the first seven by colour, more by the line as well."""
    line = ("-", "--", ":")[number // len(COLOURS) % 3]
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    return {"color": colour, "marker": marker, "linestyle": line, "markersize": 4.5, "linewidth": 1.4}


def figure(title: str, columns: int = 1) -> tuple[Figure, Sequence[Axes]]:
    """An empty figure with axes side by side, without a window."""
    drawn = Figure(figsize=(3.2 + 4.2 * columns, 3.8), layout="constrained", dpi=150)
    axes = drawn.subplots(1, columns, squeeze=False)[0]
    drawn.suptitle(title, x=0.01, ha="left", fontsize=10)
    for each in axes:
        each.grid(alpha=0.25)
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(labelsize=8)
    return drawn, list(axes)


def legend(drawn: Figure, axes: Axes) -> None:
    """What the lines are, right of all axes."""
    handles, labels = axes.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside right center", fontsize=8, frameon=False)
