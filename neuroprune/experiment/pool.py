"""Processes on this machine that do jobs, each one job after the other; they are forks of one that has imported torch.

A process that dies, for lack of memory say, is followed by another, which goes on with its job. When the process that
started them dies, they end at once.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Protocol

from neuroprune.errors import NeuropruneError
from neuroprune.excerpts import capped
from neuroprune.experiment.jobs import Job
from neuroprune.progress import Progress

Work = Callable[[Job, Progress], None]
"""Does a job, in whatever process; it must be possible to pickle it."""

MOST_DEATHS = 3
"""A choice: of processes that die over one job, before it is given up."""
PAUSE_S = 0.5
"""Between two reports of one job's progress."""


@dataclass(frozen=True)
class Advanced:
    """How much of a job, 0..1, is done."""

    job: Job
    share: float


@dataclass(frozen=True)
class Ended:
    """A job has ended. error: a sentence where it failed; details: what a mistake of neuroprune's leaves behind."""

    job: Job
    error: str = ""
    details: str = ""


Event = Advanced | Ended


class Pool(Protocol):
    """Where jobs are done. slots: how many at once."""

    slots: int

    def start(self, job: Job) -> None:
        """Begin with a job; there are never more than `slots` under way."""

    def events(self) -> list[Event]:
        """What has happened since the last call; waits until something has."""

    def close(self) -> None:
        """End whatever is under way; what was kept of it stays."""


def run_job(work: Work, job: Job, progress: Progress) -> Ended:
    """Do a job; whatever goes wrong ends it and no more."""
    try:
        work(job, progress)
    except NeuropruneError as error:
        return Ended(job, capped(error, 1000))
    except Exception as error:  # noqa: BLE001  a mistake in one job must not stop the others
        return Ended(job, f"{type(error).__name__}: {capped(error)}", traceback.format_exc())
    return Ended(job)


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: "Connection[Job, Event]"
    job: Job | None = None


@dataclass(eq=False)
class ProcessPool:
    """Processes of this machine, started as they are needed."""

    work: Work
    slots: int
    _workers: list[_Worker] = field(default_factory=list)
    _deaths: Counter[str] = field(default_factory=Counter)

    def start(self, job: Job) -> None:
        """Give a job to a process that has none."""
        idle = next((worker for worker in self._workers if worker.job is None), None)
        if idle is None:
            assert len(self._workers) < self.slots
            idle = self._begin()
        self._give(idle, job)

    def events(self) -> list[Event]:
        """What processes have sent; a job whose process has died is begun again."""
        found: list[Event] = []
        while not found:
            ready = wait([each for worker in self._workers for each in (worker.connection, worker.process.sentinel)])
            for worker in list(self._workers):
                if worker.connection in ready or worker.process.sentinel in ready:
                    found += self._hear(worker)
        return found

    def close(self) -> None:
        """Kill all processes: what they have kept, a later one goes on from."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _begin(self) -> _Worker:
        context = _context()
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.work), daemon=True)
        with _no_main_module():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _give(self, worker: _Worker, job: Job) -> None:
        worker.job = job
        try:
            worker.connection.send(job)
        except OSError:  # it has died, which `events` will hear
            return

    def _hear(self, worker: _Worker) -> list[Event]:
        try:
            event = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if isinstance(event, Ended):
            worker.job = None
        return [event]

    def _bury(self, worker: _Worker) -> list[Event]:
        """Put another process in the place of one that has died."""
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        job = worker.job
        if job is None:
            return []
        self._deaths[str(job.place)] += 1
        if self._deaths[str(job.place)] < MOST_DEATHS:
            self._give(self._begin(), job)
            return []
        code = worker.process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return [
            Ended(
                job,
                f"{MOST_DEATHS} processes that did it ended {how}: if that was for lack of memory, run fewer jobs at "
                "once",
            )
        ]


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Within it, processes that are started do not import the script that is run: they need nothing of it, and it would
    run the experiment again where it does so without asking for its `__name__`."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _context() -> ForkServerContext | SpawnContext:
    """Forks of a server that has imported what jobs need and started no thread; new processes where there is none."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["neuroprune.experiment.work"])
    return context


def _serve(connection: "Connection[Event, Job]", work: Work) -> None:
    """Do the jobs that come, until nobody sends any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the first one ends us
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # as the command line does
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(run_job(work, job, reporting(job, connection.send)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def reporting(job: Job, send: Callable[[Event], object]) -> Progress:
    """A Progress that sends how far the trainings of a job have come, twice a second."""
    last = 0.0

    def report(task: str, done: int, total: int, **figures: float) -> None:
        nonlocal last
        now = time.monotonic()
        if task == "training" and now - last > PAUSE_S:
            last = now
            send(Advanced(job, done / max(total, 1)))

    return report
