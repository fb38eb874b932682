"""Runs an integer program in Lava. A script of its own, copied beside its job and started there.

    python lava_worker.py <job folder>

It needs numpy and lava-nc only, so that an interpreter without neuroprune can run it. The folder holds program.json
and arrays.npz, as neuroprune/simulate/lava.py writes them; spikes-<layer>.npy and voltages-<layer>.npy are added.
Exit code 3 says that Lava cannot be imported, 1 that it failed; the output has the reason.
"""

# mypy: disable-error-code="misc, untyped-decorator, no-any-return"

import dataclasses
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

NO_LAVA = 3


def import_var_model() -> None:
    """Import the one module of Lava 0.10 that Python 3.11 and later refuse.

    lava/magma/compiler/var_model.py has an instance of an unhashable dataclass as the default of a field ("mutable
    default"). While it is imported, and only then, such classes get the hash of plain objects.
    """
    original = dataclasses.dataclass

    def hashable(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(cls: type) -> Any:
            made: Any = original(cls, **options)
            if made.__hash__ is None:
                made.__hash__ = object.__hash__
            return made

        return decorate if cls is None else decorate(cls)

    dataclasses.dataclass = hashable
    try:
        import lava.magma.compiler.var_model  # noqa: F401
    finally:
        dataclasses.dataclass = original


try:
    import numpy as np
    import numpy.typing as npt

    import_var_model()
    from lava.magma.core.decorator import implements, requires
    from lava.magma.core.model.py.model import PyLoihiProcessModel
    from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
    from lava.magma.core.process.process import AbstractProcess, LogConfig
    from lava.magma.core.resources import CPU
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import Dense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.models import PyLifResetModelBitAcc
    from lava.proc.lif.process import LIFReset
    from lava.utils.weightutils import SignMode
except ImportError:
    traceback.print_exc()
    sys.exit(NO_LAVA)


class Tap(AbstractProcess):
    """Writes down the spikes of a layer, and its voltages after the last step of each sample, and saves both.

    first: chip step (counted from 1) at which the layer computes the first step of the first sample.
    """

    def __init__(
        self, *, neurons: Any, first: int, steps: int, samples: int, spikes_file: str, voltages_file: str
    ) -> None:
        super().__init__(
            first=first,
            steps=steps,
            samples=samples,
            spikes_file=spikes_file,
            voltages_file=voltages_file,
            log_config=LogConfig(level=logging.INFO),  # of an exception in its processes Lava tells only at this level
        )
        self.spikes = InPort(shape=neurons.s_out.shape)
        self.voltage = RefPort(shape=neurons.v.shape)
        neurons.s_out.connect(self.spikes)
        self.voltage.connect_var(neurons.v)


@implements(proc=Tap, protocol=LoihiProtocol)
@requires(CPU)
class PyTap(PyLoihiProcessModel):
    spikes: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    voltage: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.steps, self.samples = proc_params["steps"], proc_params["samples"]
        self.seen: list[npt.NDArray[Any]] = []
        self.left: list[npt.NDArray[Any]] = []

    def run_spk(self) -> None:
        arrived = self.spikes.recv()
        if 0 <= self.time_step - self.proc_params["first"] < self.samples * self.steps:
            self.seen.append(arrived.astype(bool))

    def post_guard(self) -> bool:
        return len(self.seen) == self.steps * (len(self.left) + 1)

    def run_post_mgmt(self) -> None:
        self.left.append(self.voltage.read().astype(np.int32))
        if len(self.left) == self.samples:
            np.save(self.proc_params["spikes_file"], np.stack(self.seen))
            np.save(self.proc_params["voltages_file"], np.stack(self.left))


class DelayLine(AbstractProcess):
    """Hands spikes on `wait` steps later: the synaptic delay that stock Lava has for dense synapses only."""

    def __init__(self, *, shape: tuple[int, ...], wait: int) -> None:
        super().__init__(shape=shape, wait=wait)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
class PyDelayLine(PyLoihiProcessModel):
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.line = [np.zeros(proc_params["shape"], np.int32)] * proc_params["wait"]

    def run_spk(self) -> None:
        self.s_out.send(self.line.pop(0))
        self.line.append(self.s_in.recv())


class SubtractingLIFReset(LIFReset):
    """Neurons that keep what exceeds the threshold: Lava's own model in all but what a spike does to v."""


class PySubtractingLIFReset(PyLifResetModelBitAcc):
    def reset_voltage(self, spike_vector: npt.NDArray[Any]) -> None:
        self.v[spike_vector] -= self.effective_vth


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
    kind = SubtractingLIFReset if layer["reset"] == "subtract" else LIFReset
    return kind(
        shape=shape,
        du=layer["decay_u"],
        dv=layer["decay_v"],
        vth=layer["vth"],
        bias_mant=np.broadcast_to(bias_mant, shape).astype(np.int32),
        bias_exp=layer["bias_exp"],
        reset_interval=steps,
        reset_offset=first,
    )


def connect(source: Any, wait: int, synapse: Any, neurons: Any) -> None:
    """Layers with channels feed a dense one in the order (channel, y, x)."""
    if wait:
        line = DelayLine(shape=source.shape, wait=wait)
        source.connect(line.s_in)
        source = line.s_out
    if len(synapse.s_in.shape) == 1 and len(source.shape) == 3:
        source = source.transpose([2, 1, 0]).flatten()
    source.connect(synapse.s_in)
    synapse.a_out.connect(neurons.a_in)


def run(folder: Path) -> None:
    """Stream all samples back to back through the pipeline; layers of depth l are l steps behind the input."""
    program = json.loads((folder / "program.json").read_text())
    arrays = np.load(folder / "arrays.npz", allow_pickle=False)
    samples, steps = program["samples"], program["steps"]
    stream = arrays["stream"].astype(np.int32).transpose()  # [x, y, channel, step]
    outputs = {"input": RingBuffer(data=np.concatenate([stream, np.zeros_like(stream)], axis=-1)).s_out}
    taps = []
    for index, layer in enumerate(program["layers"]):
        first = layer["depth"] + 1
        neurons = make_neurons(layer, arrays[f"bias-{index}"], steps, first)
        for number, connection in enumerate(layer["connections"]):
            synapse = make_synapse(connection, arrays[f"weight-{index}-{number}"])
            connect(outputs[connection["source"]], connection["wait"], synapse, neurons)
        outputs[layer["name"]] = neurons.s_out
        taps.append(
            Tap(
                neurons=neurons,
                first=first,
                steps=steps,
                samples=samples,
                spikes_file=str(folder / f"spikes-{index}.npy"),
                voltages_file=str(folder / f"voltages-{index}.npy"),
            )
        )
    last = max(layer["depth"] for layer in program["layers"]) + samples * steps
    # Models named here are not searched for in the folder of this file.
    models = {Tap: PyTap, DelayLine: PyDelayLine, SubtractingLIFReset: PySubtractingLIFReset}
    taps[-1].run(condition=RunSteps(last), run_cfg=Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models))
    taps[-1].stop()


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    try:
        run(Path(sys.argv[1]))
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # after an exception in one of Lava's processes neither stop() nor a normal exit comes to an end
