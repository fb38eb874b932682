"""Data sets of one's own in a .npz file: arrays of frames or sequences, and their labels.

Arrays of a part are found by their names, in small or capital letters: train_images and train_labels, as MedMNIST has
them, x_train and y_train, as Keras has them, or with other words of IMAGES and LABELS. A file with one part has one of
these words alone, such as images and labels. The test part may be called val or valid where there is none called test.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import Labels
from neuroprune.data.catalog import DatasetInfo
from neuroprune.data.npy import Archive, open_npz
from neuroprune.data.parts import TEST, TRAIN, held_for_test, split_for_test
from neuroprune.data.pixels import SEQUENCE_AXES, bytes_in, labels_of
from neuroprune.data.types import Augmentation, Images, Split
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import reading

SUFFIX = ".npz"
IMAGES = ("images", "x", "data", "frames")
LABELS = ("labels", "y", "targets", "label", "target")
CLASSES = ("classes", "class_names", "label_names")
MOST_BYTES = 1 << 33
"""Of one array: twice Tiny-ImageNet as float32."""
MOST_CHANNELS = 4
"""Of images with the channels last; event cameras have 2, and pictures with an alpha channel 4."""

WHOLE, REMEDY = "a whole .npz file of arrays", "write it again with numpy.savez"
"""What errors say of a file."""


@dataclass(frozen=True)
class _Part:
    """Names of its arrays; values: of the labels as the file has them; shape: of the images as it has them."""

    images: str
    labels: str
    values: npt.NDArray[Any]
    shape: tuple[int, ...]

    @property
    def channels_last(self) -> bool:
        """Frames are [H, W, C] where the last axis has up to MOST_CHANNELS entries and the third to last has more."""
        return len(self.shape) > 3 and self.shape[-1] <= MOST_CHANNELS < self.shape[-3]


def describe_arrays(path: Path) -> DatasetInfo:
    """The data set in the .npz file `path`, of which headers and labels are read. Raises InputError."""
    with reading(path, WHOLE, REMEDY), open_npz(path, MOST_BYTES) as archive:
        parts = [_part(path, archive, *names) for names in _names(path, archive.names)]
        classes = _classes(path, archive, parts)
    numbers = [_numbered(path, part, classes) for part in parts]
    counts = [len(labels) for labels in numbers]
    if len(parts) == 1:
        held = int(held_for_test(numbers[0]).sum())
        counts = [counts[0] - held, held]

    def find(folder: Path, steps: int | None) -> tuple[Split, Split]:
        with reading(path, WHOLE, REMEDY), open_npz(path, MOST_BYTES) as archive:
            splits = [Split(_read(path, archive, part), labels) for part, labels in zip(parts, numbers, strict=True)]
        return (splits[0], splits[1]) if len(splits) > 1 else split_for_test(splits[0])

    shape = _frames(parts[0])
    channels, height, width = shape[-3:]
    return DatasetInfo(
        path.stem,
        f"arrays of {path.name}",
        (channels, height, width),
        counts[0],
        counts[1],
        classes,
        Augmentation(),
        find,
        steps=shape[1] if len(shape) == SEQUENCE_AXES else None,
        path=path,
    )


def _names(path: Path, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Names of images and labels of the training and the test part, or of the one part that there is."""
    found = {name.lower(): name for name in names}
    train, test = _of_part(found, TRAIN), _of_part(found, TEST)
    whole = _first(found, IMAGES), _first(found, LABELS)
    if train is not None and test is not None:
        return [train, test]
    if train is None and test is None and whole[0] is not None and whole[1] is not None:
        return [(whole[0], whole[1])]
    lacks = "test" if test is None and train is not None else "training" if test is not None else ""
    raise InputError(
        f"{path} holds {f'no {lacks} part' if lacks else 'no images with labels'} among its arrays "
        f"({capped(', '.join(names)) or 'none'}): call them train_images, train_labels, test_images and test_labels, "
        "or x_train, y_train, x_test and y_test, or images and labels where they are not yet split"
    )


