"""From an integer program, its mapping and its activity to the report on what it costs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import prod

from neuroprune.chips.chip import Chip
from neuroprune.graph.nodes import INPUT
from neuroprune.intervals import accuracy_change, share_interval
from neuroprune.mapping.traffic import Traffic
from neuroprune.mapping.types import ChipMapping
from neuroprune.program.bounds import LayerBound
from neuroprune.program.timing import depths
from neuroprune.program.types import IntProgram
from neuroprune.quantization.errors import RoundingErrors
from neuroprune.report.activity import activity_of
from neuroprune.report.bound_schema import Advice, MappingBound
from neuroprune.report.chip_schema import CoreReport
from neuroprune.report.costs import costs_of
from neuroprune.report.layer_schema import ChangedReport, LayerReport, RoundingReport
from neuroprune.report.layers import Analyses, bound_report, converted, layer_report
from neuroprune.report.placement import core_report, limits_of, summed, taken_by_layers, taken_of
from neuroprune.report.provenance import Provenance
from neuroprune.report.schema import (
    AccuracyIntervals,
    AccuracyLadder,
    ExchangeRemark,
    InputReport,
    LavaCheck,
    Report,
    Totals,
)
from neuroprune.report.synops import synops
from neuroprune.report.traffic import PlacedTraffic, core_messages, placed, traffic_report
from neuroprune.report.warnings import chip_warnings, warnings_of
from neuroprune.report.zeros import ZerosMapped, zero_weights_share
from neuroprune.simulation.ladder import Accuracies, ChangedSpikes
from neuroprune.simulation.types import Trace


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
    bound: MappingBound | None = None,
    traffic: Traffic | None = None,
    advice: Sequence[Advice] = (),
    date: datetime | None = None,
    durations_s: Mapping[str, float] | None = None,
    provenance: Provenance | None = None,
) -> Report:
    """Measure one deployment.

    `mapping` and `trace` are those of `program`, relays included, and `trace` holds at least one sample.
    bounds, rounding, changed: of layers by their name; those without an entry have None in the report.
    zeros: what `map_zeros_stored` gives for the program. traffic: what `measure_traffic` gives for it, with the same
    spikes; without it the report has no messages between cores.
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
    taken = taken_by_layers(mapping, chip)
    zeros_stored = taken_by_layers(zeros.mapping, chip) if zeros and zeros.mapping else {}
    depth = depths(program)
    layers = tuple(
        layer_report(
            layer,
            activity[layer.name],
            arriving[layer.name],
            taken[layer.name],
            depth,
            trace,
            Analyses(
                bound=bound_report((bounds or {}).get(layer.name)),
                rounding=converted(RoundingReport, (rounding or {}).get(layer.name)),
                changed=converted(ChangedReport, (changed or {}).get(layer.name)),
                zeros_stored=zeros_stored.get(layer.name),
            ),
        )
        for layer in program.layers
    )
    cores = tuple(core_report(index, core, arriving, trace, chip) for index, core in enumerate(mapping.cores))
    on_cores = placed(traffic, mapping, chip) if traffic is not None else None
    if on_cores is not None:
        cores = _with_messages(cores, on_cores, trace)
    ladder = _accuracy(accuracy, trace.samples)
    firing = layers[:-1] if program.readout.of == "voltage" else layers
    return Report(
        network=network,
        data=data,
        target=limits_of(chip),
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
        warnings=(*warnings_of(firing, ladder, trace.samples), *chip_warnings(mapping, chip)),
        versions=versions or {},
        date=date,
        durations_s=dict(durations_s or {}),
        provenance=provenance,
        traffic=traffic_report(on_cores, trace) if on_cores is not None else None,
        bound=bound,
        advice=tuple(advice),
        costs=costs_of(chip, activity_of(program, mapping, trace, chip, on_cores)),
    )


def _with_messages(cores: Sequence[CoreReport], on_cores: PlacedTraffic, trace: Trace) -> tuple[CoreReport, ...]:
    steps = trace.samples * trace.steps
    return tuple(
        core.model_copy(
            update={"messages_in_per_step": int(arriving) / steps, "messages_out_per_step": int(leaving) / steps}
        )
        for core, arriving, leaving in zip(cores, *core_messages(on_cores), strict=True)
    )


def _values_of_a_sample(program: IntProgram) -> int:
    """The values of one frame, or of a frame for each step."""
    return prod(program.input.shape) * (program.steps if program.input.sequence else 1)


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
        resources=tuple(map(summed, zip(*(core.resources for core in cores), strict=True))),
        cores=len(cores),
        chips=mapping.chips,
        busiest_core=max(cores, key=lambda core: core.synops_per_step).index,
        zero_weights_share=zero_weights_share([layer for layer in program.layers if layer.role != "relay"]),
        zeros_stored=taken_of(len(with_zeros), [core.used for core in with_zeros], chip) if with_zeros else None,
        zeros_do_not_fit=zeros.why_not if zeros else None,
    )
