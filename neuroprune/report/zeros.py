"""What the zero weights of a program save on a chip: the program mapped as if each of them were stored.

All zeros of the integer weights count, whatever made them: pruning, rounding, or layers that were folded together, of
which channel selections and concatenations leave some. Those of relays are left as they are, since only balancing adds
relays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuroprune.chips.chip import Chip
from neuroprune.errors import CapacityError
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.map import map_program
from neuroprune.mapping.types import ChipMapping
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.program.zeros import with_zeros_stored
from neuroprune.report.schema import NOTICEABLE_ZEROS


@dataclass(frozen=True)
class ZerosMapped:
    """The mapping of a program whose zero weights are stored; or, where that does not fit the chip, why not."""

    mapping: ChipMapping | None
    why_not: str | None = None


def zero_weights_share(layers: Sequence[IntLayer]) -> float:
    """Share of the weights of all connections of `layers` that are zero; each weight of a kernel counts once."""
    weights = [connection.synapse.weight for layer in layers for connection in layer.connections]
    zeros = sum(weight.size - np.count_nonzero(weight) for weight in weights)
    return zeros / max(1, sum(weight.size for weight in weights))


def map_zeros_stored(program: IntProgram, chip: Chip, effort: EffortName = "normal") -> ZerosMapped | None:
    """`program`, balanced, mapped with all its zeros stored; None where NOTICEABLE_ZEROS of its weights are not zero.

    How a zero is counted, `with_zeros_stored` says.

    >>> import numpy as np
    >>> from neuroprune import (
    ...     IntBias, IntConnection, IntCubaLif, IntDense, IntInput, IntLayer, IntProgram, load_chip, map_zeros_stored,
    ... )
    >>> synapse = IntDense(np.array([[64, 0, 0, 0]]))
    >>> layer = IntLayer(
    ...     "a", (IntConnection("input", synapse, in_shape=(4,)),), IntCubaLif(decay_u=4095, decay_v=0, vth=32),
    ...     IntBias(np.array([0]), exponent=6), shape=(1,), scale=4096.0, limited_by="weight",
    ... )
    >>> program = IntProgram(IntInput((4,), unit=1.0, bits=8), (layer,), steps=4)
    >>> map_zeros_stored(program, load_chip("loihi-sim")).mapping.cores[0].used[1]  # input axons
    4
    """
    if zero_weights_share([layer for layer in program.layers if layer.role != "relay"]) < NOTICEABLE_ZEROS:
        return None
    stored = replace(program, layers=tuple(map(_stored, program.layers)))
    try:
        return ZerosMapped(map_program(stored, chip, effort=effort))
    except CapacityError as error:
        return ZerosMapped(None, str(error))


def _stored(layer: IntLayer) -> IntLayer:
    if layer.role == "relay":
        return layer
    return replace(layer, connections=tuple(map(with_zeros_stored, layer.connections)))
