"""idx files, plain or gzipped: the format of MNIST and Fashion-MNIST (http://yann.lecun.com/exdb/mnist).

Header: two zero bytes, the type of the values (8: unsigned byte), the number of dimensions, then each dimension as a
big-endian 32-bit integer; the values follow.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neuroprune.data.types import Split
from neuroprune.errors import InputError

UNSIGNED_BYTE = 8


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The unsigned bytes of an idx file of that many dimensions. Raises InputError when it is none, or cut short."""
    data = _content(path)
    head = 4 + 4 * dimensions
    if len(data) < head or data[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise InputError(
            f"{path} begins with the bytes {data[:4].hex(' ') or '(none)'}, but an idx file of unsigned bytes in "
            f"{dimensions} dimensions begins with 00 00 08 {dimensions:02x}: fetch it again"
        )
    shape = struct.unpack(f">{dimensions}I", data[4:head])
    promised = int(np.prod(shape, dtype=object))
    if len(data) - head != promised:
        raise InputError(
            f"{path} holds {len(data) - head} bytes of values, but its header promises {promised} "
            f"({' x '.join(map(str, shape))}): fetch it again"
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)


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


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read whole ({error}): fetch it again") from error
