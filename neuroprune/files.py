"""Writing results so that a file is either the old one or the new one, never half of either."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuroprune.errors import OutputError
from neuroprune.folders import PART, part_prefix


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there in one step, once it is safe on the disk.

    Raises OutputError when the disk is full, read-only or otherwise refuses; `path` is then as it was.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import replace_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_file(Path(folder, "result.bin"), lambda path: path.write_bytes(b"whole"))
    ...     Path(folder, "result.bin").read_bytes()
    b'whole'
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=part_prefix(path), suffix=PART)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        temporary.chmod(0o644)
        with temporary.open("rb+") as whole:
            os.fsync(whole.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path} could not be written ({reason}); nothing was changed there: free some space, or choose another "
            "folder"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` outlast a power cut; does nothing where that cannot be asked for."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path` atomically. Raises OutputError."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically; NaN is refused. Raises OutputError, ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
