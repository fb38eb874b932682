"""Integer programs in Lava: they are written to files, a worker runs them, and its record is read back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import InputSpikes
from neuroprune.errors import LavaError
from neuroprune.program.frames import check_frames
from neuroprune.program.timing import depths, wait
from neuroprune.program.types import IntConv, IntProgram
from neuroprune.simulation.catalog import Models
from neuroprune.simulation.lava_job import Case, write_job
from neuroprune.simulation.lava_process import LavaWorker, start_worker, temporary_files
from neuroprune.simulation.types import LayerRecord, Record

MOST_LAYERS = 400
"""The most layers that were run in Lava's runtime: two operating system processes each, 8 minutes for one sample.

With 3000 layers Lava's compiler, which follows the connections by recursion, fails.
"""


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
    with start_worker(python) as worker:
        return record_in(worker, cases, timeout_s, models=models, every_step=every_step, runtime=runtime)


def record_in(
    worker: LavaWorker,
    cases: Sequence[Case],
    timeout_s: float,
    *,
    models: Models,
    every_step: bool = False,
    runtime: bool = True,
) -> list[Record]:
    """`record_all_with_lava` in a worker that has been started, and that this is the one job of."""
    for program, frames in cases:
        check_frames(program, frames)
        if runtime and len(program.layers) > MOST_LAYERS:
            raise LavaError(
                f"the network has {len(program.layers)} layers, and Lava, which starts two processes for each, is run "
                f"with {MOST_LAYERS} at most: leave it out with --lava-samples 0"
            )
    with temporary_files():
        write_job(cases, worker.folder, {"models": models, "every_step": every_step, "runtime": runtime})
    result = worker.run(timeout_s)
    try:
        with np.load(result, allow_pickle=False) as file:
            return [_read_record(case, file, number) for number, case in enumerate(cases)]
    except Exception as error:
        raise LavaError(
            f"Lava's result cannot be read ({type(error).__name__}: {error}): check that lava-nc is 0.10.0 and numpy "
            f"below 2 for {worker.python}"
        ) from error


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


def _read_record(case: Case, recorded: Mapping[str, npt.NDArray[Any]], number: int) -> Record:
    """Lava's arrays are [samples * steps, x, y, channel]; v is [samples, ...] where only the last of each is kept."""
    program, frames = case
    records = []
    for index, layer in enumerate(program.layers):
        axes = (0, *range(len(layer.shape), 0, -1))
        steps = (len(frames), program.steps, *layer.shape)
        arrays = {
            what: recorded[f"{number}-{index}-{what}"].transpose(axes)
            for what in ("spikes", "u", "v")
            if f"{number}-{index}-{what}" in recorded
        }
        if "u" in arrays:
            spikes, u, v = (arrays[what].reshape(steps) for what in ("spikes", "u", "v"))
            records.append(LayerRecord(layer.name, spikes, v[:, -1], u, v))
        else:
            ends = arrays["v"].reshape(len(frames), *layer.shape)
            records.append(LayerRecord(layer.name, arrays["spikes"].reshape(steps), ends))
    return Record(tuple(records))
