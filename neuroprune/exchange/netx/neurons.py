"""The neurons of a netx layer in the chip's registers, as lava-dl 0.6 loads them (lib/dl/netx/hdf5.py)."""

import numpy as np

from neuroprune.arrays import frozen_array
from neuroprune.exchange.netx.fields import AGAIN
from neuroprune.exchange.netx.parts import Notes, Part
from neuroprune.fixed_point import BIAS_EXPONENT, DECAY_UNITY, IntegerRules, decay_step, signed_range
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.neurons.model import Reset, largest_vth
from neuroprune.program.types import IntBias


def read_neurons(
    part: Part, outputs: int, last: bool, rules: IntegerRules, notes: Notes
) -> tuple[IntCubaLif, IntBias, bool]:
    """Registers and biases of a layer, and whether it is of integrators, which never fire; only the last layer may be.

    outputs: channels, or features of a dense layer. Raises InputError for fields that contradict each other.
    """
    bias = _biases(part, outputs, rules, notes)
    largest = largest_vth(rules)
    neuron = part.neuron()
    if neuron is None:
        if bias.mantissa.any():
            notes.problems.append(
                f"{part.place} has biases but no neurons, so that lava-dl adds them once in place of every step: give "
                "it neurons"
            )
        # In lava-dl u keeps the sum of all input, and v is u; here v keeps it, and u is that of the step alone.
        current, voltage, threshold = DECAY_UNITY, 0, largest + 1
    else:
        current, voltage, threshold = (neuron.integer(name) for name in ("iDecay", "vDecay", "vThMant"))
    if part.is_driven:
        current = DECAY_UNITY  # Samples are added to v, so that the current is that of the step alone.
    step = decay_step(rules.decay_bits)
    _note_outside(part, "a current decay (iDecay)", current, step, DECAY_UNITY, notes, step)
    _note_outside(part, "a voltage decay (vDecay)", voltage, 0, DECAY_UNITY - step, notes, step)
    silent = last and threshold >= largest
    if not silent:
        _note_outside(part, "a threshold (vThMant)", threshold, 0, largest, notes)
    reset = part.fields.choice("reset", Reset, "zero")
    neurons = IntCubaLif(current - 1, voltage, min(threshold, largest), reset, rules.state_bits)
    return neurons, bias, silent


def _note_outside(part: Part, what: str, value: int, low: int, high: int, notes: Notes, step: int = 1) -> None:
    if not low <= value <= high or value % step:
        steps = f" in steps of {step}" if step > 1 else ""
        notes.problems.append(
            f"{part.place} has {what} of {value}, and the chip's field holds {low} to {high}{steps}: train it within "
            "that"
        )


def _biases(part: Part, outputs: int, rules: IntegerRules, notes: Notes) -> IntBias:
    """Those of all outputs; the file has them in units of 2**6."""
    stored = part.fields.integers("bias").reshape(-1) if part.fields.has("bias") else np.zeros(1, np.int32)
    if len(stored) not in (1, outputs):
        raise part.fields.error(f"has {len(stored)} biases for {outputs} channels or features: {AGAIN}")
    stated = part.fields.attribute("bias_exp", int)
    exponent = BIAS_EXPONENT if stated is None else int(stated)
    if not 0 <= exponent <= rules.bias_exponent_max:
        raise part.fields.error(f"states a bias exponent of {exponent}, not 0 to {rules.bias_exponent_max}: {AGAIN}")
    units = stored.astype(np.int64) << BIAS_EXPONENT
    mantissas = units >> exponent
    if (mantissas << exponent != units).any():
        raise part.fields.error(f"has biases that are no multiples of the unit 2**{exponent} it states: {AGAIN}")
    low, high = signed_range(rules.bias_bits)
    beyond = int(((mantissas < low) | (mantissas > high)).sum())
    if beyond:
        notes.problems.append(
            f"{part.place} has {beyond} biases outside of {low} to {high}, which is what the chip's field holds: train "
            "it within that"
        )
        mantissas = np.clip(mantissas, low, high)
    return IntBias(frozen_array(np.broadcast_to(mantissas, outputs), np.int32), exponent)
