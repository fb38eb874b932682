"""Folders belong to one living process, and only what the dead have left is swept."""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neuroprune.errors import InputError
from neuroprune.folders import is_alive, locked, part_prefix, sweep_parts, sweep_temporary, temporary_folder

IN_ANOTHER_PROCESS = """
import sys; from pathlib import Path; from neuroprune.folders import locked, temporary_folder
with locked(Path(sys.argv[1])), temporary_folder("job-") as folder: print(folder, flush=True); input()
"""


@contextmanager
def other_process(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process that holds the lock of `folder`, and a temporary folder of its own."""
    arguments = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(folder)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_a_lock_dies_with_its_process_and_leaves_nothing(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    with other_process(mine) as (process, _):
        with (
            pytest.raises(InputError, match="mine is in use by another command: wait until it has ended"),
            locked(mine),
        ):
            raise AssertionError
        process.kill()
        process.wait()
        with locked(mine):
            assert list(mine.iterdir()) == []


def test_temporary_folders_are_swept_when_their_process_is_dead(tmp_path: Path, temporary: Path) -> None:
    with other_process(tmp_path) as (process, folder):
        assert folder.parent == temporary
        (folder / "arrays.npz").write_text("large")
        (temporary / "other-job").mkdir()
        with temporary_folder("job-") as mine:
            sweep_temporary("job-")
            assert folder.is_dir() and mine.is_dir()
        assert not mine.exists()
        process.kill()
        process.wait()
        sweep_temporary("job-")
        assert [path.name for path in temporary.iterdir()] == ["other-job"]


def test_a_temporary_folder_that_is_swept_before_it_is_locked_is_made_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, made = tempfile.mkdtemp, []

    def swept_once(prefix: str) -> str:
        made.append(original(prefix=prefix))
        if len(made) == 1:
            sweep_temporary("job-")
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept_once)
    with temporary_folder("job-") as folder:
        assert str(folder) == made[1] and folder.is_dir() and not Path(made[0]).exists()


def test_half_written_files_are_swept_when_their_process_is_dead(tmp_path: Path, temporary: Path) -> None:
    with other_process(tmp_path) as (process, folder):
        process.kill()
        process.wait()
        folder.rmdir()
        dead = temporary / f".report.json.{process.pid}.abc.part"
    alive = temporary / f"{part_prefix(Path('report.json'))}abc.part"
    foreign = temporary / ".report.json.part"
    for path in (dead, alive, foreign):
        path.write_text("half")
    sweep_parts(temporary)
    assert set(temporary.iterdir()) == {alive, foreign}


def test_without_locks_work_goes_on_and_nothing_is_swept(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unknown)
    with locked(temporary), locked(temporary), temporary_folder("job-") as folder:
        sweep_temporary("job-")
        assert folder.is_dir()
    assert list(temporary.iterdir()) == []


def test_a_process_is_alive_or_not() -> None:
    assert is_alive(os.getpid()) and is_alive(1)
    assert not is_alive(2**30) and not is_alive(2**80)
