"""Zero weights as if they were stored: what a chip holds of a network whose weights have other zeros, or none."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import frozen_array
from neuroprune.program.types import IntConnection


def with_zeros_stored(connection: IntConnection, zeros: npt.NDArray[np.bool_] | None = None) -> IntConnection:
    """`connection` with a weight in place of its zeros, of a value that no other weight of it has.

    So what was equal stays equal and nothing else becomes so: connections, taps of a kernel, blocks. Where everything
    is zero, all is equal. zeros: which ones, bool in the shape of the weights; by default all. To be counted, not run:
    the value may lie one beyond what fits the bits of a weight.
    """
    weight = connection.synapse.weight
    zeros = weight == 0 if zeros is None else zeros
    stored = frozen_array(np.where(zeros, max(int(weight.max()), 0) + 1, weight), np.int16)
    return replace(connection, synapse=replace(connection.synapse, weight=stored))
