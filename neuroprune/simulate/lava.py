"""Lava at arm's length: the program is written to files, a worker process runs it, what it recorded is read back.

Lava can hang, starts processes of its own and wants an older Python; so it never enters this process, has a time
limit, and ends with all its processes when the limit is over. See neuroprune/simulate/lava_worker.py.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.errors import LavaError
from neuroprune.quantize.groups import merge_groups
from neuroprune.quantize.timing import depths, wait
from neuroprune.quantize.types import Connection, IntConv, IntSynapse, QuantGraph, QuantLayer
from neuroprune.simulate.frames import check_frames
from neuroprune.simulate.types import LayerRecord, Record

WORKER = Path(__file__).with_name("lava_worker.py")
NO_LAVA = 3
"""The worker's exit code when Lava cannot be imported."""

INSTALL = "pip install --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0"
EXCEPTION = re.compile(r"[\w.]*(Error|Exception)\b")

GRACE_S = 0.5
"""How long killed processes have for handing back their shared memory."""


def record_with_lava(
    graph: QuantGraph, frames: npt.NDArray[np.int8], timeout_s: float = 600, python: str | None = None
) -> Record:
    """What Lava's own fixed-point process models make of a few samples, streamed back to back.

    frames: int8 [samples, *input shape], or [samples, steps, *input shape] of sequences.
    timeout_s: seconds after which the worker is ended.
    python: interpreter that has lava-nc 0.10.0; this one if None. It does not need neuroprune.
    Raises LavaError if Lava is missing, fails or does not end in time, InputError for frames of another kind.
    """
    check_frames(graph, frames)
    with tempfile.TemporaryDirectory(prefix="neuroprune-lava-") as name:
        folder = Path(name)
        _write_job(graph, frames, folder)
        _run_worker(folder, timeout_s, python or sys.executable)
        return _read_record(graph, len(frames), folder)


def _write_job(graph: QuantGraph, frames: npt.NDArray[np.int8], folder: Path) -> None:
    """The array "stream" is what each step presents: [samples * steps, *input shape]."""
    stream = frames.reshape(-1, *graph.input.shape) if graph.input.sequence else np.repeat(frames, graph.steps, axis=0)
    arrays: dict[str, npt.NDArray[Any]] = {"stream": stream}
    layers = []
    depth = depths(graph)
    for index, layer in enumerate(graph.layers):
        arrays[f"bias-{index}"] = layer.neuron.bias_mant
        connections = []
        for number, connection in enumerate(layer.connections):
            synapse = connection.synapse
            if isinstance(synapse, IntConv):
                synapse = merge_groups(synapse)
            arrays[f"weight-{index}-{number}"] = synapse.weight.astype(np.int32)
            input_bits = graph.input.bits if connection.source == "input" else 0
            connections.append(_describe_connection(connection, synapse, input_bits, wait(connection, layer, depth)))
        layers.append(_describe_neurons(layer, depth[layer.name]) | {"connections": connections})
    program = {"samples": len(frames), "steps": graph.steps, "layers": layers}
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "program.json").write_text(json.dumps(program), encoding="utf-8")
    shutil.copy(WORKER, folder)


def _describe_neurons(layer: QuantLayer, depth: int) -> dict[str, Any]:
    """depth: chip steps that the layer computes behind the input."""
    return {
        "name": layer.name,
        "shape": layer.shape,
        "depth": depth,
        "decay_u": layer.neuron.decay_u,
        "decay_v": layer.neuron.decay_v,
        "vth": layer.neuron.vth,
        "bias_exp": layer.neuron.bias_exp,
        "reset": layer.neuron.reset,
    }


def _describe_connection(connection: Connection, synapse: IntSynapse, input_bits: int, waits: int) -> dict[str, Any]:
    """input_bits: of the graded spikes that arrive, 0 for spikes without a value. waits: chip steps more than one."""
    described: dict[str, Any] = {
        "source": connection.source,
        "kind": "dense",
        "in_shape": connection.in_shape,
        "input_bits": input_bits,
        "wait": waits,
    }
    if isinstance(synapse, IntConv):
        described |= {
            "kind": "conv",
            "stride": synapse.stride,
            "padding": synapse.padding,
            "dilation": synapse.dilation,
            "groups": synapse.groups,
        }
    return described


def _run_worker(folder: Path, timeout_s: float, python: str) -> None:
    """Run the worker in a session of its own, so that all its processes can be ended together."""
    output = folder / "output.txt"
    with output.open("wb") as stream:
        try:
            worker = subprocess.Popen(
                [python, str(folder / WORKER.name), str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # one process for each layer
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


def _reason(output: str) -> str:
    """The last exception in the worker's output that says something, or else its last line."""
    lines = [line.strip() for line in output.split("\n") if line.strip()]
    told = [line for line in lines if EXCEPTION.match(line) and "See output above" not in line]
    return (told or lines or ["it said nothing"])[-1]


def _read_record(graph: QuantGraph, samples: int, folder: Path) -> Record:
    """Lava's arrays are (x, y, channel)."""
    records = []
    for index, layer in enumerate(graph.layers):
        spikes = np.load(folder / f"spikes-{index}.npy", allow_pickle=False)
        voltages = np.load(folder / f"voltages-{index}.npy", allow_pickle=False)
        turned = (0, *range(len(layer.shape), 0, -1))
        records.append(
            LayerRecord(
                layer.name,
                spikes.transpose(turned).reshape(samples, graph.steps, *layer.shape),
                voltages.transpose(turned),
            )
        )
    return Record(tuple(records))
