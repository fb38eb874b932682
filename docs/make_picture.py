"""Draws docs/demo.png, what the README shows of a deployment, from a report:

python docs/make_picture.py runs/latest/report.json docs/demo.png
"""

import sys
from functools import partial
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from neuroprune.files import replace_file
from neuroprune.readable import amount
from neuroprune.report.resources import is_counted, shown, shown_unit
from neuroprune.report.schema import Report, load_report

INK, STRONG, PALE, WHISKER = "#1f2933", "#0b7285", "#c5e3e8", "#f08c00"


def draw(report: Report, path: Path) -> None:
    """Accuracy down to the chip, synaptic operations of each layer, load of each core, as a PNG at `path`."""
    style = {
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.titlesize": 10,
    }
    with mpl.rc_context(style):
        figure, panels = plt.subplots(1, 3, figsize=(12, 3.6), width_ratios=(2.5, 3, 4), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
        figure.suptitle(_headline(report), fontsize=11)
        for draw_panel, axes in zip((_accuracy, _synops, _load), panels, strict=True):
            draw_panel(axes, report)
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
        replace_file(path, partial(figure.savefig, format="png", dpi=150))
        plt.close(figure)


def _headline(report: Report) -> str:
    totals, lava = report.totals, report.lava
    measured = [each for each in totals.resources if not is_counted(each)]
    parts = [
        f"{totals.cores} core{'s' if totals.cores != 1 else ''}",
        *(f"{shown(each.used, each)} {shown_unit(each)} of {each.name}" for each in measured),
        f"{amount(totals.synops_per_sample)} SynOps a sample",
    ]
    if lava.samples:
        parts.append(f"{lava.differences} differences to Lava in {lava.neuron_steps:,} neuron steps")
    return f"{report.network} on {report.target.name}\n" + ", ".join(parts)


def _accuracy(axes: Axes, report: Report) -> None:
    """The share at each step, and its 95 % interval as a whisker."""
    for row, (name, interval) in enumerate(report.accuracy.intervals):
        if interval is None:
            continue
        percent, (low, high) = 100 * getattr(report.accuracy, name), (100 * end for end in interval)
        axes.barh(name.replace("_", "-"), percent, color=STRONG, height=0.6)
        axes.plot((low, high), (row, row), color=WHISKER, linewidth=1.5)
        label = f"{percent:.2f} %"
        axes.annotate(label, (low, row), (-6, 0), textcoords="offset points", ha="right", va="center", color="w")
    axes.invert_yaxis()
    axes.set(title=f"Accuracy on {report.samples} samples, 95 % intervals", xlim=(0, 100), xticks=[])


def _synops(axes: Axes, report: Report) -> None:
    names = [layer.name for layer in report.layers]
    every = [layer.synops_per_sample for layer in report.layers]
    axes.barh(names, every, color=PALE, height=0.6, label="all synapses")
    nonzero = [layer.nonzero_synops_per_sample for layer in report.layers]
    axes.barh(names, nonzero, color=STRONG, height=0.6, label="weight not zero")
    for row, value in enumerate(every):
        axes.annotate(amount(value), (value, row), (4, 0), textcoords="offset points", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set(title="Synaptic operations a sample, by layer", xticks=[])
    axes.legend(frameon=False, fontsize=8, loc="best")


def _load(axes: Axes, report: Report) -> None:
    percents = list(zip(*([each.percent for each in core.resources] for core in report.cores), strict=True))
    axes.imshow(
        percents, aspect="auto", cmap=LinearSegmentedColormap.from_list("load", ("w", STRONG)), vmin=0, vmax=100
    )
    if len(report.cores) <= 16:
        for row, values in enumerate(percents):
            for column, percent in enumerate(values):
                axes.text(column, row, f"{percent:.0f}", ha="center", va="center", color="w" if percent > 55 else INK)
        axes.set_xticks(range(len(report.cores)))
    axes.set(title="Load of each core, % of the limit", xlabel="core")
    axes.set_yticks(range(len(percents)), [each.name for each in report.target.resources])


if __name__ == "__main__":
    source, destination = sys.argv[1:]
    draw(load_report(Path(source)), Path(destination))
