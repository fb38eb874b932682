"""How long a step takes on a chip, as a report estimates it, also of a network with fewer channels than ran."""

from collections.abc import Mapping
from dataclasses import replace

from neuroprune.chips.chip import Chip
from neuroprune.mapping.traffic import measure_traffic
from neuroprune.mapping.types import ChipMapping, Packing
from neuroprune.program.narrow import Mask
from neuroprune.program.types import IntProgram
from neuroprune.report.pace import step_ns
from neuroprune.simulation.types import Trace

TIMED = 256
"""Training samples whose activity tells how long a step takes: within 1.2 % of what 1,024 tell for digits-conv, 0.1 %
for fashion-conv and 4.1 % for vgg16, all with random weights."""


def step_us(program: IntProgram, mapping: ChipMapping, trace: Trace, chip: Chip) -> float:
    """Microseconds of a step by the first model of `chip` that says so: see `neuroprune.report.pace.step_ns`.

    program: balanced; mapping: of it; trace: what it did, or is taken to have done.
    """
    packing = Packing(tuple(core.tiles for core in mapping.cores))
    traffic = measure_traffic(program, packing, {layer.name: layer.spikes for layer in trace.layers}, chip)
    return step_ns(program, mapping, traffic, trace, chip) / 1e3


def narrowed_trace(trace: Trace, kept: Mapping[str, Mask]) -> Trace:
    """`trace` without some channels, as if all others fired no less and no more without them.

    kept: by name of the layer, as in `neuroprune.program.narrow.narrowed`.
    """
    layers = (
        replace(layer, spikes=layer.spikes[kept[layer.name]]) if layer.name in kept else layer for layer in trace.layers
    )
    return replace(trace, layers=tuple(layers))
