"""The map of the chips: what each cell says, by each measure that can be chosen, and the figures beside it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from neuroprune.readable import amount, plural
from neuroprune.report.bottlenecks import core_binding
from neuroprune.report.chip_schema import CoreReport, ResourceUse, TileReport
from neuroprune.report.resources import is_counted, shown, shown_unit
from neuroprune.report.schema import Report

GOLDEN_ANGLE = 137.508
"""Degrees between the hues of one layer and the next, so that neighbours differ and no two soon agree."""


STRONG = 62
"""The level from which text on the colours of templates/page.css is turned: either text has a contrast of 4.5 there."""


class Cell(NamedTuple):
    """A core on the map, by one measure. level: 0 to 100, of what colours stand for. text: the figure in the cell."""

    level: int
    text: str


class Measure(NamedTuple):
    """What the map can show. cells: of each core. top: what the strongest colour means; "" where colours are names."""

    key: str
    label: str
    top: str
    cells: tuple[Cell, ...]


class ChipMap(NamedTuple):
    """One chip: its mesh, and which of the report's cores lie on it, row by row."""

    number: int
    columns: int
    rows: int
    cores: tuple[CoreReport, ...]


def chip_maps(report: Report) -> tuple[ChipMap, ...]:
    """Each chip with cores on it. An older report does not know the mesh: it is as large as its cores need."""
    extent = (1 + max(core.x for core in report.cores), 1 + max(core.y for core in report.cores))
    columns, rows = report.target.mesh or extent
    by_chip: dict[int, list[CoreReport]] = {}
    for core in report.cores:
        by_chip.setdefault(core.chip, []).append(core)
    return tuple(
        ChipMap(number, columns, rows, tuple(sorted(cores, key=lambda core: (core.y, core.x))))
        for number, cores in sorted(by_chip.items())
    )


def measures(report: Report) -> tuple[Measure, ...]:
    """Load by resource first, then layers, then activity."""
    cores = report.cores
    fullest = [use for core in cores if (use := core_binding(core)) is not None]
    found = [_loads("load", "load: the fullest resource", fullest)] if fullest else []
    for number, limit in enumerate(report.target.resources):
        found.append(_loads(f"resource-{number}", limit.name, [core.resources[number] for core in cores]))
    found.append(_layers(report))
    found.append(_amounts("synops", "SynOps a step", cores, lambda core: core.synops_per_step))
    without = "SynOps a step without zero weights"
    found.append(_amounts("nonzero-synops", without, cores, lambda core: core.nonzero_synops_per_step))
    if all(tile.spikes_per_step is not None for core in cores for tile in core.tiles):
        found.append(_amounts("spikes", "spikes sent a step", cores, _spikes))
    return tuple(found)


def details(report: Report) -> list[dict[str, Any]]:
    """Of each core, for the panel beside the map: title, resources, activity and tiles, as text."""
    numbers = {layer.name: number for number, layer in enumerate(report.layers, 1)}
    return [
        {
            "title": f"core {core.index}, chip {core.chip}, at {core.x},{core.y}",
            "uses": [[use.name, _used(use), round(use.percent)] for use in core.resources],
            "facts": [
                f"{amount(core.synops_per_step)} SynOps a step",
                *([f"{amount(_spikes(core))} spikes a step"] if core.tiles[0].spikes_per_step is not None else []),
                *([f"{plural(core.idle_neurons, 'idle neuron')}"] if core.idle_neurons else []),
            ],
            "tiles": [_tile(tile, numbers[tile.layer], core) for tile in core.tiles],
        }
        for core in report.cores
    ]


def _loads(key: str, label: str, uses: Sequence[ResourceUse]) -> Measure:
    cells = tuple(Cell(_level(use.percent), f"{use.percent:.0f}%") for use in uses)
    return Measure(key, label, "100% of the limit", cells)


def _amounts(key: str, label: str, cores: Sequence[CoreReport], figure: Callable[[CoreReport], float]) -> Measure:
    values = [figure(core) for core in cores]
    top = max(values)
    cells = tuple(Cell(_level(100 * value / top if top else 0.0), amount(value)) for value in values)
    return Measure(key, label, amount(top), cells)


def _layers(report: Report) -> Measure:
    """By the layer that has the most neurons on a core; the text has the numbers of all."""
    numbers = {layer.name: number for number, layer in enumerate(report.layers, 1)}
    cells = []
    for core in report.cores:
        largest = max(core.tiles, key=_neurons).layer
        text = "+".join(str(numbers[name]) for name in core.layers)
        cells.append(Cell(round(GOLDEN_ANGLE * numbers[largest]) % 360, text))
    return Measure("layers", "layers, by their number", "", tuple(cells))


def _level(percent: float) -> int:
    return max(0, min(100, round(percent)))


def _spikes(core: CoreReport) -> float:
    return sum(tile.spikes_per_step or 0.0 for tile in core.tiles)


def _neurons(tile: TileReport) -> int:
    (c0, y0, x0), (c1, y1, x1) = tile.start, tile.stop
    return (c1 - c0) * (y1 - y0) * (x1 - x0)


def _used(use: ResourceUse) -> str:
    unit = "" if is_counted(use) else f" {shown_unit(use)}"
    return f"{shown(use.used, use)} of {shown(use.limit, use)}{unit}"


def _tile(tile: TileReport, number: int, core: CoreReport) -> list[str]:
    """The layer with its number, the neurons, and what they take."""
    ranges = [f"{first}-{last - 1}" for first, last in zip(tile.start, tile.stop, strict=True)]
    of_plane = tile.stop[1:] != (1, 1)
    box = "channels {}, rows {}, columns {}".format(*ranges) if of_plane else ranges[0]
    takes = [
        f"{use.name} {100 * used / use.limit:.0f}%"
        for use, used in zip(core.resources, tile.used, strict=False)
        if used
    ]
    stored = f"stored as {', '.join(dict.fromkeys(tile.encodings))}"
    return [f"{number} {tile.layer}", f"{plural(_neurons(tile), 'neuron')}: {box}", "; ".join([*takes, stored])]
