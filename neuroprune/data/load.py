"""Data sets by name or path: where their files are looked for, and the errors when they are missing."""

import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from neuroprune.choices import names
from neuroprune.data.catalog import DATASETS, DatasetInfo, find_dataset
from neuroprune.data.codings import Kind
from neuroprune.data.own import describe_path, digest_of, is_path
from neuroprune.data.types import Dataset, Origin, Split, make_dataset
from neuroprune.errors import InputError
from neuroprune.excerpts import excerpt

FOLDER_VARIABLE = "NEUROPRUNE_DATA"


def data_folder(folder: Path | None = None) -> Path:
    """`folder`, else the one that NEUROPRUNE_DATA names, else ./data."""
    return folder or Path(os.environ.get(FOLDER_VARIABLE) or "data")


def describe_dataset(data: str | Path, folder: Path | None = None) -> DatasetInfo:
    """What is known, before its samples are read, of the data set of that name, or of the one in that file or folder.

    folder: as for `load_dataset`. Raises InputError when there is none, or its files are none of a data set.

    >>> from neuroprune import describe_dataset
    >>> describe_dataset("mnist").shape
    (1, 28, 28)
    """
    if isinstance(data, Path) or is_path(data):
        return describe_path(str(data), data_folder(folder))
    if data not in names(DATASETS):
        raise InputError(
            f"there is no data set {excerpt(data)}: choose one of {', '.join(names(DATASETS))}, or name a .npz file or "
            "a folder of classes by its path"
        )
    return find_dataset(data)


def load_dataset(
    data: str | Path | DatasetInfo,
    folder: Path | None = None,
    download: bool = False,
    coding: Kind = "direct",
    steps: int | None = None,
) -> Dataset:
    """The data set of that name, or one of your own, read from `data_folder(folder)`.

    data: a name; a .npz file of arrays, or a folder with a folder for each class, as docs/data.md describes them; or an
    object that says how it is found. A path that leads nowhere is looked for in `folder` by its last name.
    download: fetch files that are not there, with torchvision's downloader if torchvision is installed and knows them.
    coding: of images (see `Coding`): "direct", "rows", "poisson" (rate) or "latency" (time-to-first-spike); steps: T,
    needed for images coded as spikes and for event recordings.
    Raises InputError when the name is unknown, files are missing, cut short or of the wrong size, T is missing, or
    event recordings should be coded.

    >>> from neuroprune import load_dataset
    >>> data = load_dataset("digits")
    >>> data.input_shape, len(data.train), len(data.test)
    ((1, 8, 8), 1437, 360)
    """
    info = data if isinstance(data, DatasetInfo) else describe_dataset(data, folder)
    place = data_folder(folder)
    splits = _find(info, place, steps)
    if splits is None and download and info.torchvision:
        _download(info, place)
        splits = _find(info, place, steps)
    if splits is None:
        files = f"; it consists of {info.files}" if info.files else ""
        get = f"get them from {info.source} and " if info.source else ""
        fetch = ", or fetch them with --download if torchvision is installed" if info.torchvision else ""
        raise InputError(
            f"data set {info.name} was not found in {place.resolve()}{files}: {get}name the folder of "
            f"its files with --data-dir or {FOLDER_VARIABLE}{fetch}"
        )
    train, test = splits
    made = make_dataset(info.name, train, test, info.classes, info.augmentation, coding, steps, info.full_scale)
    return made if info.path is None else replace(made, origin=Origin(str(info.path), digest_of(made)))


def _find(info: DatasetInfo, folder: Path, steps: int | None) -> tuple[Split, Split] | None:
    if info.recordings and (steps is None or steps < 1):
        raise InputError(
            f"data set {info.name} is recorded in events, which are binned to T frames, but T is {steps}: give a "
            "number of steps of at least 1"
        )
    if info.steps is not None and steps not in (None, info.steps):
        raise InputError(
            f"data set {info.name} has sequences of {info.steps} frames, which cannot be shown in {steps} steps: give "
            f"--steps {info.steps}"
        )
    return info.find(folder, steps)


def _download(info: DatasetInfo, folder: Path) -> None:
    otherwise = f"or put the files into {folder.resolve()} from {info.source}"
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        raise InputError(
            f"data set {info.name} cannot be downloaded because {error.name} is not installed: install a torchvision "
            f"that fits torch {version('torch')}, {otherwise}"
        ) from error
    except Exception as error:
        raise InputError(
            f"data set {info.name} cannot be downloaded because the torchvision that is installed does not fit torch "
            f"{version('torch')} ({_first_line(error)}): install the one that does, {otherwise}"
        ) from error
    try:
        getattr(datasets, info.torchvision)(root=str(folder), download=True)
    except Exception as error:
        raise InputError(
            f"data set {info.name} could not be downloaded to {folder.resolve()} ({_first_line(error)}): check the "
            f"connection and the free space, {otherwise}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
