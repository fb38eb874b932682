"""Recording the spikes and states of neurons."""

# mypy: disable-error-code="misc, untyped-decorator, no-any-return"

import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, RefPort
from lava.magma.core.process.process import AbstractProcess, LogConfig
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


@dataclass(frozen=True)
class Schedule:
    """When a layer computes which step of which sample.

    key: its name in the record. first: chip step, counted from 1, at which it computes the first step of the first
    sample; then all steps of all samples follow.
    """

    key: str
    first: int
    steps: int
    samples: int

    @property
    def last(self) -> int:
        return self.first + self.steps * self.samples - 1

    def computes(self, chip_step: int) -> bool:
        return self.first <= chip_step <= self.last

    def ends_sample(self, chip_step: int) -> bool:
        return self.computes(chip_step) and (chip_step - self.first + 1) % self.steps == 0


class Recorder:
    """Spikes of every step, and v at the end of each sample, or u and v of every step."""

    def __init__(self, every_step: bool) -> None:
        self.every_step = every_step
        self.kept: dict[str, list[npt.NDArray[Any]]] = defaultdict(list)

    def wants_state(self, layer: Schedule, chip_step: int) -> bool:
        return layer.computes(chip_step) if self.every_step else layer.ends_sample(chip_step)

    def keep(self, layer: Schedule, what: str, values: npt.NDArray[Any]) -> None:
        """what: "spikes", "u" or "v"."""
        self.kept[f"{layer.key}-{what}"].append(values.astype(bool if what == "spikes" else np.int32))

    def save(self, file: Path) -> None:
        np.savez(file, **{key: np.stack(values) for key, values in self.kept.items()})


class Tap(AbstractProcess):
    """Sees the spikes and reads u and v of some neurons, and saves their record after the last step."""

    def __init__(self, *, watched: list[tuple[Any, Schedule]], every_step: bool, file: Path) -> None:
        super().__init__(
            schedules=[schedule for _, schedule in watched],
            every_step=every_step,
            file=file,
            log_config=LogConfig(level=logging.INFO),  # Lava reports exceptions of its processes only at this level
        )
        for index, (neurons, _) in enumerate(watched):
            spikes = InPort(shape=neurons.s_out.shape)
            setattr(self, f"spikes{index}", spikes)
            neurons.s_out.connect(spikes)
            for state in "uv" if every_step else "v":
                port = RefPort(shape=neurons.v.shape)
                setattr(self, f"{state}{index}", port)
                port.connect_var(getattr(neurons, state))


class TapModel(PyLoihiProcessModel):
    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.schedules: list[Schedule] = proc_params["schedules"]
        self.recorder = Recorder(proc_params["every_step"])

    def run_spk(self) -> None:
        for index, layer in enumerate(self.schedules):
            spikes = getattr(self, f"spikes{index}").recv()
            if layer.computes(self.time_step):
                self.recorder.keep(layer, "spikes", spikes)

    def post_guard(self) -> bool:
        return any(self.recorder.wants_state(layer, self.time_step) for layer in self.schedules)

    def run_post_mgmt(self) -> None:
        for index, layer in enumerate(self.schedules):
            if self.recorder.wants_state(layer, self.time_step):
                for state in "uv" if self.recorder.every_step else "v":
                    self.recorder.keep(layer, state, getattr(self, f"{state}{index}").read())
        if self.time_step == max(layer.last for layer in self.schedules):
            self.recorder.save(self.proc_params["file"])


def tap_model(watched: int, every_step: bool) -> type[TapModel]:
    """A process model with ports for `watched` layers; Lava needs them as attributes of the class."""
    ports = {}
    for index in range(watched):
        ports[f"spikes{index}"] = LavaPyType(PyInPort.VEC_DENSE, np.int32)
        for state in "uv" if every_step else "v":
            ports[f"{state}{index}"] = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    return implements(proc=Tap, protocol=LoihiProtocol)(requires(CPU)(type("PyTap", (TapModel,), ports)))
