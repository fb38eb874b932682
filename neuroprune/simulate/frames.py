"""What every simulator checks about the frames it is given."""

from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.errors import InputError
from neuroprune.quantize.types import QuantGraph


def check_frames(graph: QuantGraph, frames: npt.NDArray[Any]) -> None:
    """Raise InputError unless `frames` is int8 [samples >= 1, *input shape] of `graph`."""
    wanted = ", ".join(str(size) for size in graph.input.shape)
    if frames.dtype != np.int8 or frames.shape[1:] != graph.input.shape or len(frames) == 0:
        raise InputError(
            f"the frames are {frames.dtype} of shape {list(frames.shape)}, but this program reads int8 of shape "
            f"[samples, {wanted}] with at least one sample: quantise them with quantize_input first"
        )
