"""Data sets by name: where their files are looked for, and what is said when they are not there."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from neuroprune.data.catalog import DatasetInfo, find_dataset
from neuroprune.data.cifar import read_binary, read_python
from neuroprune.data.codings import Kind
from neuroprune.data.digits import read_digits
from neuroprune.data.events import read_nmnist, read_poker
from neuroprune.data.idx import read_idx_split
from neuroprune.data.types import Dataset, Split, make_dataset
from neuroprune.errors import InputError

FOLDER_VARIABLE = "NEUROPRUNE_DATA"


Find = Callable[[Path], tuple[Split, Split] | None]
FindRecordings = Callable[[Path, int], tuple[Split, Split] | None]


def data_folder(folder: Path | None = None) -> Path:
    """`folder`, else the one that NEUROPRUNE_DATA names, else ./data."""
    return folder or Path(os.environ.get(FOLDER_VARIABLE) or "data")


def load_dataset(
    name: str,
    folder: Path | None = None,
    download: bool = False,
    coding: Kind = "direct",
    steps: int | None = None,
) -> Dataset:
    """The data set `name`, read from `data_folder(folder)`.

    download: fetch files that are not there, with torchvision's downloader if torchvision is installed and knows them.
    coding: how images are shown (see `Coding`); steps: T, of coded images and of event recordings, which need it;
    images that are shown as they are have none.
    Raises InputError when the name is unknown, files are missing, cut short or of the wrong size, T is missing, or
    event recordings should be coded.
    """
    info = find_dataset(name)
    place = data_folder(folder)
    splits = _find(info, place, steps)
    if splits is None and download and info.torchvision:
        _download(info, place)
        splits = _find(info, place, steps)
    if splits is None:
        fetch = ", or fetch them with --download if torchvision is installed" if info.torchvision else ""
        raise InputError(
            f"data set {name} was not found in {place.resolve()}; wanted are {info.files}: get them from "
            f"{info.source} and name their folder with --data-dir or {FOLDER_VARIABLE}{fetch}"
        )
    train, test = splits
    return make_dataset(name, train, test, info.classes, info.augmentation, coding, steps)


def _find(info: DatasetInfo, folder: Path, steps: int | None) -> tuple[Split, Split] | None:
    if not info.recordings:
        return _FIND[info.name](folder)
    if steps is None or steps < 1:
        raise InputError(
            f"data set {info.name} is recorded in events, which are binned to T frames, but T is {steps}: give a "
            "number of steps of at least 1"
        )
    return _FIND_RECORDINGS[info.name](folder, steps)


def _find_idx(names: tuple[str, ...], folder: Path) -> tuple[Split, Split] | None:
    for place in (*(folder / name for name in names), folder):
        found = [_idx_file(place, part, kind) for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
        train_images, train_labels, test_images, test_labels = found
        if train_images and train_labels and test_images and test_labels:
            return read_idx_split(train_images, train_labels, (28, 28)), read_idx_split(
                test_images, test_labels, (28, 28)
            )
    return None


def _idx_file(folder: Path, part: str, kind: str) -> Path | None:
    """An idx file, plain or gzipped, under either spelling found in the wild ("images-idx3", "images.idx3")."""
    stems = (f"{part}-{kind}-ubyte", f"{part}-{kind.replace('-', '.')}-ubyte")
    candidates = (folder / f"{stem}{suffix}" for stem in stems for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _find_cifar10(folder: Path) -> tuple[Split, Split] | None:
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    for place in (folder / "cifar-10-batches-py", folder / "cifar-10-batches-bin", folder):
        if all((place / name).is_file() for name in (*batches, "test_batch")):
            return read_python([place / name for name in batches], "labels"), read_python(
                [place / "test_batch"], "labels"
            )
        if all((place / f"{name}.bin").is_file() for name in (*batches, "test_batch")):
            return read_binary([place / f"{name}.bin" for name in batches], 1), read_binary(
                [place / "test_batch.bin"], 1
            )
    return None


def _find_cifar100(folder: Path) -> tuple[Split, Split] | None:
    for place in (folder / "cifar-100-binary", folder / "cifar-100-python", folder):
        if (place / "train.bin").is_file() and (place / "test.bin").is_file():
            return read_binary([place / "train.bin"], 2), read_binary([place / "test.bin"], 2)
        if (place / "train").is_file() and (place / "test").is_file():
            return read_python([place / "train"], "fine_labels"), read_python([place / "test"], "fine_labels")
    return None


def _find_nmnist(folder: Path, steps: int) -> tuple[Split, Split] | None:
    for place in (folder / "N-MNIST", folder / "NMNIST", folder / "n-mnist", folder):
        if (place / "Train").is_dir() and (place / "Test").is_dir():
            return read_nmnist(place / "Train", steps), read_nmnist(place / "Test", steps)
    return None


def _find_poker(folder: Path, steps: int) -> tuple[Split, Split] | None:
    for place in (folder / "POKERDVS", folder / "poker-dvs", folder):
        for suffix in ("", ".tar.gz"):
            train, test = place / f"pips_train{suffix}", place / f"pips_test{suffix}"
            if train.exists() and test.exists():
                return read_poker(train, steps), read_poker(test, steps)
    return None


_FIND: Mapping[str, Find] = MappingProxyType(
    {
        "digits": lambda _: read_digits(),
        "mnist": partial(_find_idx, ("MNIST/raw", "mnist")),
        "fashion-mnist": partial(_find_idx, ("FashionMNIST/raw", "fashion-mnist")),
        "cifar10": _find_cifar10,
        "cifar100": _find_cifar100,
    }
)
_FIND_RECORDINGS: Mapping[str, FindRecordings] = MappingProxyType({"n-mnist": _find_nmnist, "poker-dvs": _find_poker})


def _download(info: DatasetInfo, folder: Path) -> None:
    try:
        from torchvision import datasets
    except ImportError as error:
        raise InputError(
            f"data set {info.name} cannot be downloaded because torchvision is not installed: "
            f"install it, or put the files into {folder.resolve()} from {info.source}"
        ) from error
    try:
        getattr(datasets, info.torchvision)(root=str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"data set {info.name} could not be downloaded to {folder.resolve()} ({error}): "
            f"check the connection and the free space, or get the files from {info.source}"
        ) from error
