"""The oracle: Lava 0.10's fixed-point rules written down as plainly as their equations.

Slow on purpose. Neurons are computed one by one in Python integers, which cannot overflow, synapses as int64 sums.
It shares nothing with the engine but the types.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import InputSpikes
from neuroprune.errors import InputError
from neuroprune.graph.nodes import INPUT
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.frames import check_frames, count_events
from neuroprune.program.types import IntConv, IntDense, IntLayer, IntProgram, IntSynapse
from neuroprune.simulation.types import LayerRecord, LayerTrace, Record, Trace

Integers = npt.NDArray[np.int64]

LAVA_BITS = 24
"""Of Lava's registers u and v, with sign (lava/proc/lif/models.py, max_uv_val)."""


@dataclass(frozen=True)
class NeuronState:
    """One neuron after one step; `wrapped` and `saturated` say whether u or v left its bits in that step."""

    u: int
    v: int
    spike: bool = False
    wrapped: bool = False
    saturated: bool = False


def decay(value: int, keep: int) -> int:
    """value * keep / 4096, rounded toward zero."""
    size = abs(value) * keep >> 12
    return size if value >= 0 else -size


def wrap(value: int, bits: int) -> int:
    """What a signed register of `bits` makes of a larger value."""
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def step(state: NeuronState, current: int, neuron: IntCubaLif, bias_mant: int, bias_exp: int) -> NeuronState:
    """One neuron, one time step: lava/proc/lif/models.py, AbstractPyLifModelFixed.subthr_dynamics.

    u = decay(u) + current * 64 in an int32, then wrapped once into (-2**23, 2**23];
    v = decay(v) + u + bias, saturating at +-(2**23 - 1); a spike where v > vth * 64, and then v = 0 or v - vth * 64.
    Narrower registers, which Lava has not, differ in their ends, and u wraps as often as it takes.
    """
    half = 2 ** (neuron.state_bits - 1)
    unlimited = decay(state.u, 4096 - (neuron.decay_u + 1)) + current * 64
    wrapped = not -half < unlimited <= half
    u = wrap(unlimited, 32)
    if neuron.state_bits < LAVA_BITS:
        u = -wrap(-u, neuron.state_bits)
    elif u > half:
        u -= 2 * half
    elif u <= -half:
        u += 2 * half
    bias = bias_mant << bias_exp if bias_exp >= 0 else bias_mant >> -bias_exp
    unlimited = decay(state.v, 4096 - neuron.decay_v) + u + bias
    v = max(-(half - 1), min(half - 1, unlimited))
    spike = v > neuron.vth * 64
    after = v - neuron.vth * 64 if neuron.reset == "subtract" else 0
    return NeuronState(u, after if spike else v, spike, wrapped, v != unlimited)


