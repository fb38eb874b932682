"""Load netx files with lava-dl and run them, in a process of its own.

    python run_netx.py <folder>

The folder holds a job.json, a list of {"net": file, "bits": of the input, "unit": of its values}, and for each file
stream-<number>.npy, [samples, steps, *input shape]. Input neurons are driven by their bias, as the loader's `transform`
says. Added is recorded-<number>.npz: for each layer "spikes-<layer>" [samples * steps, x, y,
channel] and "voltages-<layer>" [samples, x, y, channel], those after the last step of each sample.
"""

# Importing neuroprune's worker makes Lava importable; netx itself wants torchvision for what it does not need.
import json
import logging
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

import neuroprune.simulation.lava_worker  # noqa: F401

sys.modules["lava.lib.dl.slayer.object_detection"] = types.ModuleType("object_detection")

from lava.lib.dl.netx import hdf5  # noqa: E402
from lava.lib.dl.netx.blocks.process import Input  # noqa: E402
from lava.magma.core.decorator import implements, requires  # noqa: E402
from lava.magma.core.model.py.model import PyLoihiProcessModel  # noqa: E402
from lava.magma.core.model.py.ports import PyInPort, PyRefPort  # noqa: E402
from lava.magma.core.model.py.type import LavaPyType  # noqa: E402
from lava.magma.core.process.ports.ports import InPort, RefPort  # noqa: E402
from lava.magma.core.process.process import AbstractProcess, LogConfig  # noqa: E402
from lava.magma.core.resources import CPU  # noqa: E402
from lava.magma.core.run_conditions import RunSteps  # noqa: E402
from lava.magma.core.run_configs import Loihi2SimCfg  # noqa: E402
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol  # noqa: E402
from lava.proc.io.source import RingBuffer  # noqa: E402


class Watch(AbstractProcess):
    """Keeps what neurons do from chip step `first` on, in files of their own until the run is over."""

    def __init__(self, *, neurons: Any, first: int, steps: int, samples: int, file: str) -> None:
        log = LogConfig(level=logging.INFO)
        super().__init__(first=first, steps=steps, samples=samples, file=file, log_config=log)
        self.spikes = InPort(shape=neurons.s_out.shape)
        self.voltage = RefPort(shape=neurons.v.shape)
        neurons.s_out.connect(self.spikes)
        self.voltage.connect_var(neurons.v)


@implements(proc=Watch, protocol=LoihiProtocol)
@requires(CPU)
class PyWatch(PyLoihiProcessModel):
    spikes: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    voltage: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.steps, self.samples = proc_params["steps"], proc_params["samples"]
        self.seen: list[Any] = []
        self.left: list[Any] = []

    def run_spk(self) -> None:
        arrived = self.spikes.recv()
        if 0 <= self.time_step - self.proc_params["first"] < self.samples * self.steps:
            self.seen.append(arrived.astype(bool))

    def post_guard(self) -> bool:
        return len(self.seen) == self.steps * (len(self.left) + 1)

    def run_post_mgmt(self) -> None:
        self.left.append(self.voltage.read().astype(np.int32))
        if len(self.left) == self.samples:
            np.savez(self.proc_params["file"], spikes=np.stack(self.seen), voltages=np.stack(self.left))


class Drive(AbstractProcess):
    """Writes what each step brings to the bias of neurons, to be added in the next."""

    def __init__(self, *, neurons: Any, drive: Any) -> None:
        super().__init__(drive=drive)
        self.bias = RefPort(shape=neurons.bias_mant.shape)
        self.bias.connect_var(neurons.bias_mant)


@implements(proc=Drive, protocol=LoihiProtocol)
@requires(CPU)
class PyDrive(PyLoihiProcessModel):
    bias: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.drive = proc_params["drive"]

    def post_guard(self) -> bool:
        return bool(self.time_step <= len(self.drive))

    def run_post_mgmt(self) -> None:
        self.bias.write(self.drive[self.time_step - 1])
        self.bias.wait()  # else Lava may set it a step later


def run(net: Path, bits: int, unit: float, stream: Any, folder: Path) -> dict[str, Any]:
    samples, steps, *shape = stream.shape
    network = hdf5.Network(
        str(net), input_message_bits=bits, reset_interval=steps, reset_offset=1, input_shape=tuple(shape[::-1])
    )
    steady = stream.reshape(samples * steps, *shape).astype(np.int32)
    flat = steady.transpose() if len(network.inp.shape) == 3 else steady.reshape(len(steady), -1).transpose()
    if isinstance(network.in_layer, Input):
        transform = network.in_layer.transform
        drive = np.rint(transform["weight"] * unit * np.moveaxis(flat, -1, 0)) + transform["bias"]
        Drive(neurons=network.in_layer.neuron, drive=drive.astype(np.int32))
    else:
        source = RingBuffer(data=np.concatenate([flat, np.zeros_like(flat)], axis=-1))
        source.s_out.connect(network.inp)
    files = [str(folder / f"watched-{index}.npz") for index in range(len(network.layers))]
    for index, (layer, file) in enumerate(zip(network.layers, files, strict=True)):
        Watch(neurons=layer.neuron, first=index + 2, steps=steps, samples=samples, file=file)
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={Watch: PyWatch, Drive: PyDrive})
    network.run(condition=RunSteps(samples * steps + len(files)), run_cfg=config)
    network.stop()
    loaded = [np.load(file) for file in files]
    return {f"{kind}-{index}": each[kind] for index, each in enumerate(loaded) for kind in each.files}


def main(folder: Path) -> None:
    for number, job in enumerate(json.loads((folder / "job.json").read_text())):
        stream = np.load(folder / f"stream-{number}.npy")
        np.savez(folder / f"recorded-{number}.npz", **run(Path(job["net"]), job["bits"], job["unit"], stream, folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
