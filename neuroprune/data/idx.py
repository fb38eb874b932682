"""idx files, plain or gzipped: the format of MNIST and Fashion-MNIST (http://yann.lecun.com/exdb/mnist).

Header: two zero bytes, the type of the values (8: unsigned byte), the number of dimensions, then each dimension as a
big-endian 32-bit integer; the values follow.
"""

import gzip
import math
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from neuroprune.data.types import Split
from neuroprune.errors import InputError
from neuroprune.reading import read_up_to, reading, size_of

UNSIGNED_BYTE = 8
MOST_VALUES = 1 << 28
"""Five times the pixels of MNIST."""


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The unsigned bytes of an idx file of that many dimensions. Raises InputError when it is none, or cut short."""
    with reading(path, "a whole idx file", "fetch it again"), _opened(path) as stream:
        head = read_up_to(stream, 4 + 4 * dimensions)
        if len(head) < 4 + 4 * dimensions or head[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
            raise InputError(
                f"{path} begins with the bytes {head[:4].hex(' ') or '(none)'}, but an idx file of unsigned bytes in "
                f"{dimensions} dimensions begins with 00 00 08 {dimensions:02x}: fetch it again"
            )
        shape = struct.unpack(f">{dimensions}I", head[4:])
        promised = math.prod(shape)
        if promised > MOST_VALUES:
            raise ValueError(f"its header promises {promised} bytes of values, and at most {MOST_VALUES} are read")
        values = read_up_to(stream, promised + 1)
        if len(values) != promised:
            found = f"{len(values)} bytes" if len(values) < promised else f"more than {promised} bytes"
            raise InputError(
                f"{path} holds {found} of values, but its header promises {promised} "
                f"({' x '.join(map(str, shape))}): fetch it again"
            )
        return np.frombuffer(values, np.uint8).reshape(shape)


def read_idx_split(images: Path, labels: Path, size: tuple[int, int]) -> Split:
    """Frames of `size` (height, width) from one idx file with the labels of another. Raises InputError."""
    pixels, numbers = read_idx(images, 3), read_idx(labels, 1)
    if pixels.shape[1:] != size:
        raise InputError(
            f"{images} holds frames of {pixels.shape[1]}x{pixels.shape[2]} pixels, but this data set has "
            f"{size[0]}x{size[1]}: check that the file belongs to it"
        )
    if len(pixels) != len(numbers):
        raise InputError(
            f"{images} holds {len(pixels)} frames and {labels} {len(numbers)} labels, but every frame needs one: "
            "fetch both again"
        )
    return Split(pixels[:, None], numbers.astype(np.int64))


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    size_of(path)
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")
