"""Data sets by name, from every folder they are looked for in."""

import gzip
import hashlib
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroprune.data.load import data_folder, list_datasets, load_dataset
from neuroprune.data.types import Augmentation
from neuroprune.errors import InputError

RNG = np.random.default_rng(0)


def write_idx(folder: Path, dotted: bool = False, zipped: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 6), ("t10k", 3)):
        for kind, values in (
            ("images-idx3", RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)),
            ("labels-idx1", np.arange(count, dtype=np.uint8)),
        ):
            name = f"{part}-{kind.replace('-', '.') if dotted else kind}-ubyte"
            data = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
            path = folder / (f"{name}.gz" if zipped else name)
            path.write_bytes(gzip.compress(data) if zipped else data)


def write_binary(path: Path, label_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    records = RNG.integers(0, 256, (2, label_bytes + 3072), dtype=np.uint8)
    records[:, :label_bytes] = 1
    records.tofile(path)


def write_python(path: Path, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"data": RNG.integers(0, 256, (2, 3072), dtype=np.uint8), key: [0, 1]}, 2))


CIFAR10_BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


def test_digits_are_always_there_in_a_fixed_stratified_split():
    data = load_dataset("digits")
    assert data.input_shape == (1, 8, 8)
    assert (len(data.train), len(data.test)) == (1437, 360)
    assert data.train.images.max() == 16
    shares = np.bincount(data.test.labels) / np.bincount(data.train.labels)
    assert shares.min() > 0.24 and shares.max() < 0.26
    pixels = hashlib.sha256(data.test.images.tobytes() + data.test.labels.tobytes()).hexdigest()
    assert pixels.startswith("3ea49a6c5c1f0810"), (
        "the split changed, so accuracies cannot be compared with earlier ones"
    )


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "MNIST/raw"),
        ("mnist", "mnist"),
        ("mnist", "."),
        ("fashion-mnist", "FashionMNIST/raw"),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "."),
    ],
)
@pytest.mark.parametrize(("dotted", "zipped"), [(False, False), (False, True), (True, False), (True, True)])
def test_idx_files_are_found_in_the_usual_places(tmp_path, name, place, dotted, zipped):
    write_idx(tmp_path / place, dotted, zipped)
    data = load_dataset(name, tmp_path)
    assert (len(data.train), len(data.test), data.input_shape) == (6, 3, (1, 28, 28))
    assert data.test.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("place", ["cifar-10-batches-bin", "."])
def test_cifar10_is_found_in_binary_batches(tmp_path, place):
    for batch in CIFAR10_BATCHES:
        write_binary(tmp_path / place / f"{batch}.bin", 1)
    data = load_dataset("cifar10", tmp_path)
    assert (len(data.train), len(data.test), data.input_shape) == (10, 2, (3, 32, 32))


@pytest.mark.parametrize("place", ["cifar-10-batches-py", "."])
def test_cifar10_is_found_in_python_batches(tmp_path, place):
    for batch in CIFAR10_BATCHES:
        write_python(tmp_path / place / batch, "labels")
    assert len(load_dataset("cifar10", tmp_path).train) == 10


@pytest.mark.parametrize("place", ["cifar-100-binary", "."])
def test_cifar100_is_found_in_binary_files(tmp_path, place):
    for part in ("train", "test"):
        write_binary(tmp_path / place / f"{part}.bin", 2)
    data = load_dataset("cifar100", tmp_path)
    assert (len(data.train), len(data.classes)) == (2, 100)


def test_cifar100_is_found_in_python_files(tmp_path):
    for part in ("train", "test"):
        write_python(tmp_path / "cifar-100-python" / part, "fine_labels")
    assert load_dataset("cifar100", tmp_path).train.labels.tolist() == [0, 1]


def test_the_folder_is_the_argument_else_the_variable_else_data(monkeypatch):
    monkeypatch.setenv("NEUROPRUNE_DATA", "/somewhere")
    assert data_folder(Path("/given")) == Path("/given")
    assert data_folder() == Path("/somewhere")
    monkeypatch.delenv("NEUROPRUNE_DATA")
    assert data_folder() == Path("data")


def test_sets_are_varied_as_is_usual_for_them():
    varied = {info.name: info.augmentation for info in list_datasets()}
    assert varied == {
        "digits": Augmentation(1),
        "mnist": Augmentation(2),
        "fashion-mnist": Augmentation(2, flip=True),
        "cifar10": Augmentation(4, flip=True),
        "cifar100": Augmentation(4, flip=True),
    }


def test_an_unknown_set_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="there is no data set 'imagenet'; choose one of digits, mnist, fashion-mnist"):
        load_dataset("imagenet")


NEED_FILES = [info for info in list_datasets() if info.files]


@pytest.mark.parametrize("info", NEED_FILES, ids=lambda info: info.name)
def test_a_missing_set_names_folder_files_and_remedy(tmp_path, info):
    assert len(NEED_FILES) == 4
    with pytest.raises(InputError) as caught:
        load_dataset(info.name, tmp_path)
    said = str(caught.value)
    assert said.startswith(
        f"data set {info.name} was not found in {tmp_path}; wanted are {info.files}: get them from http"
    )
    assert "--data-dir or NEUROPRUNE_DATA" in said and "--download" in said


def test_a_truncated_file_of_a_set_is_refused(tmp_path):
    write_idx(tmp_path)
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-100])
    with pytest.raises(InputError, match="holds 4604 bytes of values, but its header promises 4704"):
        load_dataset("mnist", tmp_path)


def test_download_without_torchvision_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(
        InputError, match=r"mnist cannot be downloaded because torchvision is not installed: install it"
    ):
        load_dataset("mnist", tmp_path, download=True)


class FakeTorchvision:
    """Stands for torchvision: `datasets.MNIST` writes its files where torchvision does, the others fail."""

    class datasets:  # noqa: N801
        @staticmethod
        def MNIST(root: str, download: bool) -> None:
            write_idx(Path(root) / "MNIST" / "raw")

        @staticmethod
        def CIFAR10(root: str, download: bool) -> None:
            raise RuntimeError("no route to host")


def test_download_uses_torchvision_and_then_reads_the_files(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", FakeTorchvision)
    assert len(load_dataset("mnist", tmp_path, download=True).train) == 6


def test_a_failed_download_says_why(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", FakeTorchvision)
    with pytest.raises(InputError, match=r"cifar10 could not be downloaded to .* \(no route to host\): check the conn"):
        load_dataset("cifar10", tmp_path, download=True)


@pytest.mark.parametrize("info", NEED_FILES, ids=lambda info: info.name)
def test_a_published_set_has_its_published_sizes(info):
    try:
        data = load_dataset(info.name)
    except InputError as missing:
        pytest.skip(str(missing))
    assert (len(data.train), len(data.test), data.input_shape) == (info.train_samples, info.test_samples, info.shape)
    assert np.array_equal(np.unique(data.test.labels), np.arange(len(info.classes)))
