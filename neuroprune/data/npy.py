"""Arrays in numpy's files, .npy and .npz, of nobody's vouching: numbers and text alone, never pickled objects.

numpy's own reader takes memory for what a header states before it knows whether it is there.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from neuroprune.reading import read_up_to, size_of

Array = npt.NDArray[Any]

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
SUFFIX = ".npy"
BLOCK = 1 << 22
"""Bytes of samples that are read together."""


@dataclass(frozen=True)
class Header:
    """What a .npy file states before its values."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(stream: IO[bytes], most: int) -> Array:
    """The array in a .npy file, of at most `most` bytes. Raises ValueError, and whatever damaged files cause."""
    header = read_header(stream, most)
    return _values(stream, header, header.shape)


def read_header(stream: IO[bytes], most: int) -> Header:
    """The header of a .npy file; the stream is then at the values. Raises ValueError, also for more than `most` bytes.

    Objects, which only unpickling makes, are refused.
    """
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"it is of version {version[0]}.{version[1]} of its format, and 1.0 and 2.0 are read")
    shape, is_fortran, dtype = HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which only unpickling would give, and that is never done")
    if min(shape, default=1) < 0:
        raise ValueError(f"its header states the shape {shape}")
    header = Header(shape, is_fortran, dtype)
    if header.bytes > most:
        raise ValueError(f"its header states {header.bytes} bytes of values, and at most {most} are read")
    return header


@dataclass(frozen=True)
class Archive:
    """An open .npz file. names: of its arrays; most: bytes that are read of each."""

    file: zipfile.ZipFile
    most: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name.removesuffix(SUFFIX) for name in self.file.namelist() if name.endswith(SUFFIX))

    def header(self, name: str) -> Header:
        """What is stated of the array `name`."""
        with self._opened(name) as (_, header):
            return header

    def array(self, name: str) -> Array:
        """The whole array `name`."""
        with self._opened(name) as (stream, header):
            return _values(stream, header, header.shape)

    def blocks(self, name: str) -> Iterator[Array]:
        """The array `name`, some of its first axis at a time."""
        with self._opened(name) as (stream, header):
            if header.is_fortran or not header.shape:
                yield _values(stream, header, header.shape)
                return
            count, *rest = header.shape
            several = max(1, BLOCK // max(1, math.prod(rest) * header.dtype.itemsize))
            for start in range(0, count, several):
                yield _values(stream, header, (min(several, count - start), *rest))

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[IO[bytes], Header]]:
        member = self.file.getinfo(name + SUFFIX)
        with self.file.open(member) as stream:
            header = read_header(stream, self.most)
            if header.bytes > member.file_size:
                raise ValueError(
                    f"the header of {name} states {header.bytes} bytes of values, but {member.file_size} are there"
                )
            yield stream, header


@contextmanager
def open_npz(path: Path, most: int) -> Iterator[Archive]:
    """The arrays of a .npz file, of at most `most` bytes each. Raises ValueError, and whatever damaged files cause."""
    size_of(path)
    with zipfile.ZipFile(path) as file:
        yield Archive(file, most)


def _values(stream: IO[bytes], header: Header, shape: tuple[int, ...]) -> Array:
    """The next values of a stream, of that shape."""
    promised = math.prod(shape) * header.dtype.itemsize
    content = read_up_to(stream, promised)
    if len(content) != promised:
        raise ValueError(f"it holds {len(content)} of {promised} bytes of values")
    array: Array = np.frombuffer(content, header.dtype, math.prod(shape))
    return array.reshape(shape[::-1]).T if header.is_fortran else array.reshape(shape)
