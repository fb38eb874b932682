"""How far a mapping may be from the fewest cores, as part of a report."""

from neuroprune.chips.chip import Chip
from neuroprune.mapping.bounds import resource_bounds
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.types import Packing
from neuroprune.program.types import IntProgram
from neuroprune.report.bound_schema import MappingBound, ResourceBound


def bound_of(program: IntProgram, packing: Packing, chip: Chip, effort: EffortName) -> MappingBound | None:
    """Of `packing`, found with `effort`; None for a chip on which layers are matched with cores, so that all is needed.

    program: balanced.
    """
    if chip.core.layer_per_core:
        return None
    bounds = resource_bounds(program, chip)
    cores, most = len(packing.cores), max(each.cores for each in bounds)
    return MappingBound(
        cores=cores,
        bound=most,
        gap=(cores - most) / most,
        resources=tuple(ResourceBound(name=each.resource, cores=each.cores) for each in bounds),
        effort=effort,
    )
