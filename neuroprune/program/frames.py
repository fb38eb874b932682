"""Frames as the integers that a program reads: quantised, checked, counted."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import Frames, InputSpikes
from neuroprune.errors import InputError
from neuroprune.fixed_point import signed_range
from neuroprune.program.types import IntInput, IntProgram


class ReadsFrames(Protocol):
    """What reads frames: an integer program, or the tables of one."""

    @property
    def input(self) -> IntInput: ...

    @property
    def steps(self) -> int: ...


def quantize_input(spec: IntInput, frames: Frames) -> tuple[InputSpikes, int]:
    """Integer spikes of float frames [samples, ..., *shape], and how many values were clipped to the range.

    spec: the input of a program, `program.input`.

    >>> import numpy as np
    >>> from neuroprune import IntInput, quantize_input
    >>> graded = IntInput(shape=(3,), unit=0.5, bits=8)
    >>> quantize_input(graded, np.array([[0.4, -1.1, 200.0]], np.float32))
    (array([[  1,  -2, 127]], dtype=int8), 1)
    """
    low, high = signed_range(spec.bits) if spec.bits else (0, 1)
    scaled = np.rint(frames / np.float32(spec.unit))
    clipped = int(((scaled < low) | (scaled > high)).sum())
    return np.clip(scaled, low, high, out=scaled).astype(np.int8), clipped


def check_shape(program: ReadsFrames, shape: tuple[int, ...]) -> None:
    """Raise InputError unless `shape` is [samples >= 1, *input shape], or [samples, steps, ...] of sequences."""
    sample = (program.steps,) * program.input.sequence + program.input.shape
    if shape[1:] != sample or shape[0] == 0:
        raise InputError(
            f"the frames have the shape {list(shape)}, but this program reads [samples, {', '.join(map(str, sample))}] "
            "with at least one sample: pass samples of that shape"
        )


def check_frames(program: ReadsFrames, frames: npt.NDArray[Any]) -> None:
    """Raise InputError unless `frames` is int8 of a shape that `check_shape` takes.

    Spikes without a value are 0 or 1; graded ones are in the two's complement range of their bits.
    """
    check_shape(program, frames.shape)
    if frames.dtype != np.int8:
        raise InputError(
            f"the frames are {frames.dtype}, but this program reads int8: quantise them with quantize_input first"
        )
    bits = program.input.bits
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if bits else (0, 1)
    if frames.min() < low or frames.max() > high:
        raise InputError(
            f"the frames hold values from {frames.min()} to {frames.max()}, but this program reads {low} to {high}: "
            "quantise them with quantize_input first"
        )


def input_spikes(program: IntProgram, frames: npt.NDArray[Any]) -> tuple[InputSpikes, int]:
    """The checked input spikes of a few samples, quantised where `frames` are floats, and how many were clipped."""
    floats = np.issubdtype(frames.dtype, np.floating)
    spikes, clipped = quantize_input(program.input, frames) if floats else (frames, 0)
    check_frames(program, spikes)
    return spikes, clipped


def count_events(program: IntProgram, frames: InputSpikes) -> npt.NDArray[np.int64]:
    """Non-zero spikes of each input over all samples and steps, int64 [input shape]; a frame counts once per step."""
    if program.input.sequence:
        frames = frames.reshape(-1, *program.input.shape)
    presented: npt.NDArray[np.int64] = np.sum(frames != 0, axis=0, dtype=np.int64)
    return presented if program.input.sequence else presented * program.steps
