"""Numbered run folders: where each command leaves its result and finds that of the step before.

    runs/0001-train-digits/      checkpoint.json, checkpoint.safetensors, metrics.jsonl
    runs/0002-compress-digits/   the same, slimmed, and compress.json
    runs/0003-deploy-digits/     report.json, cores.csv, layers.csv, program.net, model.onnx
    runs/latest -> 0003-deploy-digits

A run counts as finished once its result file is there: a folder that an error left behind is ignored.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from neuroprune.errors import InputError, OutputError

RESULT_FILES = {"train": "checkpoint.json", "compress": "compress.json", "deploy": "report.json"}
"""The file that makes a run of each kind count; each command writes it last."""

_NAME = re.compile(r"(?P<number>\d{4,})-(?P<kind>[a-z]+)(-.+)?")


def new_run(root: Path, kind: str, label: str = "") -> Path:
    """Make the next run folder under `root` and return it.

    `kind` is a key of RESULT_FILES; `label` (say, the data set's name) is for people to read. Two commands that
    start at the same moment get different folders. Raises OutputError when the folder cannot be made.
    """
    assert kind in RESULT_FILES, kind
    words = re.sub(r"[^A-Za-z0-9_.]+", "-", label).strip("-.")
    name = f"{kind}-{words}" if words else kind
    try:
        root.mkdir(parents=True, exist_ok=True)
        number = 1 + max((number for number, _, _ in _runs(root)), default=0)
        while True:
            folder = root / f"{number:04d}-{name}"
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
def run_folder(root: Path, kind: str, label: str, out: Path | None = None) -> Iterator[Path]:
    """A folder for the result of the enclosed work: `out` if it is given, else a new run under `root`.

    Afterwards `latest` is updated, and the new folder is removed again if it is still empty.
    """
    folder = out or new_run(root, kind, label)
    try:
        yield folder
    finally:
        if out is None:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()
        update_latest(root)


def latest_run(root: Path, kinds: Sequence[str]) -> Path:
    """The newest run under `root` of any of `kinds` whose result is there.

    Raises InputError, naming the command that makes one, when there is none.
    """
    folder = _newest(root, kinds)
    if folder is None:
        raise InputError(
            f"{root.resolve()} holds no finished {' or '.join(kinds)} run: run `neuroprune {kinds[0]}` first, "
            "or name a run's folder"
        )
    return folder


def find_run(root: Path, given: str | None, kinds: Sequence[str]) -> Path:
    """The run that a user named by its path or by its name under `root`; without a name, the latest of `kinds`.

    Raises InputError when it is not there or holds no result of such a run.
    """
    if given is None:
        return latest_run(root, kinds)
    folder = Path(given) if Path(given).is_dir() else root / given
    if not folder.is_dir():
        raise InputError(f"run {given} is neither a folder nor a run in {root.resolve()}: name one that is there")
    results = sorted({RESULT_FILES[kind] for kind in kinds})
    if not any((folder / file).is_file() for file in results):
        raise InputError(
            f"{folder} holds no {' or '.join(results)}, so it is no finished {' or '.join(kinds)} run: name another, "
            f"or run `neuroprune {kinds[0]}`"
        )
    return folder


def update_latest(root: Path) -> None:
    """Point `root`/latest at the newest run with a result; does nothing where links are not possible."""
    newest = _newest(root, tuple(RESULT_FILES))
    link = root / "latest"
    if newest is None or (link.exists() and not link.is_symlink()):
        return
    beside = link.with_name(f".latest.{os.getpid()}")
    with contextlib.suppress(OSError):  # a convenience for people, which some file systems refuse
        beside.symlink_to(newest.name)
        beside.replace(link)


def _newest(root: Path, kinds: Sequence[str]) -> Path | None:
    finished = [
        (number, folder.stat().st_mtime_ns, folder)
        for number, kind, folder in _runs(root)
        if kind in kinds and (folder / RESULT_FILES[kind]).is_file()
    ]
    return max(finished)[2] if finished else None


def _runs(root: Path) -> Iterator[tuple[int, str, Path]]:
    """Number, kind and folder of every run under `root`, finished or not."""
    if not root.is_dir():
        return
    for folder in root.iterdir():
        match = _NAME.fullmatch(folder.name)
        if match and match["kind"] in RESULT_FILES and folder.is_dir():
            yield int(match["number"]), match["kind"], folder
