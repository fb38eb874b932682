"""Recordings of event cameras, as their files hold them.

.bin: N-MNIST (Orchard et al. 2015): records of 5 bytes, x, y, then a bit of polarity and 23 bits of microseconds,
big-endian. .npy: an array [events, 4] of t, x, y, polarity, as POKER-DVS has them (Serrano-Gotarredona and
Linares-Barranco 2015, as tonic publishes it), or of records with the fields t, x, y and p. .npz: arrays t, x, y and p,
as SpikingJelly unpacks its data sets. .aedat, version 2: CIFAR10-DVS (Li et al. 2017); version 3.1: DVS128 Gesture
(Amir et al. 2017), whose own files hold many recordings each and are cut by its labels.

They are read here and not by tonic: a few short formats do not justify numba and librosa, which tonic installs, and its
readers do not detect a truncated file. Nothing is unpacked to the disk or executed.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neuroprune.data.npy import Archive, read_npy
from neuroprune.errors import InputError
from neuroprune.reading import reading

Events = npt.NDArray[np.int64]
"""[events, 4] of time in microseconds, x, y, polarity (0 or 1)."""

LARGEST = 1 << 28
"""Bytes of a recording. One of N-MNIST has some ten thousands, one of DVS128 Gesture some ten millions."""
AGAIN = "fetch it again"
FIELDS = ("t", "x", "y", "p")

RECORD = 5
OVERFLOW_ROW = 240
OVERFLOW_TIME = 1 << 13
"""A record in row 240 is no event: from it on, 2^13 us are added to all times (eventvision.py of N-MNIST's authors)."""

DVS128_SIDE = 128

AEDAT3_END, AEDAT3_HEADING, POLARITY_EVENTS = b"#!END-HEADER\r\n", 28, 1


class Columns(NamedTuple):
    """What a column of an array [events, 4] is: the places of t, x, y and p, and how many us a unit of time is."""

    t: int = 0
    x: int = 1
    y: int = 2
    p: int = 3
    microseconds: int = 1


AS_POKER_DVS = Columns()


def parse_nmnist(data: bytes, source: str) -> Events:
    """The events of one N-MNIST file; errors call it by `source`. Raises InputError when it is cut short."""
    if len(data) % RECORD:
        raise InputError(
            f"{source} holds {len(data)} bytes, which is not a whole number of events of {RECORD} bytes: {AGAIN}"
        )
    x, y, high, middle, low = np.frombuffer(data, np.uint8).reshape(-1, RECORD).astype(np.int64).T
    overflow = y == OVERFLOW_ROW
    t = ((high & 127) << 16 | middle << 8 | low) + OVERFLOW_TIME * np.cumsum(overflow)
    return np.stack([t, x, y, high >> 7], axis=1)[~overflow]


def parse_npy(data: bytes, source: str, columns: Columns = AS_POKER_DVS) -> Events:
    """The events of a .npy file; errors call it by `source`. Raises InputError when it holds none, or is cut short."""
    with reading(source, "a .npy file of events", AGAIN):
        array = read_npy(io.BytesIO(data), LARGEST)
        if array.dtype.names is not None and array.ndim == 1:
            return _events(array.dtype.names, array)
        if array.ndim != 2 or array.shape[1] != len(FIELDS):
            raise ValueError(f"it holds an array {array.dtype} of the shape {array.shape}, but events are [events, 4]")
        named = {field: array[:, getattr(columns, field)] for field in FIELDS}
        if columns.microseconds != 1:
            named["t"] = np.rint(named["t"] * columns.microseconds)
        return _events(FIELDS, named)


def parse_npz(data: bytes, source: str) -> Events:
    """The events of a .npz file; errors call it by `source`. Raises InputError when it holds none, or is cut short."""
    with reading(source, "a .npz file of events", AGAIN), zipfile.ZipFile(io.BytesIO(data)) as file:
        archive = Archive(file, LARGEST)
        return _events(archive.names, {name: archive.array(name) for name in FIELDS if name in archive.names})


def parse_aedat2(data: bytes, source: str) -> Events:
    """The events of a camera DVS128, of an AEDAT file of version 2; errors call it by `source`. Raises InputError.

    Lines of text that begin with #, then for each event an address and a time in microseconds, of 4 bytes each,
    big-endian: bit 0 of the address is the polarity, 1 for darker, bits 1 to 7 are x and bits 8 to 14 y, both counted
    from the far end, as SpikingJelly and tonic read CIFAR10-DVS.
    """
    start = 0
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        start = len(data) if end < 0 else end + 1
    if not data.startswith(b"#!AER-DAT2") or (len(data) - start) % 8:
        raise InputError(
            f"{source} holds {len(data) - start} bytes of events after the heading {data[:11]!r}, but an AEDAT file of "
            f"version 2 begins with #!AER-DAT2.0 and has 8 bytes an event: {AGAIN}"
        )
    address, t = np.frombuffer(data, ">u4", offset=start).astype(np.int64).reshape(-1, 2).T
    last = DVS128_SIDE - 1
    return np.stack([t, last - (address >> 8 & last), last - (address >> 1 & last), 1 - (address & 1)], axis=1)


def parse_aedat3(data: bytes, source: str) -> Events:
    """The events of an AEDAT file of version 3.1, as DVS128 Gesture (Amir et al. 2017) is distributed; errors call it
    by `source`. Raises InputError.

    Lines of text up to #!END-HEADER, then packets: a heading of 28 bytes, little-endian, with the kind of its events
    (1: polarity), bytes of an event at 4, overflows of the time at 12 and the number of events at 20; an event has 4
    bytes of x (bits 17 to 31), y (bits 2 to 16) and polarity (bit 1), and 4 of microseconds.
    """
    with reading(source, "an AEDAT file of version 3.1", AGAIN):
        head = data.find(AEDAT3_END)
        if not data.startswith(b"#!AER-DAT3") or head < 0:
            raise ValueError(f"it begins with {data[:11]!r}")
        at, packets = head + len(AEDAT3_END), []
        while at < len(data):
            kind, _, size, _, overflow, _, count, _ = struct.unpack_from("<HHIIIIII", data, at)
            at += AEDAT3_HEADING
            if size * count > len(data) - at:
                raise ValueError(f"a packet states {size * count} bytes of events, but {len(data) - at} are left")
            if kind == POLARITY_EVENTS:
                if size != 8:
                    raise ValueError(f"its events are of {size} bytes, not 8")
                packet, t = np.frombuffer(data, "<u4", 2 * count, at).astype(np.int64).reshape(-1, 2).T
                x, y, polarity = packet >> 17 & 0x7FFF, packet >> 2 & 0x7FFF, packet >> 1 & 1
                packets.append(np.stack([t | overflow << 31, x, y, polarity], axis=1))
            at += size * count
        return np.concatenate(packets) if packets else np.zeros((0, 4), np.int64)


def parse_aedat(data: bytes, source: str) -> Events:
    """The events of an AEDAT file of version 2 or 3.1, as its first line says; errors call it by `source`.

    Raises InputError, also for version 4, which DV writes.
    """
    if data.startswith(b"#!AER-DAT4"):
        raise InputError(f"{source} is of AEDAT 4, which is not read: {how_to_convert('.aedat4')}")
    return (parse_aedat3 if data.startswith(b"#!AER-DAT3") else parse_aedat2)(data, source)


OTHER_FORMATS: Mapping[str, tuple[str, str]] = {
    ".aedat4": ("AEDAT 4", "the package aedat"),
    ".dat": ("a DAT file, of Prophesee's cameras as a rule", "the package faery"),
    ".raw": ("a RAW file, of Prophesee's cameras as a rule", "the package faery"),
    ".h5": ("HDF5, which has no one layout for events", "h5py"),
    ".hdf5": ("HDF5, which has no one layout for events", "h5py"),
    ".mat": ("a file of MATLAB", "scipy.io.loadmat"),
}
"""Recordings that are not read, by the suffix of their files: what they are, and what reads them."""


def how_to_convert(suffix: str) -> str:
    """What to do with a recording of OTHER_FORMATS."""
    package = OTHER_FORMATS[suffix][1]
    return f"read its events with {package}, and write their t (in us), x, y and p with numpy.savez as .npz"


FORMATS: Mapping[str, Callable[[bytes, str], Events]] = {
    ".bin": parse_nmnist,
    ".npy": parse_npy,
    ".npz": parse_npz,
    ".aedat": parse_aedat,
}
"""What reads a recording, by the suffix of its file."""


def _events(names: Sequence[str], columns: Any) -> Events:
    """`columns`, by those names, as events; a row and a polarity that are not there are 0. Raises ValueError."""
    missing = [name for name in ("t", "x") if name not in names]
    if missing:
        raise ValueError(f"it has no {' and no '.join(missing)}, but events have t, x, y and p")
    t = columns["t"]
    found = [columns[name] if name in names else np.zeros_like(t) for name in FIELDS]
    for name, column in zip(FIELDS, found, strict=True):
        if column.dtype.kind not in "buif" or column.shape != (len(t),):
            raise ValueError(f"its {name} are {column.dtype} of the shape {column.shape} for {len(t)} events")
        if column.dtype.kind == "f" and not (np.isfinite(column) & (column == np.rint(column))).all():
            raise ValueError(f"its {name} are not all whole numbers; times are in microseconds")
    return np.stack([column.astype(np.int64) for column in found], axis=1)
