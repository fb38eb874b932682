"""The boundary for files that nobody vouches for: whatever goes wrong while one is parsed becomes one sentence.

A reader does its work within `reading`, takes bytes by the functions here, which have allowances, and raises ValueError
with a reason where a file is not what it should be. Sizes that a file states are compared with what is there before
anything is made of them.
"""

import gzip
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from neuroprune.errors import InputError, NeuropruneError
from neuroprune.excerpts import capped, excerpt, harmless

CHUNK = 1 << 20

Value = TypeVar("Value")


@contextmanager
def reading(subject: Path | str, whole: str, remedy: str) -> Iterator[None]:
    """Turns any failure of the enclosed work into an InputError: "`subject` is not `whole` (reason): `remedy`".

    subject: what errors call the file, as a rule its path. Errors of ours, which say more, pass through, and so do
    Ctrl-C and what else ends a program.
    """
    try:
        yield
    except NeuropruneError:
        raise
    # Libraries that parse damaged files fail in ways that no list of exceptions keeps up with; those that are written
    # in Rust panic outside of Exception.
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        fault = "cannot be read" if _is_of_system(error) else f"is not {whole}"
        raise InputError(f"{harmless(str(subject))} {fault} ({_reason(error)}): {remedy}") from error


def is_file(path: Path) -> bool:
    """Whether there is a file; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False for names that none can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def size_of(path: Path) -> int:
    """Bytes of a file. Raises OSError, or ValueError for what is none: a folder, a device, a pipe."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is a folder" if stat.S_ISDIR(found.st_mode) else "it is no regular file")
    return found.st_size


def read_bytes(path: Path, most: int) -> bytes:
    """All bytes of a file of at most `most`. Raises OSError, or ValueError for more."""
    size = size_of(path)
    if size > most:
        raise ValueError(f"it holds {size} bytes, and at most {most} are read")
    with path.open("rb") as file:
        return read_at_most(file, most)


def read_text(path: Path, most: int) -> str:
    """UTF-8 text of at most `most` bytes. Raises OSError, or ValueError for more and for other bytes."""
    return read_bytes(path, most).decode("utf-8")


def read_at_most(stream: IO[bytes] | gzip.GzipFile, most: int) -> bytes:
    """What is left of a stream. Raises ValueError for more than `most` bytes."""
    content = read_up_to(stream, most + 1)
    if len(content) > most:
        raise ValueError(f"it holds more than the {most} bytes that are read")
    return content


def read_up_to(stream: IO[bytes] | gzip.GzipFile, most: int) -> bytes:
    """The next `most` bytes of a stream, fewer at its end; piece by piece, so that only what is there takes memory."""
    content = bytearray()
    while piece := stream.read(min(CHUNK, most - len(content))):
        content += piece
    return bytes(content)


def read_unpacked(path: Path, most: int) -> bytes:
    """The content of a gzipped file, of at most `most` bytes. Raises ValueError, and whatever damaged files cause."""
    size_of(path)
    with gzip.open(path) as stream:
        return read_at_most(stream, most)


def check_spread(root: Value, parts: Callable[[Value], Iterable[Value]], most: int) -> None:
    """Check how many values `root` stands for where each that is named repeatedly counts each time.

    parts: those that a value holds. Raises ValueError for more than `most`, and for a value that holds itself.
    """
    sizes: dict[int, int | None] = {}

    def count(value: Value) -> int:
        key = id(value)
        if key not in sizes:
            sizes[key] = None
            sizes[key] = 1 + sum(map(count, parts(value)))
        size = sizes[key]
        if size is None:
            raise ValueError("it holds a value that holds itself")
        if size > most:
            raise ValueError(f"it stands for more than the {most} values that are read")
        return size

    count(root)


def _is_of_system(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno is not None


def _reason(error: BaseException) -> str:
    """Why, as far as a sentence has room. What an exception holds may be of any size, so that only texts are shown."""
    match error:
        case MemoryError():
            return "it needs more memory than there is"
        case RecursionError():
            return "it is nested too deeply"
        case UnicodeDecodeError():
            return "it is not UTF-8 text"
        case OSError(strerror=str(text)):
            return capped(text)
        case KeyError(args=(key,)):  # h5py has sentences there
            return capped(key.strip("'\"")) if isinstance(key, str) and " " in key else f"{excerpt(key)} is missing"
    texts: tuple[Any, ...] = error.args
    text = capped(error) if all(isinstance(each, str | int) for each in texts) else ""
    return text or type(error).__name__
