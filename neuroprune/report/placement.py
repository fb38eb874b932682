"""What a mapping takes of a chip, as parts of a report."""

from collections import Counter
from collections.abc import Sequence

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Resource, Tile
from neuroprune.mapping.types import ChipMapping, Core
from neuroprune.report.chip_schema import (
    ChipLimits,
    CoreReport,
    ResourceAmount,
    ResourceLimit,
    ResourceUse,
    Taken,
    TileReport,
)
from neuroprune.report.synops import Arriving, CountArray
from neuroprune.simulation.types import Trace


def limits_of(chip: Chip) -> ChipLimits:
    """The chip, and the resources of one of its cores."""
    return ChipLimits(
        name=chip.name,
        title=chip.title,
        family=chip.core.name,
        cores_per_chip=chip.cores_per_chip,
        resources=tuple(
            ResourceLimit(name=each.name, unit=each.unit, limit=each.limit) for each in chip.core.resources
        ),
        mesh=chip.mesh,
    )


def taken_by_layers(mapping: ChipMapping, chip: Chip) -> dict[str, Taken]:
    """What each layer takes, by its name."""
    cores = Counter(name for core in mapping.cores for name in {use.tile.layer for use in core.tiles})
    tiles: dict[str, list[tuple[int, ...]]] = {name: [] for name in cores}
    for core in mapping.cores:
        for use in core.tiles:
            tiles[use.tile.layer].append(use.used)
    return {name: taken_of(count, tiles[name], chip) for name, count in cores.items()}


def taken_of(cores: int, used: Sequence[tuple[int, ...]], chip: Chip) -> Taken:
    """`cores` cores, and the sums of `used`, which has amounts of each resource of `chip`."""
    amounts = zip(chip.core.resources, zip(*used, strict=True), strict=True)
    resources = tuple(ResourceAmount(name=each.name, unit=each.unit, used=sum(of_each)) for each, of_each in amounts)
    return Taken(cores=cores, resources=resources)


def used_of(used: Sequence[int], resources: Sequence[Resource]) -> tuple[ResourceUse, ...]:
    """Amounts of each of the `resources` of a core, with what there is of it."""
    return tuple(
        ResourceUse(name=each.name, unit=each.unit, used=amount, limit=each.limit)
        for each, amount in zip(resources, used, strict=True)
    )


def core_report(index: int, core: Core, arriving: dict[str, Arriving], trace: Trace, chip: Chip) -> CoreReport:
    """One core, with the SynOps that `arriving` has of each layer, over all steps of `trace`."""
    steps = trace.samples * trace.steps
    spikes = {layer.name: layer.spikes for layer in trace.layers}
    tiles = [use.tile for use in core.tiles]
    return CoreReport(
        index=index,
        chip=core.chip,
        x=core.x,
        y=core.y,
        tiles=tuple(
            TileReport(
                layer=use.tile.layer,
                start=use.tile.start,
                stop=use.tile.stop,
                encodings=use.encodings,
                used=use.used,
                spikes_per_step=in_tile(spikes[use.tile.layer], use.tile) / steps,
            )
            for use in core.tiles
        ),
        neurons=core.neurons,
        idle_neurons=core.idle_neurons,
        resources=used_of(core.used, chip.resources_at(core.x, core.y)),
        synops_per_step=sum(in_tile(arriving[tile.layer].all, tile) for tile in tiles) / steps,
        nonzero_synops_per_step=sum(in_tile(arriving[tile.layer].nonzero, tile) for tile in tiles) / steps,
    )


def in_tile(values: CountArray, tile: Tile) -> int:
    """Sum of `values`, one for each neuron of a layer, over the neurons of `tile`."""
    boxed = values.reshape(values.shape + (1,) * (3 - values.ndim))
    (c0, y0, x0), (c1, y1, x1) = tile.start, tile.stop
    return int(boxed[c0:c1, y0:y1, x0:x1].sum())


def summed(uses: Sequence[ResourceUse]) -> ResourceUse:
    """One resource, summed over several cores."""
    used, limit = sum(each.used for each in uses), sum(each.limit for each in uses)
    return uses[0].model_copy(update={"used": used, "limit": limit})
