"""From the description of an integer program to Lava's processes."""

# mypy: disable-error-code="misc"

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.dense.models import PyDenseModelBitAcc
from lava.proc.dense.process import Dense
from lava.proc.io.source import PySendModelFixed, RingBuffer
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset
from lava.utils.weightutils import SignMode

from .processes import (
    DelayLine,
    PyDelayLine,
    PyMatrixConv,
    PyNarrowLIFReset,
    PyNarrowSubtractingLIFReset,
    PySubtractingLIFReset,
)
from .record import Schedule

LAVA_BITS = 24
"""Of u and v in Lava's process models (lava/proc/lif/models.py, uv_bitwidth)."""
CONV_MODELS = {"stock": PyConvModelFixed, "fast": PyMatrixConv}
NEURON_MODELS = {"zero": PyLifResetModelBitAcc, "subtract": PySubtractingLIFReset}
NARROW_MODELS = {"zero": PyNarrowLIFReset, "subtract": PyNarrowSubtractingLIFReset}
"""For registers of fewer bits than Lava's."""


class Network:
    """Samples are streamed back to back through the pipeline; layers of depth l compute l steps after the input.

    models: the process model of each process, ordered so that every process comes after those that send to it.
    loops: processes that send to each other, since neurons read themselves; in that order, too.
    watched: the neurons of each layer, and when they compute.
    """

    def __init__(self, program: dict[str, Any], arrays: Mapping[str, npt.NDArray[Any]], key: str, models: str) -> None:
        """key: of the program among the arrays. models: "stock" or "fast" convolutions."""
        self.samples, self.steps = program["samples"], program["steps"]
        self.depth = {"input": 0} | {layer["name"]: layer["depth"] for layer in program["layers"]}
        self.conv_model = CONV_MODELS[models]
        self.models: dict[Any, Any] = {}
        self.loops: list[list[Any]] = []
        self.watched: list[tuple[Any, Schedule]] = []
        stream = arrays[f"{key}-stream"].astype(np.int32).transpose()  # [x, y, channel, step]
        silence = np.zeros((*stream.shape[:-1], max(self.depth.values())), np.int32)
        source = self.add(RingBuffer(data=np.concatenate([stream, silence], axis=-1)), PySendModelFixed)
        self.outputs = {"input": source.s_out}
        for index, layer in enumerate(program["layers"]):
            neurons = make_neurons(layer, arrays[f"{key}-{index}-bias"], self.steps, layer["depth"] + 1)
            self.outputs[layer["name"]] = neurons.s_out
            loop: list[Any] = []
            for number, connection in enumerate(layer["connections"]):
                made = self.connect(connection, arrays[f"{key}-{index}-weight-{number}"], neurons)
                loop += made if connection["source"] == layer["name"] else []
            narrow = layer["state_bits"] < LAVA_BITS
            self.add(neurons, (NARROW_MODELS if narrow else NEURON_MODELS)[layer["reset"]])
            if loop:
                self.loops.append([*loop, neurons])
            schedule = Schedule(f"{key}-{index}", layer["depth"] + 1, self.steps, self.samples)
            self.watched.append((neurons, schedule))

    def add(self, process: Any, model: Any) -> Any:
        self.models[process] = model
        return process

    def connect(self, connection: dict[str, Any], weight: npt.NDArray[Any], neurons: Any) -> list[Any]:
        """The processes between a source and `neurons`; channels feed a dense layer in the order (channel, y, x)."""
        source, made = self.outputs[connection["source"]], []
        if connection["wait"] or connection["delay"]:
            first = self.depth[connection["source"]] + 1
            line = DelayLine(
                shape=source.shape,
                wait=connection["wait"],
                delay=connection["delay"],
                first=first,
                steps=self.steps,
            )
            source.connect(self.add(line, PyDelayLine).s_in)
            source = line.s_out
            made.append(line)
        synapse = make_synapse(connection, weight)
        self.add(synapse, self.conv_model if connection["kind"] == "conv" else PyDenseModelBitAcc)
        if len(synapse.s_in.shape) == 1 and len(source.shape) == 3:
            source = source.transpose([2, 1, 0]).flatten()
        source.connect(synapse.s_in)
        synapse.a_out.connect(neurons.a_in)
        return [*made, synapse]


def reverse(values: list[int]) -> tuple[int, ...]:
    """Everything spatial is (x, y, channel) in Lava, (channel, y, x) in the program."""
    return tuple(values[::-1])


def make_synapse(connection: dict[str, Any], weight: npt.NDArray[Any]) -> Any:
    bits = connection["input_bits"]
    if connection["kind"] == "dense":
        return Dense(weights=weight, sign_mode=SignMode.MIXED, num_message_bits=bits)
    return Conv(
        weight=weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1),  # Lava's convolution is a true one, kernels flipped
        input_shape=reverse(connection["in_shape"]),
        stride=reverse(connection["stride"]),
        padding=reverse(connection["padding"]),
        dilation=reverse(connection["dilation"]),
        groups=connection["groups"],
        num_message_bits=bits,
    )


def make_neurons(layer: dict[str, Any], bias_mant: npt.NDArray[Any], steps: int, first: int) -> Any:
    """Neurons that restart at chip step `first` and every `steps` from there."""
    shape = reverse(layer["shape"])
    neurons = LIFReset(
        shape=shape,
        du=layer["decay_u"],
        dv=layer["decay_v"],
        vth=layer["vth"],
        bias_mant=np.broadcast_to(bias_mant, shape).astype(np.int32),
        bias_exp=layer["bias_exp"],
        reset_interval=steps,
        reset_offset=first,
    )
    neurons.proc_params["state_bits"] = layer["state_bits"]
    return neurons