def _of_part(found: dict[str, str], parts: Iterable[str]) -> tuple[str, str] | None:
    for part in parts:
        images, labels = (
            _first(found, [name for word in words for name in (f"{part}_{word}", f"{word}_{part}")])
            for words in (IMAGES, LABELS)
        )
        if images is not None and labels is not None:
            return images, labels
    return None


def _first(found: dict[str, str], names: Iterable[str]) -> str | None:
    return next((found[name] for name in names if name in found), None)


def _part(path: Path, archive: Archive, images: str, labels: str) -> _Part:
    values, shape = archive.array(labels), archive.header(images).shape
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(
            f"{capped(labels)} of {path} has the shape {values.shape}, but needs one number a sample, [N]: take the "
            "argmax where classes are one-hot"
        )
    if len(shape) not in (2, 3, 4, SEQUENCE_AXES) or 0 in shape:
        raise InputError(
            f"{capped(images)} of {path} has the shape {shape}, but needs samples [N, C, H, W], [N, H, W, C], "
            "[N, H, W], [N, features], or sequences [N, T, C, H, W], none of them empty: reshape it"
        )
    if len(values) != shape[0]:
        raise InputError(
            f"{path} holds {len(values)} {capped(labels)} for {shape[0]} {capped(images)}, but every sample needs one "
            "label: write those that belong together"
        )
    return _Part(images, labels, values, shape)


def _classes(path: Path, archive: Archive, parts: list[_Part]) -> tuple[str, ...]:
    """Names of the classes: those that the file lists, or of labels that are names, or else numbers."""
    stated = _first({name.lower(): name for name in archive.names}, CLASSES)
    if stated is not None:
        names = archive.array(stated)
        if names.ndim != 1 or names.dtype.kind not in "US" or not len(names):
            raise InputError(f"{capped(stated)} of {path} is no list of names of classes: write one as text, or none")
        return tuple(_texts(names))
    values = np.unique(np.concatenate([part.values for part in parts]))
    if values.dtype.kind in "US":
        return tuple(_texts(values))
    numbers = labels_of(f"labels of {path}", values)
    gaps = np.flatnonzero(numbers != np.arange(len(numbers)))
    if len(gaps):
        lowest, highest = int(numbers[0]), int(numbers[-1])
        raise InputError(
            f"labels of {path} go from {lowest} to {highest}{f' without {gaps[0]}' if lowest >= 0 else ''}, but number "
            f"the classes from 0 without gaps: number them so, or name all classes in an array {CLASSES[0]}"
        )
    return tuple(str(number) for number in numbers)


def _numbered(path: Path, part: _Part, classes: tuple[str, ...]) -> Labels:
    """The labels of a part as numbers of classes."""
    if part.values.dtype.kind not in "US":
        return labels_of(f"{capped(part.labels)} of {path}", part.values)
    numbers = {name: number for number, name in enumerate(classes)}
    names = _texts(part.values)
    unknown = next((name for name in names if name not in numbers), None)
    if unknown is not None:
        raise InputError(
            f"{capped(part.labels)} of {path} has the class {unknown}, which is not among its classes: name it there"
        )
    return np.array([numbers[name] for name in names], np.int64)


def _texts(names: npt.NDArray[Any]) -> list[str]:
    return [capped(name.decode("utf-8") if isinstance(name, bytes) else name) for name in names.tolist()]


def _read(path: Path, archive: Archive, part: _Part) -> Images:
    header = archive.header(part.images)
    subject = f"{capped(part.images)} of {path}"
    images = bytes_in(subject, header.shape, header.dtype, lambda: archive.blocks(part.images))
    if part.channels_last:
        return np.moveaxis(images, -1, -3)
    return images if images.ndim >= 4 else images.reshape(_frames(part))


def _frames(part: _Part) -> tuple[int, ...]:
    """The shape of its samples as [N, C, H, W] or [N, T, C, H, W]."""
    shape = part.shape
    if part.channels_last:
        return (*shape[:-3], shape[-1], *shape[-3:-1])
    return (shape[0], *(1,) * (4 - len(shape)), *shape[1:])
