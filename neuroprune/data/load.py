"""Data sets by name: where their files are looked for, and what is said when they are not there."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from neuroprune.data.cifar import read_binary, read_python
from neuroprune.data.digits import read_digits
from neuroprune.data.idx import read_idx_split
from neuroprune.data.types import Augmentation, Dataset, Split, make_dataset
from neuroprune.errors import InputError

FOLDER_VARIABLE = "NEUROPRUNE_DATA"


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before its files are read.

    files: what is looked for below the data folder, in words; source: where they come from; torchvision: the class of
    torchvision.datasets that can download them, "" where nothing needs downloading.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    train_samples: int
    test_samples: int
    classes: tuple[str, ...]
    augmentation: Augmentation
    files: str = ""
    source: str = ""
    torchvision: str = ""


Find = Callable[[Path], tuple[Split, Split] | None]

_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_IDX_FILES = "{train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte (or .gz)"

_INFOS = (
    DatasetInfo("digits", "handwritten digits of scikit-learn", (1, 8, 8), 1437, 360, _DIGITS, Augmentation(1)),
    DatasetInfo(
        "mnist",
        "handwritten digits",
        (1, 28, 28),
        60_000,
        10_000,
        _DIGITS,
        Augmentation(2),
        f"{_IDX_FILES} in MNIST/raw, mnist or the folder itself",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "MNIST",
    ),
    DatasetInfo(
        "fashion-mnist",
        "Zalando's articles of clothing",
        (1, 28, 28),
        60_000,
        10_000,
        _CLOTHES,
        Augmentation(2, flip=True),
        f"{_IDX_FILES} in FashionMNIST/raw, fashion-mnist or the folder itself",
        "https://github.com/zalandoresearch/fashion-mnist",
        "FashionMNIST",
    ),
    DatasetInfo(
        "cifar10",
        "small colour photographs of ten kinds",
        (3, 32, 32),
        50_000,
        10_000,
        _CIFAR10,
        Augmentation(4, flip=True),
        "data_batch_1 to data_batch_5 and test_batch, in cifar-10-batches-py or (each with .bin) cifar-10-batches-bin",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "CIFAR10",
    ),
    DatasetInfo(
        "cifar100",
        "small colour photographs of a hundred kinds",
        (3, 32, 32),
        50_000,
        10_000,
        tuple(str(number) for number in range(100)),
        Augmentation(4, flip=True),
        "train.bin and test.bin in cifar-100-binary, or train and test in cifar-100-python",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "CIFAR100",
    ),
)


def list_datasets() -> tuple[DatasetInfo, ...]:
    """All data sets that `load_dataset` knows, the default first."""
    return _INFOS


def data_folder(folder: Path | None = None) -> Path:
    """`folder`, else the one that NEUROPRUNE_DATA names, else ./data."""
    return folder or Path(os.environ.get(FOLDER_VARIABLE) or "data")


def load_dataset(name: str, folder: Path | None = None, download: bool = False) -> Dataset:
    """The data set `name`, read from `data_folder(folder)`.

    download: fetch files that are not there, with torchvision's downloader if torchvision is installed.
    Raises InputError when the name is unknown, or files are missing, cut short or of the wrong size.
    """
    info = next((info for info in _INFOS if info.name == name), None)
    if info is None:
        known = ", ".join(info.name for info in _INFOS)
        raise InputError(f"there is no data set {name!r}; choose one of {known}")
    place = data_folder(folder)
    splits = _FIND[name](place)
    if splits is None and download:
        _download(info, place)
        splits = _FIND[name](place)
    if splits is None:
        raise InputError(
            f"data set {name} was not found in {place.resolve()}; wanted are {info.files}: get them from "
            f"{info.source} and name their folder with --data-dir or {FOLDER_VARIABLE}, or fetch them with --download "
            "if torchvision is installed"
        )
    train, test = splits
    return make_dataset(name, train, test, info.classes, info.augmentation)


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


_FIND: Mapping[str, Find] = MappingProxyType(
    {
        "digits": lambda _: read_digits(),
        "mnist": partial(_find_idx, ("MNIST/raw", "mnist")),
        "fashion-mnist": partial(_find_idx, ("FashionMNIST/raw", "fashion-mnist")),
        "cifar10": _find_cifar10,
        "cifar100": _find_cifar100,
    }
)


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
