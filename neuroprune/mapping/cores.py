"""How many cores a program takes: the mapper as an oracle, which a search asks many times."""

from neuroprune.chips.chip import Chip
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.map import pack_program
from neuroprune.mapping.types import Packing
from neuroprune.program.timing import balance
from neuroprune.program.types import IntProgram


def packed(program: IntProgram, chip: Chip, effort: EffortName) -> Packing:
    """The cores of `program`, which need not be balanced, on `chip`. Raises CapacityError; see `map_program`."""
    return pack_program(balance(program, chip.synaptic_delay_max), chip, effort)
