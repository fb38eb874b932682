"""Numbered run folders: where each command leaves its result and finds that of the step before.

    runs/0001-train-digits/      checkpoint.json, checkpoint.safetensors, metrics.jsonl
    runs/0002-compress-digits/   the same, slimmed, and compress.json
    runs/0003-deploy-digits/     report.json, cores.csv, layers.csv, program.net, model.onnx
    runs/latest -> 0003-deploy-digits

A run is finished when its result file is there and the state of its training, training.safetensors, is not: a command
writes that file before any other, and removes it as its very last act. So an unfinished run is always one that can be
resumed. A command holds the lock of the folder that it works in.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from neuroprune.errors import InputError, OutputError
from neuroprune.folders import LAVA_JOBS, PART, if_abandoned, is_alive, locked, sweep_parts, sweep_temporary

RESULT_FILES = {"train": "checkpoint.json", "compress": "compress.json", "deploy": "report.json"}
"""The file that makes a run of each kind count; each command writes it last."""

CHECKPOINT = "checkpoint.json"
STATE = "training.safetensors"
"""The state of a training under way, and of the run that it is part of: while it is there, the run is unfinished."""

_NAME = re.compile(r"(?P<number>\d{4,})-(?P<kind>[a-z]+)(-.+)?")
_LINK = ".latest."
_REMOVED = ".removed."
"""What the name of a run begins with while it is removed."""
_BEGUN = {STATE, "checkpoint.safetensors", "metrics.jsonl"}
"""What a command that is killed while it writes its first checkpoint leaves, the state of its training if it has one:
nothing that could be resumed."""


def new_run(root: Path, kind: str, label: str = "") -> Path:
    """Make the next run folder under `root` and return it.

    `kind` is a key of RESULT_FILES; `label` (say, the data set's name) is for people to read. Two commands that
    start at the same moment get different folders. Raises OutputError when the folder cannot be made.
    """
    assert kind in RESULT_FILES, kind
    words = re.sub(r"[^A-Za-z0-9_.]+", "-", label).strip("-.")
    name = f"{kind}-{words}" if words else kind
    try:
        number = 1 + max((number for number, _, _ in _runs(root)), default=0)
        while True:
            root.mkdir(parents=True, exist_ok=True)  # another command may have removed it, being empty
            folder = root / f"{number:04d}-{name}"
            with contextlib.suppress(FileNotFoundError):
                try:
                    folder.mkdir()
                except FileExistsError:
                    number += 1
                else:
                    return folder
    except OSError as error:
        raise OutputError(
            f"a run folder could not be made in {root} ({error.strerror}): choose another folder with --runs"
        ) from error


@contextlib.contextmanager
def run_folder(
    root: Path, kind: str, label: str, out: Path | None = None, *, resumed: Path | None = None
) -> Iterator[Path]:
    """A folder for the result of the enclosed work, locked: the run `resumed`, `out`, or else a new run under `root`.

    What killed commands have left is swept before. Afterwards `latest` is updated, and folders that were made here and
    are still empty are removed again. Raises InputError when another command is at work in the folder, or when `out`
    holds results of another run; OutputError when nothing can be written there.
    """
    sweep(root)
    made = _missing(root if out is None else out)
    folder = resumed
    try:
        with contextlib.ExitStack() as held:
            if folder is None:
                folder = _take_new(root, kind, label, held) if out is None else _take(out, held)
                made = [folder, *made] if out is None else made
                check_out(folder)
            else:
                held.enter_context(locked(folder))
            sweep_parts(folder)
            yield folder
    finally:
        sweep(root)  # a signal may have come right after the folder was made
        for each in made:
            with contextlib.suppress(OSError):  # it is not empty
                each.rmdir()
        update_latest(root)


def check_out(folder: Path) -> None:
    """Raise unless a result can be left in `folder`, which need not be there yet.

    InputError when it holds results of a run, OutputError when it, or the folder that it will lie in, is read-only or
    its disk is full.
    """
    for file in (*RESULT_FILES.values(), STATE):
        # A state without a checkpoint is of a training that was killed as it began: nothing can go on from it.
        if (folder / file).exists() and (file != STATE or (folder / CHECKPOINT).exists()):
            raise InputError(f"{folder} already holds a run ({file} is there): choose another folder")
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise OutputError(
            f"nothing can be written to {folder} ({error.strerror}): free some space, or choose another folder"
        ) from error


def list_runs(root: Path, kinds: Sequence[str]) -> list[Path]:
    """The runs under `root` of any of `kinds` that are finished or can be resumed, the newest first."""
    found = [
        (number, folder.stat().st_mtime_ns, folder)
        for number, kind, folder in _runs(root)
        if kind in kinds and (is_unfinished(folder) or (folder / RESULT_FILES[kind]).is_file())
    ]
    return [folder for _, _, folder in sorted(found, reverse=True)]


def is_unfinished(folder: Path) -> bool:
    """Whether `folder` holds a run that was interrupted and can be resumed."""
    return (folder / STATE).is_file() and (folder / CHECKPOINT).is_file()


def numbered_runs(root: Path) -> list[tuple[int, str, Path]]:
    """Number, kind and folder of all runs under `root` that hold anything, by their number."""
    found = []
    for run in _runs(root):
        with contextlib.suppress(OSError):  # it is gone, or somebody else's
            found += [run] if any(run[2].iterdir()) else []
    return sorted(found)


def remove_run(folder: Path) -> None:
    """Remove the run in `folder`, whatever state it is in, in one step, and update `latest`.

    Raises InputError when a command is at work in it, OutputError when it cannot be removed.
    """
    try:
        with locked(folder):
            shutil.rmtree(folder.rename(folder.with_name(f"{_REMOVED}{folder.name}")))
    except OSError as error:
        raise OutputError(
            f"{folder} could not be removed ({error.strerror}): see who may write there, and remove it again"
        ) from error
    update_latest(folder.parent)


def update_latest(root: Path) -> None:
    """Point `root`/latest at the newest finished run; does nothing where links are not possible."""
    newest = next((run for run in list_runs(root, tuple(RESULT_FILES)) if not is_unfinished(run)), None)
    link = root / "latest"
    if link.exists() and not link.is_symlink():
        return
    with contextlib.suppress(OSError):  # a convenience for people, which some file systems refuse
        if newest is None:
            link.unlink(missing_ok=True)
        else:
            beside = link.with_name(f"{_LINK}{os.getpid()}")
            beside.unlink(missing_ok=True)
            beside.symlink_to(newest.name)
            beside.replace(link)


def sweep(root: Path) -> None:
    """Remove what killed commands have left: under `root`, and of Lava in the system's folder for temporary files.

    Folders and files of living processes stay, as do runs that can be resumed.
    """
    sweep_temporary(LAVA_JOBS)
    for _, _, folder in _runs(root):
        with contextlib.suppress(OSError):  # it is gone, or somebody else's
            names = {path.name for path in folder.iterdir()}
            if not names or _is_beginning(names) or any(name.endswith(PART) for name in names):
                if_abandoned(folder, _tidy)
    for folder in root.glob(f"{_REMOVED}*"):
        if_abandoned(folder, shutil.rmtree)
    for link in root.glob(f"{_LINK}*"):
        owner = link.name.removeprefix(_LINK)
        if owner.isdecimal() and not is_alive(int(owner)):
            link.unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    """Remove half-written files, and the folder when nothing but a beginning is left in it."""
    sweep_parts(folder)
    names = {path.name for path in folder.iterdir()}
    if _is_beginning(names):
        for name in sorted(names, key=lambda name: name == STATE):
            (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _is_beginning(names: set[str]) -> bool:
    return bool(names) and names <= _BEGUN


def _take_new(root: Path, kind: str, label: str, held: contextlib.ExitStack) -> Path:
    """A new run folder, locked."""
    while True:
        folder = new_run(root, kind, label)
        with contextlib.suppress(FileNotFoundError):  # another command took it for a leftover
            held.enter_context(locked(folder))
            return folder


def _take(out: Path, held: contextlib.ExitStack) -> Path:
    """The folder `out`, made if need be, locked."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        held.enter_context(locked(out))
    except OSError as error:
        raise OutputError(f"{out} could not be made ({error.strerror}): choose another folder with --out") from error
    return out


def _missing(folder: Path) -> list[Path]:
    """`folder` and those above it, as far as they are not there, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _runs(root: Path) -> Iterator[tuple[int, str, Path]]:
    """Number, kind and folder of every run under `root`, finished or not."""
    try:
        folders = list(root.iterdir()) if root.is_dir() else []
    except OSError as error:
        raise InputError(
            f"the folder of runs {root.resolve()} cannot be read ({error.strerror}): name another with --runs"
        ) from error
    for folder in folders:
        match = _NAME.fullmatch(folder.name)
        if match and match["kind"] in RESULT_FILES and folder.is_dir():
            yield int(match["number"]), match["kind"], folder
