"""Two ways to run networks: in Lava's runtime, or all in one process."""

# mypy: disable-error-code="misc"

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.compiler.compiler import Compiler
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.runtime.message_infrastructure.message_infrastructure_interface import MessageInfrastructureInterface
from lava.magma.runtime.runtime import ActorType, Runtime

from .network import Network
from .record import Recorder, Schedule, Tap, tap_model

CHANNEL_SIZE = 4
"""Messages that one of Lava's channels holds; Lava's 64 are gigabytes of shared memory for large networks."""

PATIENCE_S = 600
"""Seconds that a process of a loop waits for another; what is not in a loop never waits."""


def configuration(models: dict[Any, Any]) -> Loihi2SimCfg:
    """Every process with its model: where one is left out, Lava executes all files beside the process to find it."""
    return Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)


def run_in_runtime(networks: list[Network], every_step: bool, file: Path) -> None:
    """All networks side by side in one runtime of Lava, which makes an operating system's process of each process."""
    watched = [each for network in networks for each in network.watched]
    tap = Tap(watched=watched, every_step=every_step, file=file)
    models = {process: model for network in networks for process, model in network.models.items()}
    models[tap] = tap_model(len(watched), every_step)
    last = max(schedule.last for _, schedule in watched)
    tap.run(RunSteps(last), configuration(models), {"pypy_channel_size": CHANNEL_SIZE})
    tap.stop()


def run_in_one_process(networks: list[Network], every_step: bool, file: Path) -> None:
    """One network after the other, process by process over all steps, and those of a loop each in a thread.

    Lava compiles the network, lays out the channels, makes the process models with their variables and ports, and all
    that is computed is what their run_spk does. Not Lava's are the queues within its ports, in place of shared memory,
    and the loop over the processes, in place of its runtime service.
    """
    recorder = Recorder(every_step)
    for network in networks:
        models = compile_in_one_process(network)
        schedules = dict(network.watched)
        last = max(schedule.last for schedule in schedules.values())
        loop_of = {process: loop for loop in network.loops for process in loop}
        for process in models:
            together = loop_of.get(process, [process])
            if process is not together[0]:
                continue
            works = [
                partial(_run_process, models[each], schedules.get(each), last, every_step, recorder)
                for each in together
            ]
            if len(works) == 1:
                works[0]()
                continue
            with ThreadPoolExecutor(len(works)) as threads:
                for running in [threads.submit(work) for work in works]:
                    running.result()
    recorder.save(file)


def _run_process(model: Any, schedule: Schedule | None, last: int, every_step: bool, recorder: Recorder) -> None:
    """All chip steps of one process; the recorder keeps what its neurons do."""
    seen = Queue()
    if schedule is not None:
        model.s_out.csp_ports.append(seen)
    for chip_step in range(1, last + 1):
        model.time_step = chip_step
        model.run_spk()
        if schedule is None:
            continue
        spikes = seen.recv()
        if schedule.computes(chip_step):
            recorder.keep(schedule, "spikes", spikes)
        if recorder.wants_state(schedule, chip_step):
            for state in "uv" if every_step else "v":
                recorder.keep(schedule, state, getattr(model, state))


def compile_in_one_process(network: Network) -> dict[Any, Any]:
    """The process model of each process, ready to run, in the order of the network."""
    executable = Compiler().compile(next(iter(network.models)), configuration(network.models))
    runtime = Runtime(executable, ActorType.MultiProcessing)
    runtime._build_watchdog_manager()
    runtime._messaging_infrastructure = InOneProcess()
    runtime._build_channels()
    return {process: executable.proc_builders[process].build() for process in network.models}


class Queue:
    """Both ends of a channel; a receiver waits for a sender in another thread."""

    def __init__(self, name: str = "", shape: tuple[int, ...] | None = None, dtype: Any = None) -> None:
        self.name, self.shape, self.dtype = name, shape, dtype
        self.messages: SimpleQueue[npt.NDArray[Any]] = SimpleQueue()

    def send(self, message: npt.NDArray[Any]) -> None:
        assert self.shape in (None, message.shape)
        self.messages.put(np.array(message, self.dtype))

    def recv(self) -> npt.NDArray[Any]:
        return self.messages.get(timeout=PATIENCE_S)


class QueueChannel:
    """Lava's PyPyChannel without shared memory."""

    def __init__(self, _: Any, source: str, target: str, shape: tuple[int, ...], dtype: Any, *others: Any) -> None:
        self.src_port = Queue(source, shape, dtype)
        self.dst_port = Queue(target, shape, dtype)
        self.dst_port.messages = self.src_port.messages


class InOneProcess(MessageInfrastructureInterface):
    """Only channels: nothing is started."""

    actors = ()

    def start(self) -> None:
        raise NotImplementedError

    stop = build_actor = start

    def channel_class(self, channel_type: Any) -> type[QueueChannel]:
        return QueueChannel
