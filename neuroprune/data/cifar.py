"""CIFAR-10 and CIFAR-100 in their official layouts (https://www.cs.toronto.edu/~kriz/cifar.html).

Binary: records of one label byte (CIFAR-100: coarse, then fine) and 3072 pixels, red, green and blue planes of 32x32.
Python: pickles of a dictionary with the pixels as a uint8 array [N, 3072] and lists of labels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import Labels
from neuroprune.data.plainpickle import Call, read_plain_pickle
from neuroprune.data.types import Images, Split
from neuroprune.errors import InputError
from neuroprune.reading import read_bytes, reading

SHAPE = (3, 32, 32)
PIXELS = 3072
LARGEST = 1 << 29
"""Bytes of a batch; the training split of CIFAR-100, the largest one, has up to 237 MB as a pickle."""


def read_binary(paths: Sequence[Path], label_bytes: int) -> Split:
    """The records of binary batches, joined; the last of the `label_bytes` is the label. Raises InputError."""
    records = np.concatenate([_binary_records(path, label_bytes + PIXELS) for path in paths])
    return Split(records[:, label_bytes:].reshape(-1, *SHAPE), records[:, label_bytes - 1].astype(np.int64))


def read_python(paths: Sequence[Path], labels_key: str) -> Split:
    """The samples of python batches, joined, with the labels under `labels_key`. Raises InputError."""
    parts = [_python_batch(path, labels_key) for path in paths]
    return Split(np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts]))


def _binary_records(path: Path, record: int) -> npt.NDArray[np.uint8]:
    with reading(path, "a batch of CIFAR", "fetch it again"):
        data = read_bytes(path, LARGEST)
    if not data or len(data) % record:
        raise InputError(
            f"{path} holds {len(data)} bytes, which is not a whole number of records of {record} bytes: fetch it again"
        )
    return np.frombuffer(data, np.uint8).reshape(-1, record)


def _python_batch(path: Path, labels_key: str) -> tuple[Images, Labels]:
    batch = read_plain_pickle(path, LARGEST)
    if not isinstance(batch, dict) or not {"data", labels_key} <= batch.keys():
        raise InputError(f"{path} has no data and {labels_key}, as a CIFAR batch must have: fetch it again")
    with reading(path, "a batch of CIFAR", "fetch it again"):
        labels, pixels = batch[labels_key], _array_bytes(batch["data"])
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise ValueError(f"its {labels_key} are no list of whole numbers")
        if pixels is None or len(pixels) != len(labels) * PIXELS:
            found = "no array of bytes" if pixels is None else f"{len(pixels)} bytes"
            raise InputError(
                f"{path} holds {found} for {len(labels)} labels, but needs {len(labels) * PIXELS} bytes: fetch it again"
            )
        return np.frombuffer(pixels, np.uint8).reshape(-1, *SHAPE), np.array(labels, dtype=np.int64)


def _array_bytes(call: object) -> bytes | None:
    """The bytes of a uint8 array in C order, as numpy pickles it: state (version, shape, dtype, order, bytes)."""
    if not isinstance(call, Call) or not isinstance(call.state, tuple) or len(call.state) != 5:
        return None
    _, _, dtype, fortran_order, content = call.state
    of_bytes = isinstance(dtype, Call) and dtype.arguments[:1] == ("u1",)
    if not of_bytes or fortran_order:
        return None
    if isinstance(content, Call) and content.function == "_codecs encode":
        content = content.arguments[0]
    if isinstance(content, str):
        content = content.encode("latin-1")
    return content if isinstance(content, bytes) else None
