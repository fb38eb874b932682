"""idx files: read to the byte, and refused in a sentence when they are not whole."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from neuroprune.data.idx import read_idx, read_idx_split
from neuroprune.errors import InputError


def idx_bytes(values: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


def write(path: Path, values: np.ndarray) -> Path:
    data = idx_bytes(values)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_values_come_back_plain_or_gzipped(tmp_path, name):
    values = np.arange(24).reshape(2, 3, 4)
    assert np.array_equal(read_idx(write(tmp_path / name, values), 3), values)


def test_frames_and_labels_make_a_split(tmp_path):
    pixels = np.arange(24).reshape(2, 3, 4)
    images, labels = write(tmp_path / "images", pixels), write(tmp_path / "labels", np.array([7, 3]))
    split = read_idx_split(images, labels, (3, 4))
    assert np.array_equal(split.images, pixels[:, None])
    assert split.labels.tolist() == [7, 3]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"",
            r"begins with the bytes \(none\), but an idx file of unsigned bytes in 1 dimensions begins with 00 0",
        ),
        (b"\x1f\x8b\x08\x00rest", "begins with the bytes 1f 8b 08 00, but"),
        (idx_bytes(np.zeros((2, 2))), "begins with the bytes 00 00 08 02, but"),
        (idx_bytes(np.zeros(9))[:-1], r"holds 8 bytes of values, but its header promises 9 \(9\): fetch it again"),
        (idx_bytes(np.zeros(9)) + b"x", "holds more than 9 bytes of values, but its header promises 9"),
        (
            bytes([0, 0, 8, 1, 255, 255, 255, 255]),
            r"is not a whole idx file \(its header promises 4294967295 bytes of values, and at most 268435456 are",
        ),
    ],
)
def test_what_is_no_whole_idx_file_is_refused(tmp_path, content, sentence):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path} {sentence}"):
        read_idx(path, 1)


def test_a_truncated_gzip_file_is_refused(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(200)))[:-12])
    with pytest.raises(InputError, match=r"labels\.gz is not a whole idx file \(.*\): fetch it again"):
        read_idx(path, 1)


def test_frames_of_another_size_are_refused(tmp_path):
    images, labels = write(tmp_path / "i", np.zeros((2, 3, 4))), write(tmp_path / "l", np.zeros(2))
    with pytest.raises(InputError, match="holds frames of 3x4 pixels, but this data set has 28x28: check"):
        read_idx_split(images, labels, (28, 28))


def test_another_number_of_labels_is_refused(tmp_path):
    images, labels = write(tmp_path / "i", np.zeros((2, 3, 4))), write(tmp_path / "l", np.zeros(5))
    with pytest.raises(
        InputError, match=r"holds 2 frames and .* 5 labels, but every frame needs one: fetch both again"
    ):
        read_idx_split(images, labels, (3, 4))


def test_a_file_that_unpacks_to_more_than_it_states_is_not_unpacked(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(9)) + bytes(1 << 24)))
    with pytest.raises(
        InputError, match=r"holds more than 9 bytes of values, but its header promises 9 \(9\): fetch it"
    ):
        read_idx(path, 1)


def test_no_memory_is_taken_for_what_a_header_only_promises(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 1 << 28))
    tracemalloc.start()
    with pytest.raises(InputError, match="holds 0 bytes of values, but its header promises 268435456"):
        read_idx(path, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 22
