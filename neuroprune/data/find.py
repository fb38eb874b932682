"""Finds the files of each data set below the data folder, in the layouts in which they are distributed.

Each function takes the data folder and T, which only recordings need, and returns the training and the test split, or
None where the files are not there. Raises InputError for files that are cut short or not of this data set.
"""

from pathlib import Path

from neuroprune.data.cifar import read_binary, read_python
from neuroprune.data.digits import read_digits
from neuroprune.data.idx import read_idx_split
from neuroprune.data.neuromorphic import (
    read_cifar10_dvs,
    read_original_gestures,
    read_shd,
    read_spikingjelly_gestures,
    read_tonic_gestures,
)
from neuroprune.data.recordings import read_nmnist, read_poker
from neuroprune.data.tiny_imagenet import is_tiny_imagenet, read_tiny_imagenet
from neuroprune.data.types import Split

Splits = tuple[Split, Split]

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def find_digits(folder: Path, steps: int | None) -> Splits:
    """They come with scikit-learn, so they are always there."""
    return read_digits()


def find_mnist(folder: Path, steps: int | None) -> Splits | None:
    return _find_idx((folder / "MNIST" / "raw", folder / "mnist", folder))


def find_fashion_mnist(folder: Path, steps: int | None) -> Splits | None:
    return _find_idx((folder / "FashionMNIST" / "raw", folder / "fashion-mnist", folder))


def find_cifar10(folder: Path, steps: int | None) -> Splits | None:
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


def find_cifar100(folder: Path, steps: int | None) -> Splits | None:
    for place in (folder / "cifar-100-binary", folder / "cifar-100-python", folder):
        if (place / "train.bin").is_file() and (place / "test.bin").is_file():
            return read_binary([place / "train.bin"], 2), read_binary([place / "test.bin"], 2)
        if (place / "train").is_file() and (place / "test").is_file():
            return read_python([place / "train"], "fine_labels"), read_python([place / "test"], "fine_labels")
    return None


def find_nmnist(folder: Path, steps: int | None) -> Splits | None:
    assert steps is not None  # load_dataset refuses recordings without it
    for place in (folder / "N-MNIST", folder / "NMNIST", folder / "n-mnist", folder):
        if (place / "Train").is_dir() and (place / "Test").is_dir():
            return read_nmnist(place / "Train", steps), read_nmnist(place / "Test", steps)
    return None


def find_poker(folder: Path, steps: int | None) -> Splits | None:
    assert steps is not None  # load_dataset refuses recordings without it
    for place in (folder / "POKERDVS", folder / "poker-dvs", folder):
        for suffix in ("", ".tar.gz"):
            train, test = place / f"pips_train{suffix}", place / f"pips_test{suffix}"
            if train.exists() and test.exists():
                return read_poker(train, steps), read_poker(test, steps)
    return None


def find_tiny_imagenet(folder: Path, steps: int | None) -> Splits | None:
    for place in (folder / "tiny-imagenet-200", folder / "tiny-imagenet", folder):
        if is_tiny_imagenet(place):
            return read_tiny_imagenet(place)
    return None


def find_dvs_gesture(folder: Path, steps: int | None) -> Splits | None:
    assert steps is not None  # load_dataset refuses recordings without it
    for place in (folder / "DVS128Gesture", folder / "DVSGesture", folder / "dvs128-gesture", folder):
        cut, original = place / "events_np", place / "extract" / "DvsGesture"
        if (cut / "train").is_dir() and (cut / "test").is_dir():
            return read_spikingjelly_gestures(cut / "train", steps), read_spikingjelly_gestures(cut / "test", steps)
        if (place / "ibmGestureTrain").is_dir() and (place / "ibmGestureTest").is_dir():
            return read_tonic_gestures(place / "ibmGestureTrain", steps), read_tonic_gestures(
                place / "ibmGestureTest", steps
            )
        for sessions in (original, place / "DvsGesture", place):
            if (sessions / "trials_to_train.txt").is_file() and (sessions / "trials_to_test.txt").is_file():
                return read_original_gestures(sessions, "train", steps), read_original_gestures(sessions, "test", steps)
    return None


def find_cifar10_dvs(folder: Path, steps: int | None) -> Splits | None:
    assert steps is not None  # load_dataset refuses recordings without it
    for place in (folder / "CIFAR10DVS", folder / "cifar10-dvs", folder):
        for inside in (place / "events_np", place / "extract", place):
            if all((inside / name).is_dir() for name in CIFAR10):
                return read_cifar10_dvs(inside, CIFAR10, steps)
    return None


def find_shd(folder: Path, steps: int | None) -> Splits | None:
    assert steps is not None  # load_dataset refuses recordings without it
    for place in (folder / "SHD", folder / "shd", folder):
        for inside in (place / "extract", place):
            train, test = inside / "shd_train.h5", inside / "shd_test.h5"
            if train.is_file() and test.is_file():
                return read_shd(train, steps), read_shd(test, steps)
    return None


def _find_idx(places: tuple[Path, ...]) -> Splits | None:
    for place in places:
        files = [_idx_file(place, part, kind) for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
        train_images, train_labels, test_images, test_labels = files
        if train_images and train_labels and test_images and test_labels:
            return read_idx_split(train_images, train_labels, (28, 28)), read_idx_split(
                test_images, test_labels, (28, 28)
            )
    return None


def _idx_file(folder: Path, part: str, kind: str) -> Path | None:
    """An idx file, plain or gzipped, under either spelling in use ("images-idx3", "images.idx3")."""
    stems = (f"{part}-{kind}-ubyte", f"{part}-{kind.replace('-', '.')}-ubyte")
    candidates = (folder / f"{stem}{suffix}" for stem in stems for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)
