"""From an integer program, its mapping and its activity to the report on what it costs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Tile
from neuroprune.fixed_point import weight_range
from neuroprune.graph.nodes import INPUT
from neuroprune.intervals import accuracy_change, share_interval
from neuroprune.mapping.types import ChipMapping, Core
from neuroprune.program.bounds import LayerBound
from neuroprune.program.timing import depths, synaptic_delay, wait
from neuroprune.program.types import IntConv, IntLayer, IntProgram
from neuroprune.quantization.errors import RoundingErrors
from neuroprune.report.schema import (
    AccuracyIntervals,
    AccuracyLadder,
    BoundReport,
    ChangedReport,
    ChipLimits,
    CoreReport,
    ExchangeRemark,
    InputReport,
    LavaCheck,
    LayerReport,
    Report,
    ResourceAmount,
    ResourceLimit,
    ResourceUse,
    RoundingReport,
    Taken,
    TileReport,
    Totals,
)
from neuroprune.report.synops import Arriving, CountArray, delayed_synapses, synapses, synops
from neuroprune.report.warnings import warnings_of
from neuroprune.report.zeros import ZerosMapped, zero_weights_share
from neuroprune.simulation.ladder import Accuracies, ChangedSpikes
from neuroprune.simulation.types import LayerTrace, Trace

Kind = TypeVar("Kind", bound=BaseModel)


def measure(
    program: IntProgram,
    mapping: ChipMapping,
    trace: Trace,
    chip: Chip,
    *,
    network: str,
    data: str | None,
    accuracy: Accuracies,
    lava: LavaCheck,
    exchange_remarks: Sequence[ExchangeRemark] = (),
    versions: dict[str, str] | None = None,
    seed: int | None = None,
    bounds: Mapping[str, LayerBound] | None = None,
    rounding: Mapping[str, RoundingErrors] | None = None,
    changed: Mapping[str, ChangedSpikes] | None = None,
    zeros: ZerosMapped | None = None,
) -> Report:
    """Measure one deployment.

    `mapping` and `trace` are those of `program`, relays included, and `trace` holds at least one sample.
    bounds, rounding, changed: of layers by their name; those without an entry have None in the report.
    zeros: what `map_zeros_stored` gives for the program.
    The other arguments are copied into the report as they are: see `Report`.

    >>> import torch
    >>> from neuroprune import (
    ...     Accuracies, LavaCheck, build, fold, frames_of, load_chip, load_dataset, load_recipe, map_program,
    ...     measure, quantize, quantize_input, simulate, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> chip, spikes = load_chip("loihi-sim"), quantize_input(program.input, frames)[0]
    >>> lava = LavaCheck(samples=0, not_run="left out")
    >>> report = measure(
    ...     program, map_program(program, chip), simulate(program, spikes), chip,
    ...     network="digits-conv", data="digits", accuracy=Accuracies(), lava=lava,
    ... )
    >>> report.totals.neurons, len(report.layers)
    (4618, 4)
    """
    assert trace.samples > 0, "nothing was run"
    activity = {layer.name: layer for layer in trace.layers}
    events = {INPUT: trace.input_events} | {name: layer.spikes for name, layer in activity.items()}
    arriving = {layer.name: synops(layer, events) for layer in program.layers}
    taken = _taken_by_layers(mapping, chip)
    zeros_stored = _taken_by_layers(zeros.mapping, chip) if zeros and zeros.mapping else {}
    depth = depths(program)
    layers = tuple(
        _layer(
            layer,
            activity[layer.name],
            arriving[layer.name],
            taken[layer.name],
            depth,
            trace,
            Analyses(
                bound=_bound((bounds or {}).get(layer.name)),
                rounding=_converted(RoundingReport, (rounding or {}).get(layer.name)),
                changed=_converted(ChangedReport, (changed or {}).get(layer.name)),
                zeros_stored=zeros_stored.get(layer.name),
            ),
        )
        for layer in program.layers
    )
    cores = tuple(_core(index, core, arriving, trace, chip) for index, core in enumerate(mapping.cores))
    ladder = _accuracy(accuracy, trace.samples)
    firing = layers[:-1] if program.readout.of == "voltage" else layers
    return Report(
        network=network,
        data=data,
        target=_limits(chip),
        samples=trace.samples,
        steps=trace.steps,
        seed=seed,
        accuracy=ladder,
        lava=lava,
        input=InputReport(
            shape=program.input.shape,
            bits=program.input.bits,
            unit=program.input.unit,
            events_per_sample=int(trace.input_events.sum()) / trace.samples,
            saturated_share=trace.saturated_inputs / (trace.samples * _values_of_a_sample(program)),
        ),
        layers=layers,
        cores=cores,
        totals=_totals(program, layers, cores, mapping, trace, chip, zeros),
        exchange_remarks=tuple(exchange_remarks),
        warnings=warnings_of(firing, ladder, trace.samples),
        versions=versions or {},
    )


def _values_of_a_sample(program: IntProgram) -> int:
    """The values of one frame, or of a frame for each step."""
    return prod(program.input.shape) * (program.steps if program.input.sequence else 1)


def _limits(chip: Chip) -> ChipLimits:
    return ChipLimits(
        name=chip.name,
        title=chip.title,
        family=chip.core.name,
        cores_per_chip=chip.cores_per_chip,
        resources=tuple(
            ResourceLimit(name=each.name, unit=each.unit, limit=each.limit) for each in chip.core.resources
        ),
    )


class Analyses(NamedTuple):
    """Results of other analyses of one layer."""

    bound: BoundReport | None
    rounding: RoundingReport | None
    changed: ChangedReport | None
    zeros_stored: Taken | None


def _bound(bound: LayerBound | None) -> BoundReport | None:
    if bound is None:
        return None
    return BoundReport(
        sums=bound.sums,
        current=bound.current,
        voltage=bound.voltage,
        times_register=max(bound.sums_ratio, bound.current_ratio, bound.voltage_ratio),
        safe=bound.safe,
    )


def _converted(kind: type[Kind], value: object | None) -> Kind | None:
    return None if value is None else kind.model_validate(value, from_attributes=True)


def _layer(
    layer: IntLayer,
    activity: LayerTrace,
    operations: Arriving,
    taken: Taken,
    depth: dict[str, int],
    trace: Trace,
    analyses: Analyses,
) -> LayerReport:
    present = synapses(layer)
    neurons = prod(layer.shape)
    return LayerReport(
        name=layer.name,
        kind=_kind(layer),
        relay=layer.role == "relay",
        sources=tuple(connection.source for connection in layer.connections),
        waits=tuple(wait(connection, layer, depth) for connection in layer.connections),
        shape=layer.shape,
        neurons=neurons,
        synapses=int(present.all.sum()),
        nonzero_synapses=int(present.nonzero.sum()),
        delayed_synapses=delayed_synapses(layer, [synaptic_delay(each, layer, depth) for each in layer.connections]),
        spikes_per_neuron_step=int(activity.spikes.sum()) / (neurons * trace.samples * trace.steps),
        synops_per_sample=int(operations.all.sum()) / trace.samples,
        nonzero_synops_per_sample=int(operations.nonzero.sum()) / trace.samples,
        weight_bits=layer.weight_bits,
        saturated_weights_share=_saturated_share(layer),
        vth=layer.neuron.vth,
        reset=layer.neuron.reset,
        scale=layer.scale,
        limited_by=layer.limited_by,
        current_wraps=activity.current_wraps,
        voltage_saturations=activity.voltage_saturations,
        bound=analyses.bound,
        rounding=analyses.rounding,
        changed=analyses.changed,
        cores=taken.cores,
        resources=taken.resources,
        zero_weights_share=zero_weights_share([layer]),
        zeros_stored=analyses.zeros_stored,
    )


def _accuracy(found: Accuracies, samples: int) -> AccuracyLadder:
    shares = {name: getattr(found, name) for name in ("float", "folded", "quantised", "bit_accurate")}
    gained, lost = found.gained, found.lost
    return AccuracyLadder(
        **shares,
        intervals=AccuracyIntervals(
            **{name: share_interval(share, samples) for name, share in shares.items() if share is not None}
        ),
        change=None if gained is None or lost is None else accuracy_change(gained, lost, samples),
        most_frequent=found.most_frequent,
    )


def _kind(layer: IntLayer) -> Literal["conv", "dense", "mixed"]:
    convolutions = {isinstance(connection.synapse, IntConv) for connection in layer.connections}
    return "mixed" if len(convolutions) > 1 else "conv" if convolutions.pop() else "dense"


def _saturated_share(layer: IntLayer) -> float:
    """Share of the weights at an end of the range; all of them where all weights are equal, as in a pool."""
    low, high = weight_range(layer.weight_bits)
    weight = np.concatenate([connection.synapse.weight.reshape(-1) for connection in layer.connections])
    return float(np.mean((weight <= low) | (weight >= high)))


def _core(index: int, core: Core, arriving: dict[str, Arriving], trace: Trace, chip: Chip) -> CoreReport:
    steps = trace.samples * trace.steps
    tiles = [use.tile for use in core.tiles]
    return CoreReport(
        index=index,
        chip=core.chip,
        x=core.x,
        y=core.y,
        tiles=tuple(
            TileReport(layer=use.tile.layer, start=use.tile.start, stop=use.tile.stop, encodings=use.encodings)
            for use in core.tiles
        ),
        neurons=core.neurons,
        idle_neurons=core.idle_neurons,
        resources=tuple(
            ResourceUse(name=each.name, unit=each.unit, used=used, limit=each.limit)
            for each, used in zip(chip.core.resources, core.used, strict=True)
        ),
        synops_per_step=sum(_in_tile(arriving[tile.layer].all, tile) for tile in tiles) / steps,
        nonzero_synops_per_step=sum(_in_tile(arriving[tile.layer].nonzero, tile) for tile in tiles) / steps,
    )


def _in_tile(values: CountArray, tile: Tile) -> int:
    """Sum of `values`, one for each neuron of a layer, over the neurons of `tile`."""
    boxed = values.reshape(values.shape + (1,) * (3 - values.ndim))
    (c0, y0, x0), (c1, y1, x1) = tile.start, tile.stop
    return int(boxed[c0:c1, y0:y1, x0:x1].sum())


def _taken_by_layers(mapping: ChipMapping, chip: Chip) -> dict[str, Taken]:
    """What each layer takes, by its name."""
    cores = Counter(name for core in mapping.cores for name in {use.tile.layer for use in core.tiles})
    tiles: dict[str, list[tuple[int, ...]]] = {name: [] for name in cores}
    for core in mapping.cores:
        for use in core.tiles:
            tiles[use.tile.layer].append(use.used)
    return {name: _taken(count, tiles[name], chip) for name, count in cores.items()}


def _taken(cores: int, used: Sequence[tuple[int, ...]], chip: Chip) -> Taken:
    """`cores` cores, and the sums of `used`, which has amounts of each resource of `chip`."""
    amounts = zip(chip.core.resources, zip(*used, strict=True), strict=True)
    resources = tuple(ResourceAmount(name=each.name, unit=each.unit, used=sum(of_each)) for each, of_each in amounts)
    return Taken(cores=cores, resources=resources)


def _totals(
    program: IntProgram,
    layers: Sequence[LayerReport],
    cores: Sequence[CoreReport],
    mapping: ChipMapping,
    trace: Trace,
    chip: Chip,
    zeros: ZerosMapped | None,
) -> Totals:
    with_zeros = zeros.mapping.cores if zeros and zeros.mapping else ()
    return Totals(
        neurons=sum(layer.neurons for layer in layers),
        synapses=sum(layer.synapses for layer in layers),
        nonzero_synapses=sum(layer.nonzero_synapses for layer in layers),
        relay_neurons=sum(layer.neurons for layer in layers if layer.relay),
        delayed_synapses=sum(layer.delayed_synapses for layer in layers),
        spikes_per_sample=sum(int(layer.spikes.sum()) for layer in trace.layers) / trace.samples,
        synops_per_sample=sum(layer.synops_per_sample for layer in layers),
        nonzero_synops_per_sample=sum(layer.nonzero_synops_per_sample for layer in layers),
        resources=tuple(map(_summed, zip(*(core.resources for core in cores), strict=True))),
        cores=len(cores),
        chips=mapping.chips,
        busiest_core=max(cores, key=lambda core: core.synops_per_step).index,
        zero_weights_share=zero_weights_share([layer for layer in program.layers if layer.role != "relay"]),
        zeros_stored=_taken(len(with_zeros), [core.used for core in with_zeros], chip) if with_zeros else None,
        zeros_do_not_fit=zeros.why_not if zeros else None,
    )


def _summed(uses: Sequence[ResourceUse]) -> ResourceUse:
    """One resource, summed over several cores."""
    used, limit = sum(each.used for each in uses), sum(each.limit for each in uses)
    return uses[0].model_copy(update={"used": used, "limit": limit})
