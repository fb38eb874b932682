"""The chip's integer fields: their widths, their ranges, and rounding into them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import frozen_array
from neuroprune.errors import InputError
from neuroprune.excerpts import excerpt

WeightArray = npt.NDArray[np.int16]
IntArray = npt.NDArray[np.int32]

DECAY_BITS = 12
DECAY_UNITY = 1 << DECAY_BITS
"""Decays count in 4096ths: v * (4096 - decay) >> 12 (Lava 0.10, proc/lif/models.py, decay_shift)."""
STATE_SHIFT = 6
"""Synaptic input and threshold enter u and v times 2**6 (proc/lif/models.py, act_shift and vth_shift)."""
REGISTER_BITS = 24
"""Of Lava's u and v, and of the sums of a convolution, with sign (proc/lif/models.py, max_uv_val; proc/conv/models.py).

The sums have so many on every chip, u and v as many as its rules say, at most these.
"""
LARGEST_STATE = (1 << REGISTER_BITS - 1) - 1
"""Up to this magnitude u and v of 24 bits, and the sums of a convolution, do not overflow."""
FLOAT32_INTEGERS = 2**24
"""Up to here float32 holds every integer."""
BIAS_EXPONENT = 6
"""The exponent of biases wherever they fit; the one that lava-dl's netx format has (lib/dl/netx/hdf5.py, bias_exp)."""


def check_number(name: str, value: object, least: int, most: int, reason: str = "") -> None:
    """Raise InputError, by the number's `name`, unless `value` is a whole number from `least` to `most`.

    reason: why no other can be computed.
    """
    if type(value) is not int or not least <= value <= most:
        reason = f": {reason}" if reason else ""
        raise InputError(f"{name} is {excerpt(value)}, but must be a whole number from {least} to {most}{reason}")


COMPUTED_RANGES: Mapping[str, tuple[int, int, str]] = MappingProxyType(
    {
        "weight_bits": (2, 8, "one bit has no positive weight beside the negative one, and Lava's weights have 8"),
        "decay_bits": (1, DECAY_BITS, "decays count in 4096ths, as Lava's do"),
        "threshold_bits": (7, 17, "relay neurons have a threshold of 64, and Lava's thresholds have 17 bits"),
        "bias_bits": (2, REGISTER_BITS, "one bit has no positive bias, and Lava's potential has 24"),
        "bias_exponent_max": (0, REGISTER_BITS - 2, "a bias is a mantissa of 2 bits or more within Lava's 24"),
        "state_bits": (16, REGISTER_BITS, "a weight alone takes 15 bits and a sign, and Lava's registers have 24"),
        "input_bits": (2, 8, "one bit with sign has no positive value, and spikes are kept in bytes"),
    }
)
"""The least and the most of each number of `IntegerRules` that can be computed, and why no other can."""


@dataclass(frozen=True)
class IntegerRules:
    """The fields of one chip, in bits; each is computed in every width that it may have. Raises InputError for others.

    chip: its name, for messages.
    weight_bits: 2 to 8. weight_bits_offered: widths of a stored weight, ascending; weight_bits is the widest.
    decay_bits: of both decays, 1 to 12: they are multiples of 2**-decay_bits. threshold_bits: unsigned mantissa, 7 to
    17. bias_bits: mantissa with sign, 2 or more; its exponent is at most bias_exponent_max, 0 or more; together at most
    24. state_bits: of u and v, with sign, 16 to 24; Lava's models have 24. input_bits: of a graded input spike, with
    sign, 2 to 8.
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

    def __post_init__(self) -> None:
        for name, (least, most, reason) in COMPUTED_RANGES.items():
            check_number(name, getattr(self, name), least, most, reason)
        self._check_offered()
        if self.bias_bits + self.bias_exponent_max > REGISTER_BITS:
            raise InputError(
                f"bias_bits is {self.bias_bits} and bias_exponent_max {self.bias_exponent_max}, which makes biases of "
                f"{self.bias_bits + self.bias_exponent_max} bits, but Lava's potential has {REGISTER_BITS}: lower one "
                "of the two"
            )

    def _check_offered(self) -> None:
        offered = self.weight_bits_offered
        widths = [bits for bits in range(1, 9) if bits in offered] if isinstance(offered, tuple) else []
        if not widths or offered != tuple(widths) or not all(type(bits) is int for bits in offered):
            raise InputError(
                f"weight_bits_offered is {excerpt(offered)}, but must be ascending whole numbers from 1 to 8, as in "
                "[4, 8]"
            )
        if offered[-1] != self.weight_bits:
            raise InputError(
                f"the widest of weight_bits_offered is {offered[-1]}, but weight_bits is {self.weight_bits}: make the "
                "two agree"
            )

    def stored_bits(self, weight_bits: int) -> int:
        """Bits that a weight of `weight_bits` is stored in: the narrowest width offered that holds it."""
        return min(bits for bits in self.weight_bits_offered if bits >= weight_bits)


def decay_step(decay_bits: int) -> int:
    """Distance of neighbouring decays of a field, in 4096ths."""
    return 1 << (DECAY_BITS - decay_bits)


def largest_state(state_bits: int) -> int:
    """Up to this magnitude u and v of `state_bits` do not overflow."""
    return (1 << state_bits - 1) - 1


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
