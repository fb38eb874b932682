"""From a layer of the integer program and its activity to its part of the report."""

from math import prod
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel

from neuroprune.fixed_point import weight_range
from neuroprune.program.bounds import LayerBound
from neuroprune.program.timing import synaptic_delay, wait
from neuroprune.program.types import IntConv, IntLayer
from neuroprune.report.chip_schema import Taken
from neuroprune.report.layer_schema import BoundReport, ChangedReport, LayerReport, RoundingReport
from neuroprune.report.synops import Arriving, delayed_synapses, synapses
from neuroprune.report.zeros import zero_weights_share
from neuroprune.simulation.types import LayerTrace, Trace

Kind = TypeVar("Kind", bound=BaseModel)


class Analyses(NamedTuple):
    """Results of other analyses of one layer."""

    bound: BoundReport | None
    rounding: RoundingReport | None
    changed: ChangedReport | None
    zeros_stored: Taken | None


def layer_report(
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


def bound_report(bound: LayerBound | None) -> BoundReport | None:
    if bound is None:
        return None
    return BoundReport(
        sums=bound.sums,
        current=bound.current,
        voltage=bound.voltage,
        times_register=max(bound.sums_ratio, bound.current_ratio, bound.voltage_ratio),
        safe=bound.safe,
    )


def converted(kind: type[Kind], value: object | None) -> Kind | None:
    return None if value is None else kind.model_validate(value, from_attributes=True)


def _kind(layer: IntLayer) -> Literal["conv", "dense", "mixed"]:
    convolutions = {isinstance(connection.synapse, IntConv) for connection in layer.connections}
    return "mixed" if len(convolutions) > 1 else "conv" if convolutions.pop() else "dense"


def _saturated_share(layer: IntLayer) -> float:
    """Share of the weights at an end of the range; all of them where all weights are equal, as in a pool."""
    low, high = weight_range(layer.weight_bits)
    weight = np.concatenate([connection.synapse.weight.reshape(-1) for connection in layer.connections])
    return float(np.mean((weight <= low) | (weight >= high)))
