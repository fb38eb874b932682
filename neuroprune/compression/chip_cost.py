"""What a network takes of a chip, from the mapper: what parameters and FLOPs do not tell."""

from collections.abc import Sequence

from neuroprune.arrays import FramesLike
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.compression.record import ChipCost
from neuroprune.compression.step_time import TIMED, step_us
from neuroprune.data.coding import CodedFrames
from neuroprune.data.types import Dataset
from neuroprune.errors import CapacityError, InputError, UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.mapping.map import map_program
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


def chip_cost(graph: Graph, frames: FramesLike, chip: Chip, *, timed: bool = False) -> ChipCost:
    """What the network that `graph` was traced from takes of `chip`: folded, quantised, balanced and mapped.

    frames: float32 [samples, *input shape], or sequences [samples, steps, *input shape], as the network sees them; the
    first few set the scales. timed: whether all are run, to tell how long a step takes. Weights get as many bits as the
    chip has.
    """
    try:
        program = program_on(graph, frames, chip)
        return cost_of_program(program, chip, simulate(program, frames) if timed else None)
    except (UnsupportedNetwork, CapacityError, InputError) as error:
        return ChipCost(chip=chip.name, why_not=str(error))


def program_on(graph: Graph, frames: FramesLike, chip: Chip) -> IntProgram:
    """The network that `graph` was traced from as integers of `chip`, balanced; frames: as of `chip_cost`."""
    return balance(quantize(fold(graph), frames[:CALIBRATION], chip), chip.synaptic_delay_max)


def cost_of_program(program: IntProgram, chip: Chip, trace: Trace | None = None) -> ChipCost:
    """What `program`, balanced, takes of `chip`, each layer cut by itself. Raises CapacityError.

    trace: what it does, where a step is to be timed. A deployment, which cuts all layers together, takes as many cores
    or fewer; a search for channels asks too often for that.
    """
    mapping = map_program(program, chip, effort="layers")
    return ChipCost(
        chip=chip.name,
        cores=len(mapping.cores),
        chips=mapping.chips,
        kib=_kib([core.used for core in mapping.cores], chip),
        step_us=None if trace is None else step_us(program, mapping, trace, chip),
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
