"""CIFAR batches in both official layouts, small ones made here."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from neuroprune.data.cifar import read_binary, read_python
from neuroprune.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)


def python_batch(path: Path, pixels: np.ndarray, labels: list[int]) -> Path:
    path.write_bytes(pickle.dumps({"data": pixels.reshape(len(pixels), -1), "labels": labels}, protocol=2))
    return path


def test_python_batches_are_joined_in_order(tmp_path):
    paths = [python_batch(tmp_path / str(i), PIXELS[2 * i : 2 * i + 2], [i, i + 3]) for i in range(2)]
    split = read_python(paths, "labels")
    assert np.array_equal(split.images, PIXELS)
    assert split.labels.tolist() == [0, 3, 1, 4]


@pytest.mark.parametrize(("label_bytes", "labels"), [(1, [5, 6, 7, 8]), (2, [5, 6, 7, 8])])
def test_binary_records_give_their_last_label(tmp_path, label_bytes, labels):
    path = tmp_path / "batch.bin"
    heads = np.array([[99] * (label_bytes - 1) + [label] for label in labels], np.uint8)
    np.concatenate([heads, PIXELS.reshape(4, -1)], axis=1).tofile(path)
    split = read_binary([path, path], label_bytes)
    assert np.array_equal(split.images, np.concatenate([PIXELS, PIXELS]))
    assert split.labels.tolist() == labels * 2


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_a_binary_batch_with_a_broken_record_is_refused(tmp_path, size):
    path = tmp_path / "batch.bin"
    path.write_bytes(bytes(size))
    sentence = f"holds {size} bytes, which is not a whole number of records of 3073 bytes: fetch it again"
    with pytest.raises(InputError, match=sentence):
        read_binary([path], 1)


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        ([1], "has no data and labels, as a CIFAR batch must have: fetch it again"),
        ({"data": [1], "fine_labels": [1]}, "has no data and labels, as a CIFAR batch must have"),
        (
            {"data": PIXELS[:1], "labels": "1"},
            r"is not a batch of CIFAR \(its labels are no list of whole numbers\): fetch",
        ),
        ({"data": PIXELS[:1], "labels": [2**70]}, r"is not a batch of CIFAR \(Python int too large"),
        ({"data": [1], "labels": [1]}, "holds no array of bytes for 1 labels, but needs 3072 bytes: fetch it again"),
        (
            {"data": np.zeros(3072, np.int64), "labels": [1]},
            "holds no array of bytes for 1 labels, but needs 3072 bytes",
        ),
        ({"data": PIXELS, "labels": [1]}, "holds 12288 bytes for 1 labels, but needs 3072 bytes: fetch it again"),
    ],
)
def test_a_python_batch_that_is_none_is_refused(tmp_path, batch, sentence):
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(InputError, match=f"{path} {sentence}"):
        read_python([path], "labels")
