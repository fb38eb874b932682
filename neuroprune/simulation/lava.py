"""Lava in a process of its own: the program is written to files, a worker runs it, and its record is read back.

Lava can hang, starts processes of its own and declares an older Python; so it is never imported here, has a time
limit, and is ended with all its processes when the limit is over. See neuroprune/simulation/lava_worker.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import InputSpikes
from neuroprune.errors import LavaError
from neuroprune.folders import LAVA_JOBS, temporary_folder
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
"""Lava makes a process of each layer, so none needs threads; PYTHONSAFEPATH would hide the worker's own folder."""

MOST_LAYERS = 400
"""The most layers that were run in Lava's runtime: two operating system processes each, 8 minutes for one sample.

With 3000 layers Lava's compiler, which follows the connections by recursion, fails.
"""

GRACE_S = 0.5
"""Time that terminated processes have to release their shared memory."""


def record_with_lava(
    program: IntProgram,
    frames: InputSpikes,
    timeout_s: float = 600,
    python: str | None = None,
    *,
    models: Models = "fast",
    every_step: bool = False,
) -> Record:
    """A few samples, streamed back to back, through Lava's fixed-point process models.

    frames: int8 [samples, *input shape], or [samples, steps, *input shape] of sequences.
    timeout_s: seconds after which the worker is ended.
    python: interpreter that has lava-nc 0.10.0; this one if None. It does not need neuroprune.
    models: "stock" for Lava's own convolution, "fast" for ours of the same integers; see `own_models`.
    every_step: record u and v of every step, which takes long.
    Raises LavaError if Lava is missing, fails, does not end in time, or the network is too deep for it; InputError for
    frames of another type, shape or range.

    >>> import numpy as np
    >>> from neuroprune import (
    ...     IntBias, IntConnection, IntCubaLif, IntDense, IntInput, IntLayer, IntProgram, compare, record,
    ...     record_with_lava,
    ... )
    >>> connection = IntConnection("input", IntDense(np.array([[64, -32]])), in_shape=(2,))
    >>> neuron, bias = IntCubaLif(decay_u=4095, decay_v=0, vth=100), IntBias(np.array([0]), exponent=6)
    >>> layer = IntLayer("output", (connection,), neuron, bias, (1,), scale=4096.0, limited_by="weight")
    >>> program = IntProgram(IntInput((2,), unit=1.0, bits=8), (layer,), steps=4)
    >>> frames = np.array([[2, 3]], np.int8)
    >>> compare(record_with_lava(program, frames), record(program, frames))  # no difference, no error
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
    process does, far more quickly. See neuroprune/simulation/lava_worker/run.py for the parts of Lava that still run.
    """
    for program, frames in cases:
        check_frames(program, frames)
        if runtime and len(program.layers) > MOST_LAYERS:
            raise LavaError(
                f"the network has {len(program.layers)} layers, and Lava, which starts two processes for each, is run "
                f"with {MOST_LAYERS} at most: leave it out with --lava-samples 0"
            )
    with temporary_folder(LAVA_JOBS) as folder:
        write_job(cases, folder, {"models": models, "every_step": every_step, "runtime": runtime})
        _run_worker(folder, timeout_s, python or sys.executable)
        with np.load(folder / "recorded.npz", allow_pickle=False) as file:
            return [_read_record(program, file, number) for number, (program, _) in enumerate(cases)]


def own_models(program: IntProgram, models: Models = "fast") -> tuple[str, ...]:
    """A sentence for each process model of ours that takes part in running `program`; none where all are Lava's own."""
    depth = depths(program)
    connections = [(each, layer) for layer in program.layers for each in layer.connections]
    sentences = []
    if models == "fast" and any(isinstance(each.synapse, IntConv) for each, _ in connections):
        sentences.append("Convolutions are matrix products of the same integers, tested against Lava's own model.")
    sentences += dict.fromkeys(remark for layer in program.layers if (remark := layer.neuron.lava_remark()))
    if any(each.delay or wait(each, layer, depth) for each, layer in connections):
        sentences.append(
            "Spikes that wait for a longer path, or are delayed, go through delay lines, which Lava does not have."
        )
    return tuple(sentences)


def _run_worker(folder: Path, timeout_s: float, python: str) -> None:
    """Run the worker in a session of its own, so that all its processes can be ended together.

    If this process is killed, its pipe to the worker closes, and the worker ends.
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
    """End all that the worker left running; first by SIGTERM, since killed processes leave shared memory."""
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
    exceptions = [line for line in lines if EXCEPTION.match(line) and "See output above" not in line]
    return (exceptions or lines or ["it printed nothing"])[-1]


def _read_record(program: IntProgram, recorded: Mapping[str, npt.NDArray[Any]], number: int) -> Record:
    """Lava's arrays are [samples * steps, x, y, channel]; v is [samples, ...] where only the last of each is kept."""
    records = []
    for index, layer in enumerate(program.layers):
        axes = (0, *range(len(layer.shape), 0, -1))
        arrays = {
            what: recorded[f"{number}-{index}-{what}"].transpose(axes)
            for what in ("spikes", "u", "v")
            if f"{number}-{index}-{what}" in recorded
        }
        if "u" in arrays:
            spikes, u, v = (arrays[what].reshape(-1, program.steps, *layer.shape) for what in ("spikes", "u", "v"))
            records.append(LayerRecord(layer.name, spikes, v[:, -1], u, v))
        else:
            spikes = arrays["spikes"].reshape(-1, program.steps, *layer.shape)
            records.append(LayerRecord(layer.name, spikes, arrays["v"]))
    return Record(tuple(records))
