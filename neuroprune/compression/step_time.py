"""The shortest step on a chip, as a report estimates it, also of a network with fewer channels than ran."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from neuroprune.chips.chip import Chip
from neuroprune.mapping.budget import Budget
from neuroprune.mapping.map import pack_for_time
from neuroprune.mapping.place import place
from neuroprune.mapping.traffic import measure_traffic
from neuroprune.mapping.types import ChipMapping, Packing
from neuroprune.program.narrow import Mask
from neuroprune.program.types import IntProgram
from neuroprune.report.pace import step_ns, work_of
from neuroprune.simulation.types import Trace

TIMED = 256
"""Training samples whose activity tells how long a step takes: within 1.2 % of what 1,024 tell for digits-conv, 0.1 %
for fashion-conv and 4.1 % for vgg16, all with random weights."""


class Timed(NamedTuple):
    """A mapping, and the microseconds that a step of it takes."""

    mapping: ChipMapping
    step_us: float


def shortest_step(program: IntProgram, fewest: ChipMapping, trace: Trace, chip: Chip, cores: int = 0) -> Timed:
    """The quickest mapping of `program`, balanced, on so many `cores` or those of `fewest`, whichever are more.

    It is that of `deploy --optimize time --effort layers --place curve`, by the first model of `chip` that says how
    long a step takes. fewest: a mapping of it, which is kept where none is quicker. trace: what it did, or is taken to
    have done.
    """
    spikes = {layer.name: layer.spikes for layer in trace.layers}

    def timed(packing: Packing) -> Timed:
        mapping, traffic = place(packing, chip), measure_traffic(program, packing, spikes, chip)
        return Timed(mapping, step_ns(program, mapping, traffic, trace, chip) / 1e3)

    packing = Packing(tuple(core.tiles for core in fewest.cores))
    budget = Budget(cores=max(cores, len(fewest.cores)))
    paced = pack_for_time(program, packing, work_of(program, trace, chip), chip, "layers", budget)
    return min(timed(packing), timed(paced), key=lambda each: each.step_us)


def narrowed_trace(trace: Trace, kept: Mapping[str, Mask]) -> Trace:
    """`trace` without some channels, as if all others fired no less and no more without them.

    kept: by name of the layer, as in `neuroprune.program.narrow.narrowed`.
    """
    layers = (
        replace(layer, spikes=layer.spikes[kept[layer.name]]) if layer.name in kept else layer for layer in trace.layers
    )
    return replace(trace, layers=tuple(layers))
