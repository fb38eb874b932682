"""What a network takes of a chip, from the mapper: what parameters and FLOPs do not tell."""

from collections.abc import Sequence

from neuroprune.arrays import FramesLike
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.compression.record import ChipCost
from neuroprune.compression.step_time import TIMED, shortest_step
from neuroprune.data.coding import CodedFrames
from neuroprune.data.types import Dataset
from neuroprune.errors import CapacityError, InputError, UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.mapping.map import map_program
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.timing import balance
from neuroprune.program.types import IntProgram
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.types import Trace

BITS_PER_KIB = 8 * 1024
CALIBRATION = 4
"""Frames that set the scales of the integers, which costs hardly depend on: 1, 4 and 16 frames give the same cores and
memory for digits-conv, fashion-conv and vgg16."""


def chip_samples(data: Dataset) -> FramesLike:
    """The training samples that tell what a network takes of a chip, for `chip_cost`."""
    return CodedFrames(data.train.images[:TIMED], data.coding)


def chip_cost(graph: Graph, frames: FramesLike, chip: Chip, *, timed_on: int | None = None) -> ChipCost:
    """What the network that `graph` was traced from takes of `chip`: folded, quantised, balanced and mapped.

    frames: float32 [samples, *input shape], or sequences [samples, steps, *input shape], as the network sees them; the
    first few set the scales. timed_on: on how many cores a step is timed, or on those that it takes if they are more;
    all frames are run for that. Weights get as many bits as the chip has.
    """
    try:
        program = program_on(graph, frames, chip)
        return cost_of_program(program, chip, None if timed_on is None else simulate(program, frames), timed_on or 0)
    except (UnsupportedNetwork, CapacityError, InputError) as error:
        return ChipCost(chip=chip.name, why_not=str(error))


def program_on(graph: Graph, frames: FramesLike, chip: Chip) -> IntProgram:
    """The network that `graph` was traced from as integers of `chip`, balanced; frames: as of `chip_cost`."""
    return balance(quantize(fold(graph), frames[:CALIBRATION], chip), chip.synaptic_delay_max)


def cost_of_program(program: IntProgram, chip: Chip, trace: Trace | None = None, cores: int = 0) -> ChipCost:
    """What `program`, balanced, takes of `chip`, each layer cut by itself. Raises CapacityError.

    trace: what it does, where a step is to be timed; it takes then what the mapping of the shortest step takes, on so
    many `cores` or those that it needs. A deployment, which cuts all layers together, takes as many cores or fewer; a
    search for channels asks too often for that.
    """
    mapping, step_us = map_program(program, chip, effort="layers"), None
    if trace is not None:
        mapping, step_us = shortest_step(program, mapping, trace, chip, cores)
        verify_mapping(mapping, program, chip)
    return ChipCost(
        chip=chip.name,
        cores=len(mapping.cores),
        chips=mapping.chips,
        kib=_kib([core.used for core in mapping.cores], chip),
        step_us=step_us,
    )


def _kib(used: Sequence[tuple[int, ...]], chip: Chip) -> float | None:
    memory = [number for number, each in enumerate(chip.core.resources) if each.unit == "bits"]
    if not memory:
        return None
    return sum(core[number] for core in used for number in memory) / BITS_PER_KIB


def same_chip(started: ChipCost | None, chip: Chip | str | None) -> Chip | None:
    """The chip that a compression goes on to be measured on: that of `started`, its dense network's cost.

    chip: a chip, its name or the path of its YAML; None for the bundled one of that name. Raises InputError for
    another.
    """
    name = None if started is None else started.chip
    if chip is None:
        return None if name is None else load_chip(name)
    chip = load_chip(chip) if isinstance(chip, str) else chip
    if chip.name != name:
        raise InputError(
            f"this compression was started for {name or 'no chip'}, but resuming asks for {chip.name}: give the same "
            "chip, or compress without --resume"
        )
    return chip
