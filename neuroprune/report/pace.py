"""How long a step of a program takes, before there is a report of it."""

from neuroprune.chips.chip import Chip
from neuroprune.mapping.pace import Work, time_model
from neuroprune.mapping.traffic import Traffic
from neuroprune.mapping.types import ChipMapping
from neuroprune.program.types import IntProgram
from neuroprune.report.activity import activity_of, arriving_by_connection
from neuroprune.report.costs import estimate
from neuroprune.report.traffic import placed
from neuroprune.simulation.types import Trace


def work_of(program: IntProgram, trace: Trace, chip: Chip) -> Work:
    """What neurons of `program`, balanced, did in `trace`, for cuts that the first model of `chip` calls fast."""
    spikes = {layer.name: layer.spikes for layer in trace.layers}
    return Work(time_model(chip), spikes, arriving_by_connection(program, trace), trace.samples * trace.steps)


def step_ns(program: IntProgram, mapping: ChipMapping, traffic: Traffic, trace: Trace, chip: Chip) -> float:
    """Nanoseconds that a step takes by the first model of `chip` that says so, links and barrier included.

    program: balanced; mapping, traffic, trace: of it. It is what a report of them says. Raises InputError where `chip`
    has no such model.
    """
    step = estimate(time_model(chip), activity_of(program, mapping, trace, chip, placed(traffic, mapping, chip))).step
    assert step is not None, "a model that says how long a step takes"
    return step.total_ns
