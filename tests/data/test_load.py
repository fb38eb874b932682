"""Data sets by name, from every folder they are looked for in."""

import gzip
import hashlib
import pickle
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroprune.data.catalog import find_dataset, list_datasets
from neuroprune.data.load import data_folder, load_dataset
from neuroprune.data.types import Augmentation, Coding
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
        "n-mnist": Augmentation(2),
        "poker-dvs": Augmentation(2),
        "tiny-imagenet": Augmentation(4, flip=True),
        "dvs128-gesture": Augmentation(),
        "cifar10-dvs": Augmentation(4, flip=True),
        "shd": Augmentation(),
    }


def test_an_unknown_set_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="there is no data set 'imagenet': choose one of digits, mnist, fashion-mnist"):
        load_dataset("imagenet")


NEED_FILES = [info for info in list_datasets() if info.files]


@pytest.mark.parametrize("info", NEED_FILES, ids=lambda info: info.name)
def test_a_missing_set_names_folder_files_and_remedy(tmp_path, info):
    assert len(NEED_FILES) == 10
    with pytest.raises(InputError) as caught:
        load_dataset(info.name, tmp_path, download=info.recordings, steps=4)
    said = str(caught.value)
    assert said.startswith(
        f"data set {info.name} was not found in {tmp_path}; it consists of {info.files}: get them from http"
    )
    assert "--data-dir or NEUROPRUNE_DATA" in said and ("--download" in said) == bool(info.torchvision)


def test_a_truncated_file_of_a_set_is_refused(tmp_path):
    write_idx(tmp_path)
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-100])
    with pytest.raises(InputError, match="holds 4604 bytes of values, but its header promises 4704"):
        load_dataset("mnist", tmp_path)


def test_download_without_torchvision_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(
        InputError,
        match=r"mnist cannot be downloaded because torchvision is not installed: install a torchvision that fits torch "
        r"2\..*, or put the files into .* from https://",
    ):
        load_dataset("mnist", tmp_path, download=True)


@pytest.mark.parametrize("error", ["RuntimeError('operator torchvision::nms does not exist')", "OSError('undefined')"])
def test_download_with_a_torchvision_that_does_not_fit_torch_says_so(tmp_path, monkeypatch, error):
    (tmp_path / "torchvision.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    with pytest.raises(
        InputError,
        match=r"mnist cannot be downloaded because the torchvision that is installed does not fit torch 2\..* \("
        r"(operator torchvision::nms does not exist|undefined)\): install the one that does, or put the files into",
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


def write_nmnist(folder: Path) -> None:
    for part, count in (("Train", 3), ("Test", 2)):
        for number in range(count):
            path = folder / part / str(2 * number) / f"0{number}.bin"
            path.parent.mkdir(parents=True)
            path.write_bytes(bytes([number, 33, 0, 0, 5]))


@pytest.mark.parametrize("place", ["N-MNIST", "NMNIST", "n-mnist", "."])
def test_nmnist_is_found_in_the_usual_places(tmp_path, place):
    write_nmnist(tmp_path / place)
    data = load_dataset("n-mnist", tmp_path, steps=3)
    assert data.train.images.shape == (3, 3, 2, 34, 34)
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0, 2, 4], [0, 2])
    assert data.train.images[:, 0, 0, 33, :3].tolist() == np.eye(3).tolist()
    assert data.coding.steps == 3


@pytest.mark.parametrize("place", ["POKERDVS", "poker-dvs", "."])
@pytest.mark.parametrize("packed", [True, False])
def test_poker_is_found_packed_and_unpacked(tmp_path, place, packed):
    for part in ("train", "test"):
        folder = tmp_path / place / f"pips_{part}"
        for label, suit in enumerate(("cl", "he", "di", "sp")):
            (folder / suit).mkdir(parents=True)
            np.save(folder / suit / "0.npy", np.array([[0, 7, label, 1]], np.uint64))
        (folder / ".ipynb_checkpoints").mkdir()
        (folder / ".ipynb_checkpoints" / "0.npy").write_bytes(b"left over")
        if packed:
            shutil.make_archive(str(folder), "gztar", folder.parent, folder.name)
            shutil.rmtree(folder)
    data = load_dataset("poker-dvs", tmp_path, steps=2)
    assert data.test.labels.tolist() == [0, 1, 2, 3]
    assert data.test.images[:, 0, 1, :4, 7].tolist() == np.eye(4).tolist()


@pytest.mark.parametrize("steps", [None, 0])
def test_recordings_need_a_number_of_frames(tmp_path, steps):
    write_nmnist(tmp_path)
    with pytest.raises(InputError, match=f"binned to T frames, but T is {steps}: give a number of steps of at least 1"):
        load_dataset("n-mnist", tmp_path, steps=steps)


def test_coded_digits_have_the_steps_that_were_asked_for():
    data = load_dataset("digits", coding="poisson", steps=7)
    assert data.coding == Coding((0.0,), (16.0,), "poisson", 7)
    assert load_dataset("digits", steps=7).coding.steps is None


@pytest.mark.parametrize(("name", "sizes"), [("n-mnist", None), ("poker-dvs", (48, 20))])
def test_recordings_have_the_published_shape_and_events_at_every_step(name, sizes):
    """Of N-MNIST a part will do, so its sizes are left open."""
    try:
        data = load_dataset(name, steps=5)
    except InputError as missing:
        pytest.skip(str(missing))
    assert sizes is None or (len(data.train), len(data.test)) == sizes
    assert data.input_shape == find_dataset(name).shape
    assert np.array_equal(np.unique(data.test.labels), np.arange(len(data.classes)))
    assert data.train.images.any(axis=(2, 3, 4)).all()


@pytest.mark.parametrize("info", [info for info in NEED_FILES if not info.recordings], ids=lambda info: info.name)
def test_a_published_set_has_its_published_sizes(info):
    try:
        data = load_dataset(info.name)
    except InputError as missing:
        pytest.skip(str(missing))
    assert (len(data.train), len(data.test), data.input_shape) == (info.train_samples, info.test_samples, info.shape)
    assert np.array_equal(np.unique(data.test.labels), np.arange(len(info.classes)))
