"""Event recordings as frames: files of one class a folder, each binned to T counts of every pixel."""

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path, PurePath, PurePosixPath

import numpy as np

from neuroprune.data.events import AGAIN, FORMATS, LARGEST, Events
from neuroprune.data.types import Images, Split
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import read_at_most, read_bytes, read_unpacked, reading

Shape = tuple[int, int, int]
"""(polarities, height, width) of a sensor."""

POLARITIES = 2
NMNIST_SHAPE, NMNIST_CLASSES = (POLARITIES, 34, 34), tuple("0123456789")
POKER_SHAPE, POKER_CLASSES = (POLARITIES, 35, 35), ("cl", "he", "di", "sp")

MOST_COUNTED = 255
LARGEST_ARCHIVE = 1 << 27
"""Bytes of an archive of recordings, unpacked."""
ARCHIVE = ".tar.gz"
LARGEST_SIDE = 1 << 11
"""Pixels of a sensor that nothing else says the size of; the largest event cameras have 1280."""
MOST_BYTES = 1 << 34
"""Of the frames of a part."""


@dataclass(frozen=True)
class Recording:
    """One recording: the name of its class, what errors call it, and what reads it."""

    of_class: str
    source: str
    events: Callable[[], Events]


def bin_events(events: Events, steps: int, shape: Shape) -> Images:
    """How many events each pixel saw in each of `steps` slices of equal time: uint8 [steps, *shape].

    A slice lasts (last - first) // steps us, and the last one to the end of the recording, as SpikingJelly splits
    recordings by time. Counts stop at 255. All events must lie in `shape`; at least one is needed.
    """
    t, x, y, polarity = events.T
    first = t.min()
    duration = max(1, int(t.max() - first) // steps)
    step = np.minimum((t - first) // duration, steps - 1)
    whole = (steps, *shape)
    counts = np.bincount(np.ravel_multi_index((step, polarity, y, x), whole), minlength=int(np.prod(whole)))
    return np.minimum(counts, MOST_COUNTED).astype(np.uint8).reshape(whole)


def read_nmnist(folder: Path, steps: int) -> Split:
    """The recordings <digit>/*.bin below `folder`, as frames. Raises InputError for one that is not whole."""
    return binned(recordings_in(folder, (".bin",)), NMNIST_CLASSES, steps, NMNIST_SHAPE)


def read_poker(place: Path, steps: int) -> Split:
    """The recordings <class>/*.npy in an archive or a folder, as frames. Raises InputError for what is not whole."""
    return binned(recordings_in(place, (".npy",)), POKER_CLASSES, steps, POKER_SHAPE)


def recordings_in(place: Path, suffixes: Sequence[str] = tuple(FORMATS)) -> list[Recording]:
    """The recordings <class>/<file> below a folder or in a gzipped tar archive, in the order of their names."""
    if place.is_file():
        return sorted(_archived(place, suffixes), key=lambda each: each.source)
    paths = [path for path in place.glob("*/*") if is_recording(path, suffixes)]
    return [recording_of(path, path.parent.name) for path in sorted(paths)]


def recording_of(path: Path, of_class: str) -> Recording:
    """The recording in a file."""
    return Recording(of_class, str(path), partial(read_file, path, FORMATS[path.suffix]))


def binned(recordings: Iterable[Recording], classes: Sequence[str], steps: int, shape: Shape) -> Split:
    """The recordings of these classes, class by class, as frames. Raises InputError."""
    numbers = {name: number for number, name in enumerate(classes)}
    known = sorted((each for each in recordings if each.of_class in numbers), key=lambda each: numbers[each.of_class])
    whole = (len(known), steps, *shape)
    if prod(whole) > MOST_BYTES:
        raise InputError(
            f"{len(known)} recordings as {steps} frames of {shape} (polarities, height, width) take {prod(whole)} "
            f"bytes, but at most {MOST_BYTES} are taken: give fewer steps"
        )
    frames = np.zeros(whole, np.uint8)
    for index, recording in enumerate(known):
        events = recording.events()
        _check_events(events, recording.source, shape)
        frames[index] = bin_events(events, steps, shape)
    return Split(frames, np.array([numbers[each.of_class] for each in known], np.int64))


def sensor_of(recordings: Iterable[Recording]) -> Shape:
    """The smallest sensor that has seen all these recordings, which are read for it. Raises InputError."""
    height, width = 1, 1
    for recording in recordings:
        events = recording.events()
        _check_events(events, recording.source, (POLARITIES, LARGEST_SIDE, LARGEST_SIDE))
        width, height = max(width, int(events[:, 1].max()) + 1), max(height, int(events[:, 2].max()) + 1)
    return POLARITIES, height, width


def _check_events(events: Events, source: str, shape: Shape) -> None:
    if not len(events):
        raise InputError(f"{source} holds 0 events, but a recording needs at least 1: {AGAIN}")
    polarities, height, width = shape
    outside = ((events < 0) | (events[:, 0:1] < 0)).any(1) | (events[:, 1:] >= (width, height, polarities)).any(1)
    if outside.any():
        t, x, y, polarity = events[outside][0].tolist()
        signs = "polarity 0" if polarities == 1 else "polarities 0 and 1"
        raise InputError(
            f"{source} has an event at x = {x}, y = {y} of polarity {polarity} after {t} us, but this sensor has "
            f"{width}x{height} pixels, {signs}, and times from 0: {AGAIN}"
        )


def _archived(path: Path, suffixes: Sequence[str]) -> Iterator[Recording]:
    """The recordings in a tar archive, in memory."""
    with (
        reading(path, "a whole gzipped tar archive", AGAIN),
        # As a stream, tarfile would skip what is not there piece by piece, for ever.
        io.BytesIO(read_unpacked(path, LARGEST_ARCHIVE)) as content,
        tarfile.open(fileobj=content, mode="r:") as archive,
    ):
        for member in archive:
            name = PurePosixPath(member.name)
            file = archive.extractfile(member) if member.isreg() and is_recording(name, suffixes) else None
            if file is not None:
                source = f"{capped(name)} in {path}"
                parse = partial(FORMATS[name.suffix], read_at_most(file, LARGEST), source)
                yield Recording(name.parent.name, source, parse)


def read_file(path: Path, parse: Callable[[bytes, str], Events]) -> Events:
    """The events of a file that `parse` reads. Raises InputError."""
    with reading(path, "a recording", AGAIN):
        content = read_bytes(path, LARGEST)
    return parse(content, str(path))


def is_recording(path: PurePath, suffixes: Sequence[str]) -> bool:
    """Whether a file of that name, in a folder of that name, is a recording; what is hidden is none."""
    return path.suffix in suffixes and not path.name.startswith(".") and not path.parent.name.startswith(".")
