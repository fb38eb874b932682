"""Widths of a chip's integer fields: what the registers of a program must fit in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class IntegerRules:
    """The fields of one chip; all widths are in bits and >= 1.

    chip: whose they are, for messages.
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
