"""The chip's integer fields: their widths, their ranges, and rounding into them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import frozen_array

WeightArray = npt.NDArray[np.int16]
IntArray = npt.NDArray[np.int32]

DECAY_UNITY = 4096
"""Decays count in 4096ths: v * (4096 - decay) >> 12 (Lava 0.10, proc/lif/models.py, decay_shift)."""
STATE_SHIFT = 6
"""Synaptic input and threshold enter u and v times 2**6 (proc/lif/models.py, act_shift and vth_shift)."""
REGISTER_BITS = 24
"""Of u and v, and of the sums of a convolution, with sign (proc/lif/models.py, max_uv_val; proc/conv/models.py)."""
LARGEST_STATE = (1 << REGISTER_BITS - 1) - 1
"""Up to this magnitude u, v and the sums of a convolution do not overflow."""
FLOAT32_INTEGERS = 2**24
"""Up to here float32 holds every integer."""
BIAS_EXPONENT = 6
"""The exponent of biases wherever they fit; the one that lava-dl's netx format has (lib/dl/netx/hdf5.py, bias_exp)."""


@dataclass(frozen=True)
class IntegerRules:
    """The fields of one chip; all widths are in bits and >= 1.

    chip: its name, for messages.
    weight_bits_offered: widths of a stored weight, ascending; weight_bits is the widest.
    decay_bits: of both decays. threshold_bits: unsigned mantissa. bias_bits: mantissa with sign; its exponent is at
    most bias_exponent_max. state_bits: of u and v, with sign. input_bits: of a graded input spike, with sign.
    """

    chip: str
    weight_bits: int
    weight_bits_offered: tuple[int, ...]
    decay_bits: int
    threshold_bits: int
    bias_bits: int
    bias_exponent_max: int
    state_bits: int
    input_bits: int

    def stored_bits(self, weight_bits: int) -> int:
        """Bits that a weight of `weight_bits` is stored in: the narrowest width offered that holds it."""
        return min(bits for bits in self.weight_bits_offered if bits >= weight_bits)


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
