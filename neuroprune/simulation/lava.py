"""Lava at arm's length: the program is written to files, a worker process runs it, what it recorded is read back.

Lava can hang, starts processes of its own and wants an older Python; so it never enters this process, has a time
limit, and ends with all its processes when the limit is over. See neuroprune/simulation/lava_worker.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.errors import LavaError
from neuroprune.program.frames import check_frames
from neuroprune.program.timing import depths, wait
from neuroprune.program.types import IntConv, IntProgram
from neuroprune.simulation.catalog import Models
from neuroprune.simulation.lava_job import WORKER, Case, write_job
from neuroprune.simulation.types import LayerRecord, Record

NO_LAVA = 3
"""The worker's exit code when Lava cannot be imported."""

INSTALL = "pip install --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0"
EXCEPTION = re.compile(r"[\w.]*(Error|Exception)\b")

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": ""}
"""Lava makes a process of each layer, so that none needs threads; the worker is found in its own folder."""

MOST_LAYERS = 400
"""As many were run in Lava's runtime: two processes of the operating system each, 8 minutes for one sample.

With 3000, Lava's compiler, which follows the connections by recursion, fails.
"""

GRACE_S = 0.5
"""How long killed processes have for handing back their shared memory."""


def record_with_lava(
    program: IntProgram,
    frames: npt.NDArray[np.int8],
    timeout_s: float = 600,
    python: str | None = None,
    *,
    models: Models = "fast",
    every_step: bool = False,
) -> Record:
    """What Lava's fixed-point process models make of a few samples, streamed back to back.

    frames: int8 [samples, *input shape], or [samples, steps, *input shape] of sequences.
    timeout_s: seconds after which the worker is ended.
    python: interpreter that has lava-nc 0.10.0; this one if None. It does not need neuroprune.
    models: "stock" for Lava's own convolution, "fast" for ours of the same integers; see `own_models`.
    every_step: keep u and v of every step, which takes long.
    Raises LavaError if Lava is missing, fails, does not end in time, or is not for networks as deep, InputError for
    frames of another kind.
    """
    return record_all_with_lava([(program, frames)], timeout_s, python, models=models, every_step=every_step)[0]


def record_all_with_lava(
    cases: Sequence[Case],
    timeout_s: float = 600,
    python: str | None = None,
    *,
    models: Models = "fast",
    every_step: bool = False,
    runtime: bool = True,
) -> list[Record]:
    """`record_with_lava` of many small programs in one worker, which takes as long to start as it does for one.

    runtime: whether Lava's runtime runs the process models, each in an operating system's process; else a loop in one
    process does, far more quickly. See neuroprune/simulation/lava_worker/run.py for what of Lava that leaves in use.
    """
    for program, frames in cases:
        check_frames(program, frames)
        if runtime and len(program.layers) > MOST_LAYERS:
            raise LavaError(
                f"the network has {len(program.layers)} layers, and Lava, which starts two processes for each, is run "
                f"with {MOST_LAYERS} at most: leave it out with --lava-samples 0"
            )
    with tempfile.TemporaryDirectory(prefix="neuroprune-lava-") as name:
        folder = Path(name)
        write_job(cases, folder, {"models": models, "every_step": every_step, "runtime": runtime})
        _run_worker(folder, timeout_s, python or sys.executable)
        with np.load(folder / "recorded.npz", allow_pickle=False) as file:
            return [_read_record(program, file, number) for number, (program, _) in enumerate(cases)]


def own_models(program: IntProgram, models: Models = "fast") -> tuple[str, ...]:
    """A sentence for each process model of ours that takes part in running `program`; none where all are Lava's own."""
    depth = depths(program)
    connections = [(each, layer) for layer in program.layers for each in layer.connections]
    told = []
    if models == "fast" and any(isinstance(each.synapse, IntConv) for each, _ in connections):
        told.append("Convolutions are matrix products of the same integers, tested against Lava's own model.")
    told += dict.fromkeys(remark for layer in program.layers if (remark := layer.neuron.lava_remark()))
    if any(each.delay or wait(each, layer, depth) for each, layer in connections):
        told.append("Spikes that wait for a longer path, or are delayed, go through delay lines, which Lava has not.")
    return tuple(told)


def _run_worker(folder: Path, timeout_s: float, python: str) -> None:
    """Run the worker in a session of its own, so that all its processes can be ended together.

    Where this process is killed, the end of its pipe tells the worker.
    """
    output = folder / "output.txt"
    with output.open("wb") as stream:
        try:
            worker = subprocess.Popen(
                [python, "-m", WORKER.name, str(folder)],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=os.environ | ENVIRONMENT,
                start_new_session=True,
            )
        except OSError as error:
            raise LavaError(
                f"the interpreter {python} that is to run Lava cannot be started ({error.strerror}): name one that "
                "has lava-nc 0.10.0 with --lava-python"
            ) from error
    try:
        code = worker.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise LavaError(
            f"Lava did not finish within {timeout_s:g} s: give it more with --lava-timeout, or fewer samples with "
            "--lava-samples"
        ) from None
    finally:
        _end(worker)
    reason = _reason(output.read_text(encoding="utf-8", errors="replace"))
    if code == NO_LAVA:
        raise LavaError(f"Lava is not installed for {python} ({reason}): add it with `{INSTALL}`")
    if code != 0:
        raise LavaError(
            f"Lava failed with exit code {code} ({reason}): check that lava-nc is 0.10.0 and numpy below 2 for {python}"
        )


def _end(worker: subprocess.Popen[bytes]) -> None:
    """End whatever the worker left running; first gently, for shared memory would outlive processes that are killed."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGTERM)
        if worker.poll() != 0:
            time.sleep(GRACE_S)
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert worker.stdin is not None
    worker.stdin.close()


def _reason(output: str) -> str:
    """The last exception in the worker's output that says something, or else its last line."""
    lines = [line.strip() for line in output.split("\n") if line.strip()]
    told = [line for line in lines if EXCEPTION.match(line) and "See output above" not in line]
    return (told or lines or ["it said nothing"])[-1]


def _read_record(program: IntProgram, recorded: Mapping[str, npt.NDArray[Any]], number: int) -> Record:
    """Lava's arrays are [samples * steps, x, y, channel]; v is [samples, ...] where only the last of each is kept."""
    records = []
    for index, layer in enumerate(program.layers):
        turned = (0, *range(len(layer.shape), 0, -1))
        found = {
            what: recorded[f"{number}-{index}-{what}"].transpose(turned)
            for what in ("spikes", "u", "v")
            if f"{number}-{index}-{what}" in recorded
        }
        if "u" in found:
            spikes, u, v = (found[what].reshape(-1, program.steps, *layer.shape) for what in ("spikes", "u", "v"))
            records.append(LayerRecord(layer.name, spikes, v[:, -1], u, v))
        else:
            spikes = found["spikes"].reshape(-1, program.steps, *layer.shape)
            records.append(LayerRecord(layer.name, spikes, found["v"]))
    return Record(tuple(records))
