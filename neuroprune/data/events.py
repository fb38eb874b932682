"""Event recordings, binned to frames: N-MNIST and POKER-DVS.

N-MNIST (Orchard et al. 2015): records of 5 bytes, x, y, then a bit of polarity and 23 bits of microseconds, big-endian.
POKER-DVS (Serrano-Gotarredona and Linares-Barranco 2015) as tonic publishes it: a .npy file per card, uint64 [events,
4] of time, x, y, polarity, in tar archives.

Both are read here and not by tonic: two short formats do not justify numba and librosa, which tonic installs, and its
readers neither detect a truncated file nor read a part of N-MNIST. Nothing is unpacked to the disk or executed.
"""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from neuroprune.data.types import Images, Split
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import read_at_most, read_bytes, read_unpacked, reading

Events = npt.NDArray[np.int64]
"""[events, 4] of time in microseconds, x, y, polarity (0 or 1)."""

NMNIST_SIZE = (34, 34)
POKER_SIZE = (35, 35)
POKER_CLASSES = ("cl", "he", "di", "sp")
POLARITIES = 2

RECORD = 5
OVERFLOW_ROW = 240
OVERFLOW_TIME = 1 << 13
"""A record in row 240 is no event: from it on, 2^13 us are added to all times (eventvision.py of N-MNIST's authors)."""

POKER_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..{'descr': '<u8', 'fortran_order': False, 'shape': \((?P<events>\d{1,9}), 4\), } *\n",
    re.DOTALL,
)
"""All that numpy writes before such an array; its own parser fails on damaged headers with errors of many kinds."""

MOST_COUNTED = 255
LARGEST, LARGEST_ARCHIVE = 1 << 22, 1 << 27
"""Bytes of a recording, which has some ten thousands, and of an archive of them, unpacked."""


def bin_events(events: Events, steps: int, size: tuple[int, int]) -> Images:
    """How many events each pixel saw in each of `steps` slices of equal time: uint8 [steps, 2, height, width].

    A slice lasts (last - first) // steps us, and the last one to the end of the recording, as SpikingJelly splits
    recordings by time. Counts stop at 255. size: (height, width), in which all events must lie; at least one is needed.
    """
    t, x, y, polarity = events.T
    first = t.min()
    duration = max(1, int(t.max() - first) // steps)
    step = np.minimum((t - first) // duration, steps - 1)
    shape = (steps, POLARITIES, *size)
    counts = np.bincount(np.ravel_multi_index((step, polarity, y, x), shape), minlength=int(np.prod(shape)))
    return np.minimum(counts, MOST_COUNTED).astype(np.uint8).reshape(shape)


def read_nmnist(folder: Path, steps: int) -> Split:
    """The recordings <digit>/*.bin below `folder`, as frames. Raises InputError for one that is not whole."""
    paths = [path for digit in range(10) for path in sorted((folder / str(digit)).glob("*.bin"))]
    return _binned(
        ((int(path.parent.name), str(path), parse_nmnist(_content(path), str(path))) for path in paths),
        len(paths),
        steps,
        NMNIST_SIZE,
    )


def read_poker(place: Path, steps: int) -> Split:
    """The recordings <class>/*.npy in an archive or a folder, as frames. Raises InputError for what is not whole."""
    files = sorted(_archived(place) if place.is_file() else _unpacked(place))
    return _binned(
        ((label, source, parse_poker(data, source)) for label, source, data in files), len(files), steps, POKER_SIZE
    )


def parse_nmnist(data: bytes, source: str) -> Events:
    """The events of one N-MNIST file; errors call it by `source`. Raises InputError when it is cut short."""
    if len(data) % RECORD:
        raise InputError(
            f"{source} holds {len(data)} bytes, which is not a whole number of events of {RECORD} bytes: fetch it again"
        )
    x, y, high, middle, low = np.frombuffer(data, np.uint8).reshape(-1, RECORD).astype(np.int64).T
    overflow = y == OVERFLOW_ROW
    t = ((high & 127) << 16 | middle << 8 | low) + OVERFLOW_TIME * np.cumsum(overflow)
    return np.stack([t, x, y, high >> 7], axis=1)[~overflow]


def parse_poker(data: bytes, source: str) -> Events:
    """The events of one POKER-DVS file; errors call it by `source`. Raises InputError when it is none, or cut short."""
    header = POKER_HEADER.match(data)
    if header is None:
        raise InputError(
            f"{source} begins with the bytes {data[:10].hex(' ') or '(none)'}, but not with a .npy header of uint64 "
            "[events, 4], as a recording of POKER-DVS does: fetch it again"
        )
    content, promised = data[header.end() :], int(header["events"]) * 4 * 8
    if len(content) != promised:
        raise InputError(
            f"{source} holds {len(content)} bytes of events, but its header promises {promised}: fetch it again"
        )
    return np.frombuffer(content, "<u8").reshape(-1, 4).astype(np.int64)


def _binned(recordings: Iterable[tuple[int, str, Events]], count: int, steps: int, size: tuple[int, int]) -> Split:
    """`count` recordings, each with its label and what errors call it, as frames."""
    frames = np.zeros((count, steps, POLARITIES, *size), np.uint8)
    labels = np.zeros(count, np.int64)
    for index, (label, source, events) in enumerate(recordings):
        _check_events(events, source, size)
        frames[index], labels[index] = bin_events(events, steps, size), label
    return Split(frames, labels)


def _check_events(events: Events, source: str, size: tuple[int, int]) -> None:
    if not len(events):
        raise InputError(f"{source} holds 0 events, but a recording needs at least 1: fetch it again")
    height, width = size
    outside = ((events < 0) | (events[:, 0:1] < 0)).any(1) | (events[:, 1:] >= (width, height, POLARITIES)).any(1)
    if outside.any():
        t, x, y, polarity = events[outside][0].tolist()
        raise InputError(
            f"{source} has an event at x = {x}, y = {y} of polarity {polarity} after {t} us, but this sensor has "
            f"{width}x{height} pixels, polarities 0 and 1, and times from 0: fetch it again"
        )


def _archived(path: Path) -> Iterator[tuple[int, str, bytes]]:
    """Label, name and content of each recording in a tar archive."""
    with (
        reading(path, "a whole gzipped tar archive", "fetch it again"),
        # As a stream, tarfile would skip what is not there piece by piece, for ever.
        io.BytesIO(read_unpacked(path, LARGEST_ARCHIVE)) as content,
        tarfile.open(fileobj=content, mode="r:") as archive,
    ):
        for member in archive:
            name = PurePosixPath(member.name)
            file = archive.extractfile(member) if member.isreg() and _is_recording(name) else None
            if file is not None:
                yield POKER_CLASSES.index(name.parent.name), f"{capped(name)} in {path}", read_at_most(file, LARGEST)


def _unpacked(folder: Path) -> Iterator[tuple[int, str, bytes]]:
    """Label, name and content of each recording below a folder."""
    for path in folder.glob("*/*.npy"):
        if _is_recording(path):
            yield POKER_CLASSES.index(path.parent.name), str(path), _content(path)


def _content(path: Path) -> bytes:
    with reading(path, "a recording", "fetch it again"):
        return read_bytes(path, LARGEST)


def _is_recording(path: PurePosixPath | Path) -> bool:
    return path.suffix == ".npy" and path.parent.name in POKER_CLASSES