def convolve(synapse: IntConv, spikes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """[channels, height, width] -> [out channels, height, width], torch's cross-correlation with zero padding."""
    (sy, sx), (py, px), (dy, dx) = synapse.stride, synapse.padding, synapse.dilation
    weight = synapse.weight.astype(np.int64)
    outputs, group_inputs, ky, kx = weight.shape
    padded = np.pad(spikes, ((0, 0), (py, py), (px, px)))
    height = (padded.shape[1] - dy * (ky - 1) - 1) // sy + 1
    width = (padded.shape[2] - dx * (kx - 1) - 1) // sx + 1
    result = np.zeros((outputs, height, width), np.int64)
    for output in range(outputs):
        first = output // (outputs // synapse.groups) * group_inputs
        for y in range(height):
            for x in range(width):
                window = padded[first : first + group_inputs, y * sy :: dy, x * sx :: dx][:, :ky, :kx]
                result[output, y, x] = np.sum(weight[output] * window)
    return result


def synaptic_current(synapse: IntSynapse, spikes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """What the synapses deliver, and how many sums wrapped: a convolution's do at 24 bits (proc/conv/models.py)."""
    if isinstance(synapse, IntDense):
        return synapse.weight.astype(np.int64) @ spikes.reshape(-1), 0
    sums = convolve(synapse, spikes)
    wrapped = np.vectorize(wrap, otypes=[np.int64])(sums, 24)
    return wrapped, int(np.count_nonzero(wrapped != sums))


def delayed(spikes: npt.NDArray[np.int64], delay: int) -> npt.NDArray[np.int64]:
    """[steps, ...] shifted to later steps; what arrives after the last one is lost."""
    shifted: Integers = np.concatenate([np.zeros_like(spikes[:delay]), spikes])[: len(spikes)]
    return shifted


def total_current(
    layer: IntLayer, outputs: dict[str, npt.NDArray[np.int64]], step: int
) -> tuple[npt.NDArray[np.int64], int]:
    """What all connections deliver at `step`, flat, and how many sums wrapped; outputs [steps, *shape] by layer."""
    total, wraps = np.zeros(int(np.prod(layer.shape)), np.int64), 0
    for connection in layer.connections:
        current, wrapped = synaptic_current(
            connection.synapse, delayed(outputs[connection.source], connection.delay)[step]
        )
        total, wraps = total + current.reshape(-1), wraps + wrapped
    return total, wraps


def run_layer(
    layer: IntLayer, outputs: dict[str, npt.NDArray[np.int64]], steps: int
) -> tuple[list[list[NeuronState]], int]:
    """One sample through one layer: the states of its neurons after each step, and how many sums wrapped."""
    biases = np.repeat(layer.bias.mantissa, np.prod(layer.shape[1:], dtype=int)).tolist()
    if not isinstance(layer.neuron, IntCubaLif):
        raise InputError(
            f"layer {layer.name} has {type(layer.neuron).__name__} neurons, whose rules the reference does not know: "
            "compare it with a loop of your own"
        )
    states = [[NeuronState(0, 0)] * len(biases)]
    wraps = 0
    fired = np.zeros((steps, *layer.shape), np.int64)
    for now in range(steps):
        currents, wrapped = total_current(layer, outputs | {layer.name: fired}, now)
        states.append(
            [
                step(state, current, layer.neuron, bias, layer.bias.exponent)
                for state, current, bias in zip(states[-1], currents.tolist(), biases, strict=True)
            ]
        )
        fired[now] = np.reshape([state.spike for state in states[-1]], layer.shape)
        wraps += wrapped
    return states[1:], wraps


def run_reference(program: IntProgram, frames: InputSpikes) -> tuple[Record, Trace]:
    """Every u, v, spike and overflow of a few samples, by Lava's rules in plain Python integers; slow.

    frames: int8 [samples, *input shape], or [samples, steps, *input shape] of sequences.
    Raises InputError for frames of another type, shape or range, and for neurons other than CUBA ones.

    >>> import torch
    >>> from neuroprune import (
    ...     build, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, quantize_input,
    ...     reestimate_batchnorm, run_reference, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> spikes, clipped = quantize_input(program.input, frames[:1])
    >>> expected, activity = run_reference(program, spikes)
    >>> expected.layers[-1].u.shape, activity.outputs.shape
    ((1, 4, 10), (1, 10))
    """
    check_frames(program, frames)
    samples: list[dict[str, list[list[NeuronState]]]] = []
    sum_wraps = dict.fromkeys((layer.name for layer in program.layers), 0)
    for frame in frames.astype(np.int64):
        outputs = {INPUT: frame if program.input.sequence else np.stack([frame] * program.steps)}
        samples.append({})
        for layer in program.layers:
            samples[-1][layer.name], wraps = run_layer(layer, outputs, program.steps)
            sum_wraps[layer.name] += wraps
            fired = [[state.spike for state in states] for states in samples[-1][layer.name]]
            outputs[layer.name] = np.array(fired, np.int64).reshape(-1, *layer.shape)
    records, traces = [], []
    for layer in program.layers:
        runs = [sample[layer.name] for sample in samples]
        shape = (len(frames), program.steps, *layer.shape)
        u, v, spikes, wrapped, saturated = (
            np.array(
                [[[getattr(state, field) for state in states] for states in run] for run in runs], np.int64
            ).reshape(shape)
            for field in ("u", "v", "spike", "wrapped", "saturated")
        )
        records.append(
            LayerRecord(
                layer.name, spikes.astype(bool), v[:, -1].astype(np.int32), u.astype(np.int32), v.astype(np.int32)
            )
        )
        wraps = sum_wraps[layer.name] + int(wrapped.sum())
        traces.append(LayerTrace(layer.name, spikes.sum(axis=(0, 1)), wraps, int(saturated.sum())))
    last = records[-1]
    final = last.voltages if program.readout.of == "voltage" else last.spikes.sum(axis=1)
    results = final.astype(np.int64).reshape(len(frames), -1)
    events = count_events(program, frames)
    return Record(tuple(records)), Trace(len(frames), program.steps, results, events, 0, tuple(traces))


def reference_record(program: IntProgram, frames: InputSpikes) -> Record:
    """The record of `run_reference` alone."""
    return run_reference(program, frames)[0]
