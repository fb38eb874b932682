"""What a network takes of a chip, from the mapper: what parameters and FLOPs do not tell."""

from collections.abc import Sequence

from neuroprune.arrays import Frames
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.compression.record import ChipCost
from neuroprune.errors import CapacityError, InputError, UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.mapping.map import map_program
from neuroprune.program.timing import balance
from neuroprune.program.types import IntProgram
from neuroprune.quantization.quantize import quantize

BITS_PER_KIB = 8 * 1024
CALIBRATION = 4
"""Frames that set the scales of the integers, which costs hardly depend on: 1, 4 and 16 frames give the same cores and
memory for digits-conv, fashion-conv and vgg16."""


def chip_cost(graph: Graph, frames: Frames, chip: Chip) -> ChipCost:
    """What the network that `graph` was traced from takes of `chip`: folded, quantised, balanced and mapped, not run.

    frames: float32 [samples, *input shape], or sequences [samples, steps, *input shape], as the network sees them; the
    first few set the scales. Weights get as many bits as the chip has.
    """
    try:
        return cost_of_program(quantize(fold(graph), frames[:CALIBRATION], chip), chip)
    except (UnsupportedNetwork, CapacityError, InputError) as error:
        return ChipCost(chip=chip.name, why_not=str(error))


def cost_of_program(program: IntProgram, chip: Chip) -> ChipCost:
    """What `program`, which need not be balanced, takes of `chip`, each layer cut by itself. Raises CapacityError.

    A deployment, which cuts all layers together, takes as many cores or fewer; a search for channels asks too often for
    that.
    """
    mapping = map_program(balance(program, chip.synaptic_delay_max), chip, effort="layers")
    return ChipCost(
        chip=chip.name,
        cores=len(mapping.cores),
        chips=mapping.chips,
        kib=_kib([core.used for core in mapping.cores], chip),
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
