"""The run that a user names: by its path, by its name or number in the folder of runs, or as the latest."""

from collections.abc import Sequence
from pathlib import Path

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import is_folder
from neuroprune.runs import RESULT_FILES, is_unfinished, list_runs, numbered_runs


def latest_run(root: Path, kinds: Sequence[str]) -> Path:
    """The newest finished run under `root` of any of `kinds`.

    Raises InputError, naming the command that makes one, when there is none.
    """
    for folder in list_runs(root, kinds):
        if not is_unfinished(folder):
            return folder
    raise InputError(
        f"{root.resolve()} holds no finished {' or '.join(kinds)} run: run `neuroprune {kinds[0]}` first, "
        "or name a run's folder"
    )


def find_run(root: Path, given: str | None, kinds: Sequence[str]) -> Path:
    """The run that a user named, finished or not: see `named_run`; without a name, the latest.

    Raises InputError when it is not there or holds no result of such a run.
    """
    if given is None:
        return latest_run(root, kinds)
    folder = named_run(root, given)
    if folder is None:
        raise InputError(
            f"run {capped(given)} is neither a folder nor a run in {root.resolve()}: name one that is there"
        )
    results = sorted({RESULT_FILES[kind] for kind in kinds})
    if not is_unfinished(folder) and not any((folder / file).is_file() for file in results):
        raise InputError(
            f"{folder} holds no {' or '.join(results)}, so it is no finished {' or '.join(kinds)} run: name another, "
            f"or run `neuroprune {kinds[0]}`"
        )
    return folder


def named_run(root: Path, given: str) -> Path | None:
    """The folder of that path, the run of that name under `root`, or the one of that number; None where none is there.

    Raises InputError for a number that two runs have, as those of commands that began at the same moment may.
    """
    for folder in (Path(given), root / given):
        if is_folder(folder):
            return folder
    if not (given.isascii() and given.isdecimal()):
        return None
    found = [folder for number, _, folder in numbered_runs(root) if number == int(given)]
    if len(found) > 1:
        names = " and ".join(folder.name for folder in found)
        raise InputError(f"{given} is the number of {names} in {root.resolve()}: name one of them")
    return found[0] if found else None
