"""Arrays of pixels, event counts and labels as the whole numbers that data sets are kept in, or a reason why not."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import Labels
from neuroprune.errors import InputError

Blocks = Callable[[], Iterable[npt.NDArray[Any]]]
"""The samples of an array, some at a time, from the first one again with every call."""

BRIGHTEST = 255
SEQUENCE_AXES = 5
"""Of [N, T, C, H, W]."""
BLOCK = 1 << 22
"""Values that are looked at together, so that of numbers wider than bytes only so many are copied."""

APART = 1e-3
"""By how much of a byte a float may miss it; numbers of half precision, which are rounded, may miss it by more."""


def bytes_of(subject: str, values: Any) -> npt.NDArray[np.uint8]:
    """`values` as bytes of the same shape: see `bytes_in`; lists are taken as arrays."""
    array = _array(subject, values)
    if array.dtype == np.uint8:
        return array
    return bytes_in(subject, array.shape, array.dtype, lambda: _blocks(array))


def bytes_in(subject: str, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> npt.NDArray[np.uint8]:
    """Numbers of any type as bytes of that shape, where that loses nothing.

    Whole numbers 0 to 255 stay as they are. Other floats are taken where they are 255ths of 0 to 1, as torchvision's
    ToTensor makes them, and become pixels of 0 to 255; not in sequences, of 5 axes, whose event counts are whole.
    Raises InputError, which calls the numbers by `subject`, for all others.
    """
    counts = len(shape) == SEQUENCE_AXES
    if dtype.kind not in "buif":
        raise InputError(f"{subject} are of the type {dtype}, but pixels and counts are numbers: give those")
    scale = 1 if dtype == np.uint8 or dtype.kind == "b" else _scale(subject, dtype, blocks, counts)
    made = np.empty(shape, np.uint8)
    start = 0
    for block in blocks():
        made[start : start + len(block)] = block if scale == 1 else np.rint(block.astype(np.float64) * scale)
        start += len(block)
    return made


def labels_of(subject: str, values: Any) -> Labels:
    """Labels as int64, [N, 1] as [N]. Raises InputError, which calls them by `subject`, where they are not whole."""
    labels = _array(subject, values)
    if labels.dtype.kind not in "buif":
        raise InputError(f"{subject} are of the type {labels.dtype}, but must be the numbers of classes: number them")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.rint(labels))).all():
        raise InputError(f"{subject} are not all whole numbers, but number the classes from 0: round them")
    return labels.astype(np.int64)


def _scale(subject: str, dtype: np.dtype[Any], blocks: Blocks, counts: bool) -> int:
    """What all numbers become bytes by: 1 or 255. Raises InputError where they do not."""
    lowest, highest, whole, of_255 = np.inf, -np.inf, True, True
    apart = max(APART, BRIGHTEST * np.finfo(dtype).eps / 4) if dtype.kind == "f" else APART
    for block in blocks():
        if not block.size:
            continue
        values = block.astype(np.float64) if dtype.kind == "f" else block
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        if not np.isfinite((lowest, highest)).all():
            raise InputError(f"{subject} hold values that are not finite (NaN or infinite): replace them")
        if dtype.kind == "f":
            whole = whole and bool((values == np.rint(values)).all())
            bright = values * BRIGHTEST
            of_255 = of_255 and bool((np.abs(bright - np.rint(bright)) <= apart).all())
    if whole and ((lowest >= 0 and highest <= BRIGHTEST) or lowest > highest):
        return 1
    if not counts and not whole and of_255 and lowest >= 0 and highest <= 1:
        return BRIGHTEST
    kept = "whole numbers from 0 to 255" + ("" if counts else ", or 255ths from 0 to 1")
    raise InputError(
        f"{subject} are {dtype} from {lowest:g} to {highest:g}, of which bytes would lose something, since they hold "
        f"{kept}: give the raw ones, which training normalises itself, or round (x - lowest) / (highest - lowest) * 255"
    )


def _array(subject: str, values: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{subject} are of different sizes, so that no array holds them: make them alike") from error


def _blocks(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    if not array.ndim:
        yield array.reshape(1)
        return
    several = max(1, BLOCK // max(1, array[:1].size))
    for start in range(0, len(array), several):
        yield array[start : start + several]
