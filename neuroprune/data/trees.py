"""Data sets of one's own in a folder: a file a sample, in folders that are called by their classes.

    train/<class>/*.png     and test/<class>/*.png, as torchvision's ImageFolder has them; parts may also be called
                            training, testing, val, valid or validation, alone or after other words, as pips_train
    train.tar.gz            a part that is packed, of event recordings
    <class>/*.png           one part, of which a share is for testing (`neuroprune.data.parts.held_for_test`)

Classes are in the order of their names as text. Files may lie deeper, as in Tiny-ImageNet's <class>/images.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from neuroprune.arrays import Labels
from neuroprune.data.catalog import DatasetInfo
from neuroprune.data.events import FORMATS, OTHER_FORMATS, how_to_convert
from neuroprune.data.parts import TEST, TRAIN, held_for_test, split_for_test
from neuroprune.data.pictures import SUFFIXES, read_pictures, shape_of
from neuroprune.data.recordings import ARCHIVE, Recording, binned, recording_of, recordings_in, sensor_of
from neuroprune.data.tiny_imagenet import is_tiny_imagenet, tiny_imagenet_parts
from neuroprune.data.types import Augmentation, Split
from neuroprune.errors import InputError
from neuroprune.excerpts import capped

Pictures = list[tuple[str, Path]]
"""The class and the file of each picture of a part."""


def describe_folder(folder: Path) -> DatasetInfo:
    """The data set in `folder`: its files are listed, pictures opened and recordings read once, to learn their size.

    Raises InputError.
    """
    if is_tiny_imagenet(folder):
        parts = list(tiny_imagenet_parts(folder))
        return _of_pictures(folder, parts, tuple(sorted({name for name, _ in parts[0]})))
    places = _places(folder)
    files = [None if place.is_file() else _files_by_class(place) for place in places]
    suffixes = {path.suffix.lower() for each in files if each is not None for paths in each.values() for path in paths}
    if suffixes and suffixes <= set(SUFFIXES) and None not in files:
        pictures = [[(name, path) for name, paths in (each or {}).items() for path in paths] for each in files]
        return _of_pictures(folder, pictures, _classes(folder, pictures))
    if suffixes <= set(FORMATS):
        recordings = [
            recordings_in(place)
            if each is None
            else [recording_of(path, name) for name, paths in each.items() for path in paths]
            for place, each in zip(places, files, strict=True)
        ]
        named = [[(each.of_class, each) for each in part] for part in recordings]
        return _of_recordings(folder, recordings, _classes(folder, named))
    raise InputError(
        f"{folder} holds files of several kinds ({capped(', '.join(sorted(suffixes)))}), but a data set is of pictures "
        "or of recordings: keep them apart"
    )


def _places(folder: Path) -> list[Path]:
    """The training and the test part, or `folder` itself."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # so that a folder goes before its archive
        is_part = path.is_dir() or path.name.endswith(ARCHIVE)
        word = re.split(r"[^a-z]+", path.name.removesuffix(ARCHIVE).lower())[-1]
        if is_part and word in (*TRAIN, *TEST):
            found[word] = path
    train, test = (next((found[word] for word in words if word in found), None) for words in (TRAIN, TEST))
    if train is not None and test is not None:
        return [train, test]
    if train is None and test is None:
        return [folder]
    raise InputError(
        f"{folder} holds {(train or test).name} but no {'test' if test is None else 'training'} part beside it: call "  # type: ignore[union-attr]
        f"its folder {'test' if test is None else 'train'}, or name the folder of classes where they are not yet split"
    )


def _files_by_class(part: Path) -> dict[str, list[Path]]:
    """The files of each class, in the order of names. Raises InputError where there is none."""
    found: dict[str, list[Path]] = {}
    for place in sorted(path for path in part.iterdir() if path.is_dir() and not path.name.startswith(".")):
        inside = [path for path in sorted(place.rglob("*")) if not _is_hidden(path.relative_to(part))]
        files = [path for path in inside if path.suffix.lower() in (*SUFFIXES, *FORMATS)]
        if not files:
            other = next((path for path in inside if path.suffix.lower() in OTHER_FORMATS), None)
            raise InputError(
                f"{place} holds no picture ({', '.join(SUFFIXES)}) and no recording ({', '.join(FORMATS)})"
                + (_other(other) if other else ", but is the folder of a class: put its samples there, or remove it")
            )
        found[place.name] = files
    if not found:
        raise InputError(
            f"{part} holds no folders of classes, and is no data set that is known: name a .npz file, a folder with "
            "train/<class>/ and test/<class>/, or a data set, with --data-dir for the folder of its files"
        )
    return found


def _other(path: Path) -> str:
    suffix = path.suffix.lower()
    return f", though {capped(path.name)}, which is {OTHER_FORMATS[suffix][0]}: {how_to_convert(suffix)}"


def _is_hidden(path: Path) -> bool:
    return any(name.startswith(".") for name in path.parts)


def _classes(folder: Path, parts: Sequence[Sequence[tuple[str, object]]]) -> tuple[str, ...]:
    """The classes of the training part, which those of the test part must be among."""
    classes = tuple(sorted({name for name, _ in parts[0]}))
    unknown = sorted({name for name, _ in parts[-1]} - set(classes))
    if unknown or not classes:
        raise InputError(
            f"{folder} has {f'the class {capped(unknown[0])} in its test part' if unknown else 'no class'} but none so "
            "called in its training part: give both the same classes"
        )
    return classes


def _of_pictures(folder: Path, parts: Sequence[Pictures], classes: tuple[str, ...]) -> DatasetInfo:
    shape = shape_of([path for part in parts for _, path in part])
    numbers = {name: number for number, name in enumerate(classes)}
    labels = [np.array([numbers[name] for name, _ in part], np.int64) for part in parts]

    def read(part: int, steps: int | None) -> Split:
        return Split(read_pictures([path for _, path in parts[part]], shape), labels[part])

    return _described(folder, "pictures", shape, labels, classes, read)


def _of_recordings(folder: Path, parts: Sequence[list[Recording]], classes: tuple[str, ...]) -> DatasetInfo:
    shape = sensor_of(each for part in parts for each in part)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = [np.array(sorted(numbers[each.of_class] for each in part), np.int64) for part in parts]

    def read(part: int, steps: int | None) -> Split:
        assert steps is not None  # load_dataset refuses recordings without it
        return binned(parts[part], classes, steps, shape)

    return _described(folder, "recordings", shape, labels, classes, read)


def _described(
    folder: Path,
    what: str,
    shape: tuple[int, int, int],
    labels: list[Labels],
    classes: tuple[str, ...],
    read: Callable[[int, int | None], Split],
) -> DatasetInfo:
    counts = [len(each) for each in labels]
    if len(labels) == 1:
        held = int(held_for_test(labels[0]).sum())
        counts = [counts[0] - held, held]

    def find(_: Path, steps: int | None) -> tuple[Split, Split]:
        return (read(0, steps), read(1, steps)) if len(labels) > 1 else split_for_test(read(0, steps))

    return DatasetInfo(
        folder.name,
        f"{what} in folders",
        shape,
        counts[0],
        counts[1],
        classes,
        Augmentation(),
        find,
        recordings=what == "recordings",
        path=folder,
    )
