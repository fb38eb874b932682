"""The exact engine: the chip's integers for whole data sets, in batches, on a CPU or a GPU.

Layers read those before them, so they run one after the other over all time steps at once: synapses as one operation on
a batch of [steps * samples] maps, then the neurons step by step, and with them the synapses of neurons that read
themselves. A layer that reads frames computes its synapses once per sample, since the frame is the same at every step.
Maps lie channels last, spikes are bytes.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroprune.arrays import FramesLike, InputSpikes
from neuroprune.graph.nodes import Shape
from neuroprune.program.frames import check_frames, check_shape, count_events, input_spikes
from neuroprune.program.types import IntProgram
from neuroprune.progress import Progress, silent
from neuroprune.simulation.kernels import direct_convolutions
from neuroprune.simulation.layers import Layer, compile_layers, run_layers
from neuroprune.simulation.types import LayerRecord, LayerTrace, Record, Trace

CPU_BYTES, DEVICE_BYTES = 16 * 2**20, 2**28
"""Memory of a thread for the largest layer's currents in all steps; the samples that fit into it run at once.

On a CPU more of them fall out of the caches, and above 32 MiB the C library asks the system for new pages each time:
the layers of benchmarks/vgg6.yaml then take 10 to 30 % longer.
"""

COPIES = 4
"""Copies of float frames that coding and quantising them need at the same time; they fit into that memory, too."""


def simulate(
    program: IntProgram,
    frames: FramesLike | InputSpikes,
    batch: int = 1024,
    device: str = "cpu",
    progress: Progress = silent,
) -> Trace:
    """Run samples through `program` in the chip's integers, and sum up the activity of each layer.

    frames: [samples, *input shape], or [samples, steps, *input shape] of sequences: float32 as networks see them, which
    are quantised here, or int8 as `quantize_input` makes them.
    batch: samples that a thread takes and runs at once, at most; fewer where frames or layers are large, so that memory
    is bounded for any batch.
    device: torch device.
    Raises InputError for frames of another type, shape or range.

    >>> import torch
    >>> from neuroprune import (
    ...     build, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, reestimate_batchnorm, simulate,
    ...     trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> activity = simulate(program, frames)
    >>> activity.outputs.shape, [bool(layer.spikes.any()) for layer in activity.layers]
    ((16, 10), [True, True, True, True])
    """
    check_shape(program, frames.shape)
    layers = compile_layers(program, torch.device(device))
    events, clipped = np.zeros(program.input.shape, np.int64), 0
    spikes = [torch.zeros(_channels_last(layer.shape), dtype=torch.int64, device=device) for layer in program.layers]
    wraps, saturations = np.zeros((2, len(layers)), np.int64)
    outputs = np.empty((len(frames), int(np.prod(program.layers[-1].shape))), np.int64)
    done = 0
    with direct_convolutions(), _threads(device) as threads:
        size = min(batch, _samples_at_once(program, device), -(-len(frames) // threads.count))
        chunks = (slice(first, first + size) for first in range(0, len(frames), size))
        for chunk in threads.map(lambda samples: _run_chunk(program, layers, frames, samples, device), chunks):
            events += chunk.events
            clipped += chunk.clipped
            for total, fired in zip(spikes, chunk.spikes, strict=True):
                total += fired
            wraps += chunk.wraps
            saturations += chunk.saturations
            outputs[done : done + len(chunk.outputs)] = chunk.outputs
            done += len(chunk.outputs)
            progress("simulate", done, len(frames))
    return Trace(
        samples=len(frames),
        steps=program.steps,
        outputs=outputs,
        input_events=events,
        saturated_inputs=clipped,
        layers=tuple(
            LayerTrace(layer.name, _array(fired, layer.shape), wrapped, saturated)
            for layer, fired, wrapped, saturated in zip(
                program.layers, spikes, wraps.tolist(), saturations.tolist(), strict=True
            )
        ),
    )


def record(program: IntProgram, frames: InputSpikes, device: str = "cpu", every_step: bool = False) -> Record:
    """Every spike and the last voltages of a few samples, which run in one batch.

    frames: int8 [samples, *input shape], or [samples, steps, *input shape] of sequences.
    every_step: record u and v of each step, too.
    Raises InputError for frames of another type, shape or range.

    >>> import torch
    >>> from neuroprune import (
    ...     build, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, quantize_input, record,
    ...     reestimate_batchnorm, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> spikes, clipped = quantize_input(program.input, frames[:2])
    >>> output = record(program, spikes, every_step=True).layers[-1]
    >>> output.name, output.spikes.shape, output.v.shape
    ('body.output', (2, 4, 10), (2, 4, 10))
    """
    check_frames(program, frames)
    layers = compile_layers(program, torch.device(device))
    with direct_convolutions():
        firings = run_layers(layers, _on_device(program, frames, device), program.steps, every_step)
        return Record(
            tuple(
                LayerRecord(
                    layer.name,
                    _array(firing.spikes.transpose(0, 1), layer.shape),
                    _array(firing.voltages.int(), layer.shape),
                    *(_array(state.transpose(0, 1).int(), layer.shape) for state in firing.states or ()),
                )
                for layer, firing in zip(program.layers, firings, strict=True)
            )
        )


@dataclass(frozen=True, eq=False)
class _Chunk:
    """What a few samples add to a trace; spikes of each layer channels last."""

    events: npt.NDArray[np.int64]
    clipped: int
    outputs: npt.NDArray[np.int64]
    spikes: list[Tensor]
    wraps: list[int]
    saturations: list[int]


def _run_chunk(
    program: IntProgram, layers: list[Layer], frames: FramesLike | InputSpikes, samples: slice, device: str
) -> _Chunk:
    events, clipped = input_spikes(program, frames[samples])
    spikes, wraps, saturations = [], [], []
    for firing in run_layers(layers, _on_device(program, events, device), program.steps):
        spikes.append(_count(firing.spikes))
        wraps.append(firing.current_wraps)
        saturations.append(firing.voltage_saturations)
    last = firing.voltages if program.readout.of == "voltage" else firing.spikes.sum(dim=0)
    outputs = _array(last.long(), program.layers[-1].shape).reshape(len(events), -1)
    return _Chunk(count_events(program, events), clipped, outputs, spikes, wraps, saturations)


@dataclass(frozen=True)
class _Threads:
    """`map` runs a function on chunks of the samples in `count` threads, in order."""

    count: int
    map: Callable[[Callable[[slice], _Chunk], Iterable[slice]], Iterable[_Chunk]]


@contextmanager
def _threads(device: str) -> Iterator[_Threads]:
    """As many threads as torch has, each computing on its own: they synchronise once per chunk, not at every operation.

    Meanwhile the caller uses one thread, too, since torch's own threads would spin while they wait for it.
    """
    count = torch.get_num_threads()
    if count == 1 or device != "cpu":
        yield _Threads(1, map)
        return
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    try:
        torch.set_num_threads(1)
        yield _Threads(count, pool.map)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(count)


def _samples_at_once(program: IntProgram, device: str) -> int:
    presented = COPIES * int(np.prod(program.input.shape)) * (program.steps if program.input.sequence else 1)
    largest = max(presented, *(program.steps * int(np.prod(layer.shape)) for layer in program.layers))
    return max((CPU_BYTES if device == "cpu" else DEVICE_BYTES) // (4 * largest), 1)


def _count(spikes: Tensor) -> Tensor:
    """Spikes of each neuron, int64; bytes are added as bytes as long as they hold the sum, 10 times as fast."""
    parts = torch.split(spikes.view(torch.uint8).flatten(0, 1), 255)
    return torch.stack([part.sum(0, dtype=torch.uint8) for part in parts]).sum(0, dtype=torch.int64)


def _on_device(program: IntProgram, frames: InputSpikes, device: str) -> Tensor:
    """[steps, samples, *shape] of sequences, [1, samples, *shape] of frames that every step presents; channels last."""
    maps = np.moveaxis(frames, -3, -1) if len(program.input.shape) == 3 else frames
    tensor = torch.tensor(maps, dtype=torch.int8 if program.input.bits else torch.uint8, device=device)
    return tensor.transpose(0, 1) if program.input.sequence else tensor.unsqueeze(0)


def _channels_last(shape: Shape) -> Shape:
    return (*shape[1:], shape[0])


def _array(values: Tensor, shape: Shape) -> npt.NDArray[Any]:
    """[..., height, width, channels] -> [..., channels, height, width], the layer's `shape`."""
    maps = values.movedim(-1, -3) if len(shape) == 3 else values
    array: npt.NDArray[Any] = maps.contiguous().cpu().numpy()
    return array
