"""Read-only arrays for the frozen data types of every level."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


def frozen_array(values: Any, dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    """A read-only, C-contiguous copy of `values` as `dtype`; the caller's array stays writable."""
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array
