"""Strings of variable length, read without the HDF5 library, which loops for ever on a damaged heap (HDF5 2.0).

netx and NIR write names and kinds as such strings. Layouts: HDF5 File Format Specification 3.0, III.E "Global Heap"
and IV.A.2.d, variable-length data.
"""

import struct
from pathlib import Path

REFERENCE = struct.Struct("<IQI")
"""Length of the string, address of the collection that holds it, its number there."""
COLLECTION = struct.Struct("<4sB3xQ")
"""Signature, version, size of the collection with this header."""
OBJECT = struct.Struct("<HH4xQ")
"""Number, count of references, size; the bytes follow, filled up to a multiple of 8."""
LARGEST_COLLECTION = 1 << 20


def heap_text(path: Path, offset: int, longest: int) -> bytes | None:
    """The string whose reference lies at `offset` of the file; None if it is longer than `longest` or not there."""
    with path.open("rb") as file:
        file.seek(offset)
        raw = file.read(REFERENCE.size)
        if len(raw) < REFERENCE.size:
            return None
        length, address, number = REFERENCE.unpack(raw)
        if length > longest or address >= path.stat().st_size:
            return None
        file.seek(address)
        heap = file.read(LARGEST_COLLECTION)
    if len(heap) < COLLECTION.size:
        return None
    signature, version, size = COLLECTION.unpack_from(heap)
    if signature != b"GCOL" or version != 1:
        return None
    return _find(heap[:size], number, length)


def _find(heap: bytes, number: int, length: int) -> bytes | None:
    place = COLLECTION.size
    while place + OBJECT.size <= len(heap):
        found, _, size = OBJECT.unpack_from(heap, place)
        place += OBJECT.size
        if found == number and found != 0:
            return heap[place : place + length] if length <= size else None
        place += -(-size // 8) * 8
    return None
