"""Types of arrays that many rooms name, and read-only ones for the frozen data types of every level."""

from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

Frames = npt.NDArray[np.float32]
"""Samples as networks see them: [N, channels, height, width], or sequences [N, T, channels, height, width]."""

InputSpikes = npt.NDArray[np.int8]
"""Samples as integer programs read them: spikes with a value, [N, *input shape] or [N, T, *input shape]."""

Labels = npt.NDArray[np.int64]
"""[N], the class of each sample."""

Scalar = TypeVar("Scalar", bound=np.generic)


class FramesLike(Protocol):
    """Frames that are taken a few samples at a time: an array of them, or what makes those of a slice when asked.

    shape: of all frames as one array, the number of samples first.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, samples: slice, /) -> Frames: ...


def frozen_array(values: Any, dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    """A read-only, C-contiguous copy of `values` as `dtype`; the caller's array stays writable."""
    array = np.asarray(values, dtype).copy(order="C")
    array.setflags(write=False)
    return array
