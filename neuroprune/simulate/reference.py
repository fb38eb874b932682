"""The oracle: Lava 0.10's fixed-point rules written down as plainly as their equations.

Slow on purpose. Neurons are computed one by one in Python integers, which cannot overflow, synapses as int64 sums.
It shares nothing with the engine but the types.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.quantize.types import IntConv, IntDense, IntNeuron, QuantGraph, QuantLayer
from neuroprune.simulate.frames import check_frames
from neuroprune.simulate.types import LayerRecord, LayerTrace, Record, Trace

HALF = 2**23
"""u and v are registers of 24 bits with sign (lava/proc/lif/models.py, max_uv_val)."""


@dataclass(frozen=True)
class NeuronState:
    """One neuron after one step; `wrapped` and `saturated` say whether u or v left its 24 bits in that step."""

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


def step(state: NeuronState, current: int, neuron: IntNeuron, bias_mant: int) -> NeuronState:
    """One neuron, one time step: lava/proc/lif/models.py, AbstractPyLifModelFixed.subthr_dynamics.

    u = decay(u) + current * 64 in an int32, then wrapped once into (-2**23, 2**23];
    v = decay(v) + u + bias, saturating at +-(2**23 - 1); a spike where v > vth * 64, and then v = 0.
    """
    unlimited = decay(state.u, 4096 - (neuron.decay_u + 1)) + current * 64
    wrapped = not -HALF < unlimited <= HALF
    u = wrap(unlimited, 32)
    if u > HALF:
        u -= 2 * HALF
    elif u <= -HALF:
        u += 2 * HALF
    bias = bias_mant << neuron.bias_exp if neuron.bias_exp >= 0 else bias_mant >> -neuron.bias_exp
    unlimited = decay(state.v, 4096 - neuron.decay_v) + u + bias
    v = max(-(HALF - 1), min(HALF - 1, unlimited))
    spike = v > neuron.vth * 64
    return NeuronState(u, 0 if spike else v, spike, wrapped, v != unlimited)


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


def synaptic_current(synapse: IntConv | IntDense, spikes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """What the synapses send on, and how many sums wrapped: a convolution's do at 24 bits (proc/conv/models.py)."""
    if isinstance(synapse, IntDense):
        return synapse.weight.astype(np.int64) @ spikes.reshape(-1), 0
    sums = convolve(synapse, spikes)
    wrapped = np.vectorize(wrap, otypes=[np.int64])(sums, 24)
    return wrapped, int(np.count_nonzero(wrapped != sums))


def run_layer(
    layer: QuantLayer, inputs: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int, int]:
    """One sample through one layer: inputs [steps, *in_shape] -> spikes [steps, *shape], last v, wraps, saturations."""
    biases = np.repeat(layer.neuron.bias_mant, np.prod(layer.shape[1:], dtype=int)).tolist()
    states = [NeuronState(0, 0)] * len(biases)
    spikes = []
    wraps = saturations = 0
    for frame in inputs:
        currents, wrapped_sums = synaptic_current(layer.synapse, frame)
        states = [
            step(state, current, layer.neuron, bias)
            for state, current, bias in zip(states, currents.reshape(-1).tolist(), biases, strict=True)
        ]
        spikes.append([state.spike for state in states])
        wraps += wrapped_sums + sum(state.wrapped for state in states)
        saturations += sum(state.saturated for state in states)
    voltages = np.array([state.v for state in states], np.int64).reshape(layer.shape)
    return np.array(spikes, np.int64).reshape(-1, *layer.shape), voltages, wraps, saturations


def run_reference(graph: QuantGraph, frames: npt.NDArray[np.int8]) -> tuple[Record, Trace]:
    """Every spike, voltage and overflow of `frames` int8 [samples, *input shape]. Raises InputError otherwise."""
    check_frames(graph, frames)
    results = []
    for frame in frames:
        outputs = {"input": np.stack([frame.astype(np.int64)] * graph.steps)}
        sample = []
        for layer in graph.layers:
            sample.append(run_layer(layer, outputs[layer.source]))
            outputs[layer.name] = sample[-1][0]
        results.append(sample)
    records, traces = [], []
    for layer, runs in zip(graph.layers, zip(*results, strict=True), strict=True):
        spikes = np.stack([run[0] for run in runs])
        records.append(
            LayerRecord(layer.name, spikes.astype(bool), np.stack([run[1] for run in runs]).astype(np.int32))
        )
        traces.append(
            LayerTrace(layer.name, spikes.sum(axis=(0, 1)), sum(run[2] for run in runs), sum(run[3] for run in runs))
        )
    counts = records[-1].spikes.sum(axis=1, dtype=np.int64).reshape(len(frames), -1)
    events = np.count_nonzero(frames, axis=0).astype(np.int64) * graph.steps
    return Record(tuple(records)), Trace(len(frames), graph.steps, counts, events, 0, tuple(traces))


def reference_record(graph: QuantGraph, frames: npt.NDArray[np.int8]) -> Record:
    """Every spike and the last voltages of `frames` int8 [samples, *input shape]. Raises InputError otherwise."""
    return run_reference(graph, frames)[0]
