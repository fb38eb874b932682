"""DVS128 Gesture, CIFAR10-DVS and the Spiking Heidelberg Digits, in the layouts that tonic and SpikingJelly unpack."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroprune.data.events import AGAIN, Columns, Events, parse_aedat3, parse_npy
from neuroprune.data.recordings import Recording, binned, read_file, recording_of
from neuroprune.data.types import Split
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import read_bytes, read_text, reading, size_of

if TYPE_CHECKING:
    import h5py

GESTURE_SHAPE, GESTURE_CLASSES = (2, 128, 128), tuple(map(str, range(11)))
TONIC_GESTURES = Columns(x=0, y=1, p=2, t=3, microseconds=1000)
LARGEST_SESSION = 1 << 30
"""Bytes of an .aedat file of DVS128 Gesture, which holds all gestures of a person under one light."""
LARGEST_TABLE = 1 << 20

CIFAR_SHAPE, CIFAR_TRAIN = (2, 128, 128), 900
"""Of each class of CIFAR10-DVS, the recordings that are for training: those with the lowest numbers, as is usual."""

SHD_SHAPE, SHD_CLASSES = (1, 1, 700), tuple(map(str, range(20)))
SHD_KINDS = ("iu", "f", "iu")
"""Of the numbers that labels, times and units are."""
MOST_RECORDINGS = 1 << 20
MICROSECONDS = 1e6


def read_spikingjelly_gestures(folder: Path, steps: int) -> Split:
    """The recordings <class>/*.npz that SpikingJelly cuts, in events_np/train or events_np/test. Raises InputError."""
    paths = sorted(folder.glob("*/*.npz"))
    return binned([recording_of(path, path.parent.name) for path in paths], GESTURE_CLASSES, steps, GESTURE_SHAPE)


def read_tonic_gestures(folder: Path, steps: int) -> Split:
    """The recordings <user>/<class>.npy of ibmGestureTrain or ibmGestureTest. Raises InputError."""
    paths = sorted(folder.rglob("*.npy"))
    parse = partial(parse_npy, columns=TONIC_GESTURES)
    recordings = [Recording(path.stem, str(path), partial(read_file, path, parse)) for path in paths]
    return binned(recordings, GESTURE_CLASSES, steps, GESTURE_SHAPE)


def read_original_gestures(folder: Path, part: str, steps: int) -> Split:
    """The gestures of the .aedat files that trials_to_train.txt or trials_to_test.txt names, as their tables cut them.

    part: train or test. A session is read once, for all its gestures. Raises InputError for what is not whole.
    """
    splits = []
    for line in _lines(folder / f"trials_to_{part}.txt"):
        path = folder / Path(line).name
        with reading(path, "a recording", AGAIN):
            events = parse_aedat3(read_bytes(path, LARGEST_SESSION), str(path))
        gestures = list(_cut(events, path))
        splits.append(binned(gestures, GESTURE_CLASSES, steps, GESTURE_SHAPE))
    if not splits:
        raise InputError(f"{folder}/trials_to_{part}.txt names no files: {AGAIN}")
    return Split(np.concatenate([split.images for split in splits]), np.concatenate([each.labels for each in splits]))


def read_cifar10_dvs(folder: Path, classes: tuple[str, ...], steps: int) -> tuple[Split, Split]:
    """Both parts of the recordings <class>/cifar10_<class>_<number>.npz or .aedat. Raises InputError."""
    train, test = [], []
    for name in classes:
        paths = [*(folder / name).glob("*.npz")] or [*(folder / name).glob("*.aedat")]
        recordings = [recording_of(path, name) for path in sorted(paths, key=_number)]
        if len(recordings) <= CIFAR_TRAIN:
            raise InputError(
                f"{folder / name} holds {len(recordings)} recordings (.npz or .aedat), but CIFAR10-DVS has 1000 of "
                f"each class, of which the first {CIFAR_TRAIN} are for training: {AGAIN}"
            )
        train += recordings[:CIFAR_TRAIN]
        test += recordings[CIFAR_TRAIN:]
    return binned(train, classes, steps, CIFAR_SHAPE), binned(test, classes, steps, CIFAR_SHAPE)


def read_shd(path: Path, steps: int) -> Split:
    """The recordings of an HDF5 file: spikes/times in seconds, spikes/units and labels. Raises InputError."""
    import h5py

    with reading(path, "a whole HDF5 file of spikes", AGAIN):
        size_of(path)
        with h5py.File(path, "r") as file:
            parts = labels, times, units = [file[name] for name in ("labels", "spikes/times", "spikes/units")]
            shapes = [part.shape for part in parts]
            if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0][0] > MOST_RECORDINGS:
                raise ValueError(f"its labels, times and units have the shapes {', '.join(map(str, shapes))}")
            kinds = (labels.dtype, *(h5py.check_vlen_dtype(part.dtype) for part in (times, units)))
            if not all(
                kind is not None and kind.kind in allowed for kind, allowed in zip(kinds, SHD_KINDS, strict=True)
            ):
                raise ValueError("its labels are no whole numbers, or its times and units no lists of numbers")
            recordings = [
                Recording(str(label), f"recording {index} of {path}", partial(_spikes, times, units, index))
                for index, label in enumerate(labels[:].tolist())
            ]
            unknown = next((each for each in recordings if each.of_class not in SHD_CLASSES), None)
            if unknown is not None:
                raise ValueError(f"it has the label {unknown.of_class}, and labels are 0 to {len(SHD_CLASSES) - 1}")
            return binned(recordings, SHD_CLASSES, steps, SHD_SHAPE)


def _spikes(times: "h5py.Dataset", units: "h5py.Dataset", index: int) -> Events:
    t = np.asarray(times[index], np.float64)
    x = np.asarray(units[index]).astype(np.int64)
    if t.shape != x.shape or not np.isfinite(t).all():
        raise ValueError(f"recording {index} has {t.size} times for {x.size} units, or times that are not finite")
    zeros = np.zeros_like(x)
    return np.stack([np.rint(t * MICROSECONDS).astype(np.int64), x, zeros, zeros], axis=1)


def _cut(events: Events, path: Path) -> Iterator[Recording]:
    """The gestures of a session: lines of class (from 1), and of the time at which one begins and ends."""
    table = path.with_name(f"{path.stem}_labels.csv")
    for number, line in enumerate(_lines(table)[1:]):
        with reading(table, "a table of gestures", AGAIN):
            label, start, end = (int(value) for value in line.split(","))
        inside = (events[:, 0] >= start) & (events[:, 0] < end)
        yield Recording(str(label - 1), f"gesture {number + 1} of {capped(path)}", partial(events.__getitem__, inside))


def _lines(path: Path) -> list[str]:
    with reading(path, "a list of DVS128 Gesture", AGAIN):
        return [line.strip() for line in read_text(path, LARGEST_TABLE).splitlines() if line.strip()]


def _number(path: Path) -> tuple[int, str]:
    """The number with which the name of a file ends."""
    digits = re.search(r"(\d{1,9})$", path.stem)
    return (int(digits[1]) if digits else 0), path.name
