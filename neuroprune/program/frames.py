"""Frames as the integers that a program reads: quantised, checked, counted."""

from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import Frames, InputSpikes
from neuroprune.errors import InputError
from neuroprune.fixed_point import signed_range
from neuroprune.program.types import IntInput, IntProgram


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
    return np.clip(scaled, low, high).astype(np.int8), int(((scaled < low) | (scaled > high)).sum())


def check_frames(program: IntProgram, frames: npt.NDArray[Any]) -> None:
    """Raise InputError unless `frames` is int8 [samples >= 1, *input shape], or [samples, steps, ...] of sequences.

    Spikes without a value are 0 or 1; graded ones are in the two's complement range of their bits.
    """
    shape = (program.steps,) * program.input.sequence + program.input.shape
    sizes = ", ".join(str(size) for size in shape)
    if frames.dtype != np.int8 or frames.shape[1:] != shape or len(frames) == 0:
        raise InputError(
            f"the frames are {frames.dtype} of shape {list(frames.shape)}, but this program reads int8 of shape "
            f"[samples, {sizes}] with at least one sample: quantise them with quantize_input first"
        )
    bits = program.input.bits
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if bits else (0, 1)
    if frames.min() < low or frames.max() > high:
        raise InputError(
            f"the frames hold values from {frames.min()} to {frames.max()}, but this program reads {low} to {high}: "
            "quantise them with quantize_input first"
        )


def count_events(program: IntProgram, frames: InputSpikes) -> npt.NDArray[np.int64]:
    """Non-zero spikes of each input over all samples and steps, int64 [input shape]; a frame counts once per step."""
    if program.input.sequence:
        frames = frames.reshape(-1, *program.input.shape)
    presented: npt.NDArray[np.int64] = np.sum(frames != 0, axis=0, dtype=np.int64)
    return presented if program.input.sequence else presented * program.steps
