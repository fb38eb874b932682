"""A file is the old one or the new one, whatever happens while it is written."""

import errno
import os
from pathlib import Path

import pytest

from neuroprune.errors import OutputError
from neuroprune.files import replace_file, write_json, write_text


def full_disk(temporary: Path) -> None:
    temporary.write_text("half of")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_text(path, "old")
    with pytest.raises(
        OutputError, match=r"could not be written \(No space left on device\); .* free some space"
    ) as caught:
        replace_file(path, full_disk)
    assert caught.value.exit_code == 2
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"report.json could not be written \((File exists|Not a directory)\)"):
        write_text(tmp_path / "file" / "report.json", "new")


def test_any_other_failure_leaves_nothing_behind_either(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "figures.json", {"accuracy": float("nan")})
    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "figures.json", interrupted)
    assert list(tmp_path.iterdir()) == []


def interrupted(temporary: Path) -> None:
    temporary.write_text("half of")
    raise KeyboardInterrupt


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files come from there")
def test_a_file_is_safe_on_the_disk_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(named(handle)), sync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda path, target: (done.append("renamed"), replace(path, target))[1])
    write_text(tmp_path / "report.json", "new")
    assert done[0].startswith(".report.json.") and done[1:] == ["renamed", tmp_path.name]


def named(handle: int) -> str:
    return Path(f"/proc/self/fd/{handle}").readlink().name


def test_what_the_file_system_refuses_to_sync_is_not_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_text(tmp_path / "report.json", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_text(tmp_path / "report.json", "new")
    assert (tmp_path / "report.json").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_folders_on_the_way_are_made_and_files_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "figures.json"
    write_json(path, {"cores": 7})
    assert path.read_text() == '{\n  "cores": 7\n}\n'
    assert path.stat().st_mode & 0o777 == 0o644
