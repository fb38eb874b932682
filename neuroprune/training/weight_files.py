"""Weights in files that other programs wrote: the tensors there and their names, read so that nothing of a file is run.

torch.load reads them with weights_only, which follows a pickle and calls nothing but what tensors need. What training
scripts like to keep beside their weights is made `Unread` meanwhile, whatever the file says of it.
"""

import io
import re
import warnings
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch
from torch.serialization import safe_globals

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import reading, size_of
from neuroprune.training.tensors import Tensors, read_tensors

SAFETENSORS = ".safetensors"
SUFFIXES = (SAFETENSORS, ".pth", ".pt", ".tar", ".ckpt", ".bin")
"""What files of weights are mostly called. All but the first are read as torch.save's, whatever their names."""

REMEDY = "fetch it again, or write it with torch.save(net.state_dict(), ...)"
ARCHIVE, PICKLE = b"PK\x03\x04", b"\x80"
"""How torch.save's files begin: those of today are zip archives, those from before torch 1.6 pickles."""
DEEPEST = 8
"""Levels of dictionaries and lists that are looked into."""


class Unread:
    """In place of a value that is no weight: takes whatever the file gives it, and keeps nothing."""

    def __new__(cls, *arguments: Any, **named: Any) -> "Unread":
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


BESIDE = (
    "argparse.Namespace",
    "datetime.datetime",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
)
"""What training scripts keep beside the weights: their options, an accuracy as a number of numpy's, paths, dates."""


@dataclass(frozen=True, eq=False)
class Part:
    """A dictionary of tensors in a file; keys: those that lead to it from the top, none of one that is there itself."""

    keys: tuple[str, ...]
    tensors: Tensors


def read_parts(path: Path) -> tuple[Part, ...]:
    """Every dictionary of tensors in the file `path`, those nearer to its top first.

    Raises InputError when it is missing, not whole, holds none, or is one that cannot be read without running code.
    """
    with reading(path, "a whole file of weights", REMEDY):
        if not size_of(path):
            raise ValueError("it is empty")
        parts = (
            (Part((), read_tensors(path, REMEDY)[0]),)
            if path.suffix.lower() == SAFETENSORS
            else tuple(_parts(_load(path)))
        )
    if not any(part.tensors for part in parts):
        raise InputError(
            f"{path} holds no dictionary of tensors by name, so no weights: write it with torch.save(net.state_dict(), "
            "...)"
        )
    return parts


def _load(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(len(ARCHIVE))
    if not start.startswith((ARCHIVE, PICKLE)):
        raise ValueError("it begins as no file of torch.save does")
    if start == ARCHIVE:
        _check_archive(path)
    # Of bytes in memory are given as many as there are, however many a pickle asks for.
    source = path if start == ARCHIVE else io.BytesIO(path.read_bytes())
    try:
        with warnings.catch_warnings(), safe_globals([(Unread, name) for name in BESIDE]):
            warnings.simplefilter("ignore")
            return torch.load(source, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # its own sentence advises to run what the file holds
        needed = re.search(r"GLOBAL (\S+)", str(error))
        if needed is None:
            raise ValueError("its pickle is not of tensors") from error
        raise InputError(
            f"{path} holds more than tensors: {capped(needed[1], 60)} would have to run, and nothing of a file is run: "
            "write the tensors alone, with torch.save(net.state_dict(), ...)"
        ) from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise ValueError("it is a program of TorchScript's") from error
        raise ValueError(str(error).partition(". ")[0]) from error


def _check_archive(path: Path) -> None:
    """Raise ValueError where the members of a zip archive are longer than it is, since torch.save compresses none."""
    with ZipFile(path) as archive:
        stated = sum(member.file_size for member in archive.infolist())
    if stated > path.stat().st_size:
        raise ValueError(f"it holds {path.stat().st_size} bytes and states {stated}")


def _parts(root: Any) -> Iterable[Part]:
    """The dictionaries of tensors in `root`, level by level; one that is there twice counts once."""
    waiting: deque[tuple[tuple[str, ...], Any]] = deque([((), root)])
    seen = set[int]()
    while waiting:
        keys, value = waiting.popleft()
        if id(value) in seen or len(keys) > DEEPEST:
            continue
        seen.add(id(value))
        items: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, dict):
            items = value.items()
            named = {key: each for key, each in items if isinstance(key, str) and isinstance(each, torch.Tensor)}
            if named:
                yield Part(keys, named)
        elif isinstance(value, list | tuple):
            items = enumerate(value)
        waiting.extend(((*keys, str(key)), each) for key, each in items if isinstance(each, dict | list | tuple))
