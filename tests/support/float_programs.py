"""Float programs made by hand: kinds of neurons and connections beyond plain chains."""

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.graph.float_program import (
    FloatConnection,
    FloatConv,
    FloatDense,
    FloatInput,
    FloatLayer,
    FloatProgram,
    FloatSynapse,
    verify_float_program,
)
from neuroprune.graph.nodes import Readout
from neuroprune.neurons.cuba_lif import CubaLif


def conv(
    rng: np.random.Generator, outputs: int, inputs: int, kernel: int = 3, gain: float = 2.0
) -> tuple[FloatConv, FloatArray]:
    """Synapses, and the bias that comes with them."""
    weight = rng.normal(0.0, gain / (inputs * kernel**2) ** 0.5, (outputs, inputs, kernel, kernel))
    return FloatConv(weight, padding=(kernel // 2, kernel // 2)), rng.normal(0.1, 0.1, outputs)


def dense(rng: np.random.Generator, outputs: int, inputs: int, gain: float = 2.0) -> tuple[FloatDense, FloatArray]:
    """Synapses, and the bias that comes with them."""
    return FloatDense(rng.normal(0.0, gain / inputs**0.5, (outputs, inputs))), rng.normal(0.1, 0.1, outputs)


def layer(
    name: str,
    neuron: CubaLif,
    shape: tuple[int, ...],
    **reads: tuple[str, tuple[int, ...], tuple[FloatSynapse, FloatArray]],
) -> FloatLayer:
    """reads: by the connection's name its source, the shape of that, synapses and bias."""
    connections = tuple(
        FloatConnection(connection, source, synapse, in_shape, delay=int(source == name))
        for connection, (source, in_shape, (synapse, _)) in reads.items()
    )
    bias = sum(bias for _, _, (_, bias) in reads.values())
    return FloatLayer(name, connections, neuron, np.asarray(bias), shape)


def residual_program(
    hidden: CubaLif,
    output: CubaLif | None = None,
    readout: Readout | None = None,
    sequence: bool = False,
    steps: int = 4,
) -> FloatProgram:
    """conv -> neurons "a" -> conv -> "b", which "a" reaches directly too -> dense -> "out"; input [2, 6, 6]."""
    rng = np.random.default_rng(0)
    frames, shape = (2, 6, 6), (4, 6, 6)
    layers = (
        layer("a", hidden, shape, conv1=("input", frames, conv(rng, 4, 2))),
        layer("b", hidden, shape, conv2=("a", shape, conv(rng, 4, 4)), shortcut=("a", shape, conv(rng, 4, 4, 1))),
        layer("out", output or hidden, (6,), fc=("b", shape, dense(rng, 6, 144))),
    )
    program = FloatProgram(FloatInput(frames, sequence), layers, steps, readout or Readout())
    verify_float_program(program)
    return program


def recurrent_program(
    hidden: CubaLif, output: CubaLif | None = None, readout: Readout | None = None, sequence: bool = False
) -> FloatProgram:
    """conv -> neurons "a", which read their neighbours -> dense -> "b", which reads itself -> dense -> "out"."""
    rng = np.random.default_rng(0)
    frames, shape = (2, 6, 6), (4, 6, 6)
    layers = (
        layer("a", hidden, shape, conv1=("input", frames, conv(rng, 4, 2)), around=("a", shape, conv(rng, 4, 4))),
        layer("b", hidden, (8,), fc1=("a", shape, dense(rng, 8, 144)), back=("b", (8,), dense(rng, 8, 8))),
        layer("out", output or hidden, (6,), fc2=("b", (8,), dense(rng, 6, 8))),
    )
    program = FloatProgram(FloatInput(frames, sequence), layers, 6, readout or Readout())
    verify_float_program(program)
    return program


def frames_for(program: FloatProgram, samples: int = 16) -> np.ndarray:
    """float32 frames, or sequences of spikes where the program reads those."""
    rng = np.random.default_rng(1)
    if program.input.sequence:
        return (rng.random((samples, program.steps, *program.input.shape)) < 0.4).astype(np.float32)
    return rng.normal(0.0, 1.0, (samples, *program.input.shape)).astype(np.float32)
