"""Folders that belong to one living process: locks that die with it, and what the dead have left.

A lock is an flock on the folder itself, so nothing of it remains in the file system. Where there are no such locks, as
on some network drives, commands go on without them, and nothing is swept.
"""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from neuroprune.errors import InputError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

PART = ".part"
LAVA_JOBS = "neuroprune-lava-job-"
"""What the names of Lava's temporary folders begin with."""

_PART_NAME = re.compile(r"\..*\.(?P<owner>\d+)\.[^.]+\.part")
_PATIENCE_S = 0.5
"""For how long a lock is asked for again, since a command that sweeps holds one for a moment."""


class NoLocksError(Exception):
    """The file system, or the operating system, knows no locks."""


def part_prefix(path: Path) -> str:
    """What the name of a temporary file for `path` begins with; it names the process that writes it."""
    return f".{path.name}.{os.getpid()}."


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within it, no other command takes `folder`. Raises InputError when one has, FileNotFoundError if it is gone."""
    until = time.monotonic() + _PATIENCE_S
    handle: int | None = None
    while handle is None:
        try:
            handle = _lock(folder)
        except NoLocksError:
            break
        except BlockingIOError:
            if time.monotonic() > until:
                raise InputError(
                    f"{folder} is in use by another command: wait until it has ended, or choose another folder"
                ) from None
            time.sleep(_PATIENCE_S / 10)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A locked folder of its own for temporary files, which is removed at the end. Raises OSError."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            handle = _lock(folder)
        except NoLocksError:
            handle = None
        except (BlockingIOError, FileNotFoundError):  # another command took it for a leftover
            continue
        break
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def sweep_temporary(prefix: str) -> None:
    """Remove the temporary folders of that prefix whose process has died."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if_abandoned(folder, lambda each: shutil.rmtree(each, ignore_errors=True))


def sweep_parts(folder: Path) -> None:
    """Remove the half-written files in `folder` of processes that have died."""
    for path in folder.glob(f".*{PART}"):
        match = _PART_NAME.fullmatch(path.name)
        if match and not is_alive(int(match["owner"])):
            path.unlink(missing_ok=True)


def if_abandoned(folder: Path, remove: Callable[[Path], None]) -> None:
    """Call `remove` with `folder` while it is locked, but not where a living process has it, or may have it."""
    try:
        handle = _lock(folder)
    except (NoLocksError, BlockingIOError, FileNotFoundError):
        return
    try:
        with contextlib.suppress(OSError):
            remove(folder)
    finally:
        os.close(handle)


def is_in_use(folder: Path) -> bool:
    """Whether a command is at work in `folder`; not known, and so False, where there are no locks."""
    try:
        os.close(_lock(folder))
    except BlockingIOError:
        return True
    except (NoLocksError, FileNotFoundError):
        return False
    return False


def is_alive(process: int) -> bool:
    """Whether this machine runs a process of that number."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _lock(folder: Path) -> int:
    """A handle whose closing, at the latest by the end of the process, frees `folder`.

    Raises BlockingIOError when another handle has it, FileNotFoundError when it is gone, NoLocksError.
    """
    if fcntl is None:
        raise NoLocksError
    handle: int | None = None
    try:
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(handle), folder.stat()):
            raise FileNotFoundError
    except BaseException as error:
        if handle is not None:
            os.close(handle)
        if isinstance(error, OSError) and not isinstance(error, BlockingIOError | FileNotFoundError):
            raise NoLocksError from error
        raise
    return handle
