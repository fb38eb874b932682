"""The chip's integer fields: their ranges, and rounding into them."""

import numpy as np
import numpy.typing as npt

from neuroprune.frozen import frozen_array
from neuroprune.program.types import IntArray, WeightArray

DECAY_UNITY = 4096
"""Decays count in 4096ths: v * (4096 - decay) >> 12 (Lava 0.10, proc/lif/models.py, decay_shift)."""
STATE_SHIFT = 6
"""Synaptic input and threshold enter u and v times 2**6 (proc/lif/models.py, act_shift and vth_shift)."""
BIAS_EXPONENT = 6
"""The exponent of biases wherever they fit; the one that lava-dl's netx format has (lib/dl/netx/hdf5.py, bias_exp)."""


def signed_range(bits: int) -> tuple[int, int]:
    """Smallest and largest integer of a two's complement field of `bits` bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def weight_step(weight_bits: int) -> int:
    """Distance of neighbouring weights: a mixed-sign weight of 8 bits is an even integer in [-256, 254].

    Lava 0.10, proc/dense/models.py with utils/weightutils.py: 8 - num_weight_bits + 1 low bits are cut.
    """
    return 1 << (9 - weight_bits)


def weight_range(weight_bits: int) -> tuple[int, int]:
    """Smallest and largest weight of a mixed-sign field."""
    return -256, 256 - weight_step(weight_bits)


def round_weights(weights: npt.NDArray[np.float64], weight_bits: int) -> WeightArray:
    """Nearest weights of the field, saturating at its ends."""
    step = weight_step(weight_bits)
    low, high = weight_range(weight_bits)
    return frozen_array(np.clip(np.rint(weights / step) * step, low, high), np.int16)


def round_into(values: npt.NDArray[np.float64], bits: int) -> IntArray:
    """Nearest integers of a signed field of `bits` bits, saturating at its ends."""
    low, high = signed_range(bits)
    return frozen_array(np.clip(np.rint(values), low, high), np.int32)
