"""Typed fields of an untrusted netx file.

HDF5 can declare more than it holds, name other files, and hold filtered data. Here a field is read only where
its bytes lie in the file itself, unfiltered, and no more bytes are read in total than the file has. No field is
ever code.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import numpy.typing as npt

from neuroprune.errors import InputError
from neuroprune.hdf5_text import heap_text
from neuroprune.reading import reading, size_of

Integers = npt.NDArray[np.int32]

AGAIN = "export the network again with export_hdf5"
LONGEST_TEXT = 200


class Allowance:
    """How many bytes may still be read; fields that share their bytes count each time."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        self.left -= size
        return self.left >= 0


class Fields:
    """A group of the file. `path` and `place` name it in sentences: "some.net: layer 3 (conv)"."""

    def __init__(self, group: h5py.Group, path: Path, place: str, allowance: Allowance) -> None:
        self._group, self._path, self._place, self._allowance = group, path, place, allowance

    def error(self, text: str) -> InputError:
        """An error about this group; `text` follows its name."""
        return InputError(f"{self._path}: {self._place} {text}")

    def named(self, place: str) -> "Fields":
        """The same group under a more precise name."""
        return Fields(self._group, self._path, place, self._allowance)

    def count(self) -> int:
        """How many members there are, without looking at any."""
        with self._damage():
            return len(self._group)

    def names(self) -> tuple[str, ...]:
        """Of all members; h5py gives those that are no UTF-8 as bytes."""
        with self._damage():
            return tuple(name if isinstance(name, str) else repr(name) for name in self._group)

    def has(self, name: str) -> bool:
        """Whether there is a link of that name, which is not followed; `name` is no path."""
        with self._damage():
            return bool(self._group.id.links.exists(name.encode()))

    def has_group(self, name: str) -> bool:
        return self.has(name) and isinstance(self._resolve(name), h5py.Group)

    def group(self, name: str, place: str) -> "Fields":
        """Raises InputError where `name` is not a group of this file."""
        return Fields(self._member(name, h5py.Group, "group"), self._path, place, self._allowance)

    def text(self, name: str) -> str:
        """A string, or the only one of an array. Raises InputError."""
        data = self._member(name, h5py.Dataset, "text")
        with self._damage():
            info = h5py.check_string_dtype(data.dtype)
            self._check_storage(data, name)
            if info is None or data.size != 1:
                raw: Any = None
            elif info.length is None:
                offset = data.id.get_offset()
                raw = None if offset is None else heap_text(self._path, offset, LONGEST_TEXT)
            else:
                raw = self._read(data, name).reshape(-1)[0]
        text = raw.decode("ascii", errors="replace") if isinstance(raw, bytes) else ""
        if not _is_short(text):
            raise self.error(f"has a field {name!r} that is no short text: {AGAIN}")
        return text

    def integers(self, name: str) -> Integers:
        """Whole numbers of any shape, however they are stored. Raises InputError."""
        data = self._member(name, h5py.Dataset, "array of numbers")
        with self._damage():
            values = self._read(data, name) if data.dtype.kind in "biuf" and data.shape is not None else None
        if values is None:
            raise self.error(f"has a field {name!r} that holds no numbers: {AGAIN}")
        if not np.isfinite(values).all():
            raise self.error(
                f"has {int((~np.isfinite(values)).sum())} values in {name!r} that are not finite numbers: {AGAIN}"
            )
        if values.dtype.kind == "f" and (values != np.floor(values)).any():
            raise self.error(
                f"has values in {name!r} that are no whole numbers, of which lava-dl drops the fraction: train the "
                "block with its quantisation (pre_hook_fx) on"
            )
        limits = np.iinfo(np.int32)
        if values.size and (values.max() > limits.max or values.min() < limits.min):
            raise self.error(f"has values in {name!r} that no register holds: {AGAIN}")
        return values.astype(np.int32)

    def size_of(self, name: str) -> tuple[int, ...]:
        """The shape that an array declares; it is not read. Raises InputError."""
        shape: tuple[int, ...] | None = self._member(name, h5py.Dataset, "array of numbers").shape
        return shape or ()

    def integer(self, name: str) -> int:
        """One number, or an array of equal ones. Raises InputError."""
        values = np.unique(self.integers(name))
        if len(values) != 1:
            raise self.error(f"has {len(values)} different values in {name!r}, and one is needed: {AGAIN}")
        return int(values[0])

    def attribute(self, name: str, kind: type[int] | type[float] | type[str]) -> Any:
        """An attribute of neuroprune's, None where there is none. Raises InputError where it is of another kind."""
        with self._damage():
            if name not in self._group.attrs:
                return None
            stored = self._group.attrs.get_id(name)
            value = self._group.attrs[name] if stored.shape == () and stored.dtype.kind in "biufS" else None
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if not isinstance(value, kind) or (isinstance(value, str) and not _is_short(value)):
            raise self.error(f"has an attribute {name!r} that is no {kind.__name__}: {AGAIN}")
        return value

    def choice(self, name: str, literal: Any, default: str) -> Any:
        """An attribute that neuroprune wrote, one of the strings of a Literal. Raises InputError."""
        value = self.attribute(name, str)
        if value is not None and value not in get_args(literal):
            raise self.error(f"states {value!r} as {name!r}, not one of {', '.join(get_args(literal))}: {AGAIN}")
        return default if value is None else value

    def _member(self, name: str, kind: type[Any], called: str) -> Any:
        if not self.has(name):
            raise self.error(f"has no field {name!r}: {AGAIN}")
        found = self._resolve(name)
        if not isinstance(found, kind):
            raise self.error(f"has a field {name!r} that is no {called}: {AGAIN}")
        return found

    def _resolve(self, name: str) -> Any:
        with self._damage():
            is_own = self._group.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD
            found = self._group[name] if is_own else None
        if found is None:
            raise self.error(f"has a field {name!r} that only names another place or file: {AGAIN}")
        return found

    def _read(self, data: h5py.Dataset, name: str) -> npt.NDArray[Any]:
        """The array of a dataset whose bytes lie in this file, as they are."""
        self._check_storage(data, name)
        if not self._allowance.take(data.size * data.dtype.itemsize):
            raise self.error(f"has a field {name!r} that is larger than the whole file: {AGAIN}")
        return np.asarray(data[()])

    def _check_storage(self, data: h5py.Dataset, name: str) -> None:
        if data.is_virtual or data.external or data.id.get_create_plist().get_nfilters():
            raise self.error(f"has a field {name!r} that is compressed or lies elsewhere: copy the file with h5repack")

    def _damage(self) -> AbstractContextManager[None]:
        return reading(f"{self._path}: {self._place}", "whole", AGAIN)


@contextmanager
def open_fields(path: Path) -> Iterator[Fields]:
    """The whole file, closed afterwards. Raises InputError where it is not there or is not a whole HDF5 file."""
    with reading(path, "a whole netx file", "name an HDF5 file that lava-dl or neuroprune wrote"):
        size = size_of(path)
        with h5py.File(path, "r") as file:
            made = file.id.get_create_plist()
            if made.get_sizes() != (8, 8) or made.get_userblock() != 0:
                raise InputError(f"{path} is laid out in a way that lava-dl does not write: copy it with h5repack")
            yield Fields(file, path, "the file", Allowance(size))


def _is_short(text: str) -> bool:
    return 0 < len(text) <= LONGEST_TEXT and text.isprintable() and "\N{REPLACEMENT CHARACTER}" not in text
