"""Tiny-ImageNet as it is distributed: 200 classes of 64x64 pixels (http://cs231n.stanford.edu/tiny-imagenet-200.zip).

wnids.txt names the classes, train/<class>/images/*.JPEG are for training, and val/val_annotations.txt gives the class
of each file of val/images, which are for testing, as is usual, since the labels of test/ were never published. Classes
are in the order of their names, as torchvision's ImageFolder has them.
"""

from pathlib import Path

import numpy as np

from neuroprune.data.pictures import read_pictures
from neuroprune.data.types import Split
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import read_text, reading

SHAPE, CLASSES = (3, 64, 64), 200
LARGEST_TEXT = 1 << 24
AGAIN = "unpack it again"

Pictures = list[tuple[str, Path]]


def is_tiny_imagenet(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return (folder / "wnids.txt").is_file() and (folder / "val" / "val_annotations.txt").is_file()


def tiny_imagenet_parts(folder: Path) -> tuple[Pictures, Pictures]:
    """Class and file of each picture for training and for testing. Raises InputError for what is not whole."""
    classes = sorted(set(_lines(folder / "wnids.txt")))
    train = [(name, path) for name in classes for path in sorted((folder / "train" / name / "images").glob("*.*"))]
    empty = sorted(set(classes) - {name for name, _ in train})
    if empty or not classes:
        raise InputError(f"{folder}/train holds no pictures of the class {capped((*empty, '?')[0])}: {AGAIN}")
    test = []
    for line in _lines(folder / "val" / "val_annotations.txt"):
        file, name = (*line.split("\t"), "")[:2]
        path = folder / "val" / "images" / Path(file).name
        if name not in classes:
            raise InputError(
                f"val_annotations.txt of {folder} gives {capped(file)} the class {capped(name)!r}, which is not in "
                f"wnids.txt: {AGAIN}"
            )
        test.append((name, path))
    return train, test


def read_tiny_imagenet(folder: Path) -> tuple[Split, Split]:
    """Both parts. Raises InputError for what is not whole."""
    parts = tiny_imagenet_parts(folder)
    classes = {name: number for number, name in enumerate(sorted({name for name, _ in parts[0]}))}
    if len(classes) != CLASSES:
        raise InputError(f"{folder} holds {len(classes)} classes, but Tiny-ImageNet has {CLASSES}: {AGAIN}")
    train, test = (
        Split(read_pictures([path for _, path in part], SHAPE), np.array([classes[name] for name, _ in part]))
        for part in parts
    )
    return train, test


def _lines(path: Path) -> list[str]:
    with reading(path, "a list of Tiny-ImageNet's", AGAIN):
        return [line for line in read_text(path, LARGEST_TEXT).splitlines() if line]
