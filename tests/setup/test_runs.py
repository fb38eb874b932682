"""Run folders: numbering, what counts as finished, and finding the step before."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuroprune.errors import InputError, OutputError
from neuroprune.run_names import find_run, latest_run
from neuroprune.runs import (
    CHECKPOINT,
    RESULT_FILES,
    STATE,
    check_out,
    is_unfinished,
    list_runs,
    new_run,
    remove_run,
    run_folder,
    update_latest,
)


def finished(root: Path, kind: str, label: str = "") -> Path:
    folder = new_run(root, kind, label)
    (folder / RESULT_FILES[kind]).write_text("{}")
    update_latest(root)
    return folder


def unfinished(root: Path, kind: str, label: str = "") -> Path:
    folder = new_run(root, kind, label)
    (folder / STATE).write_text("")
    (folder / CHECKPOINT).write_text("{}")
    update_latest(root)
    return folder


def dead_process() -> int:
    return int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True).stdout)


def test_runs_are_numbered_in_order_and_named_for_what_they_hold(tmp_path: Path) -> None:
    names = [new_run(tmp_path / "runs", kind, "digits").name for kind in ("train", "compress", "deploy")]
    assert names == ["0001-train-digits", "0002-compress-digits", "0003-deploy-digits"]


def test_a_number_is_never_used_again_and_grows_past_four_digits(tmp_path: Path) -> None:
    (tmp_path / "9999-train-digits").mkdir()
    assert new_run(tmp_path, "train", "digits").name == "10000-train-digits"
    assert new_run(tmp_path, "train", "digits").name == "10001-train-digits"


def test_a_label_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    assert new_run(tmp_path, "train", "../../my data").parent == tmp_path


def test_foreign_folders_and_files_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / "0007-notes").mkdir()
    (tmp_path / "0008-train-digits").write_text("a file")
    assert new_run(tmp_path, "train").name == "0001-train"


def test_runs_started_at_the_same_moment_get_different_folders(tmp_path: Path) -> None:
    start, folders = threading.Barrier(8), []

    def one() -> None:
        start.wait()
        folders.append(new_run(tmp_path, "train", "digits"))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 8


def test_the_latest_run_is_the_newest_finished_one_of_the_kinds_asked_for(tmp_path: Path) -> None:
    train = finished(tmp_path, "train")
    compress = finished(tmp_path, "compress")
    finished(tmp_path, "deploy")
    new_run(tmp_path, "train")  # nothing in it yet
    assert latest_run(tmp_path, ["train"]) == train
    assert latest_run(tmp_path, ["train", "compress"]) == compress


def test_the_latest_link_follows_the_newest_finished_run(tmp_path: Path) -> None:
    finished(tmp_path, "train")
    newest = finished(tmp_path, "compress")
    new_run(tmp_path, "deploy")
    assert (tmp_path / "latest").resolve() == newest.resolve()


def test_work_that_left_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), run_folder(tmp_path, "train", "digits") as folder:
        raise RuntimeError
    assert not folder.exists()


def test_folders_on_the_way_to_work_that_left_nothing_go_too_but_no_others(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for out in (None, tmp_path / "mine" / "a" / "b"):
        with pytest.raises(RuntimeError), run_folder(tmp_path / "mine" / "runs", "train", "digits", out) as folder:
            assert folder.is_dir()
            raise RuntimeError
        assert list((tmp_path / "mine").iterdir()) == []


def test_work_that_was_interrupted_keeps_what_it_wrote_but_is_not_the_latest(tmp_path: Path) -> None:
    before = finished(tmp_path, "train")
    with pytest.raises(KeyboardInterrupt), run_folder(tmp_path, "train", "digits") as folder:
        (folder / STATE).write_text("")
        (folder / CHECKPOINT).write_text("{}")
        raise KeyboardInterrupt
    assert is_unfinished(folder) and not is_unfinished(before)
    assert latest_run(tmp_path, ["train"]) == before
    assert (tmp_path / "latest").resolve() == before.resolve()
    assert list_runs(tmp_path, ["train", "deploy"]) == [folder, before]


def test_a_run_that_is_resumed_becomes_the_latest_when_its_state_goes(tmp_path: Path) -> None:
    folder = unfinished(tmp_path, "compress")
    assert not (tmp_path / "latest").exists()
    with run_folder(tmp_path, "compress", "digits", resumed=folder) as again:
        assert again == folder
        (folder / RESULT_FILES["compress"]).write_text("{}")
        (folder / STATE).unlink()
    assert (tmp_path / "latest").resolve() == folder.resolve()


def test_the_latest_link_goes_when_no_finished_run_is_left(tmp_path: Path) -> None:
    folder = finished(tmp_path, "train")
    (folder / STATE).write_text("")
    update_latest(tmp_path)
    assert not (tmp_path / "latest").is_symlink()


@pytest.mark.parametrize("file", [*RESULT_FILES.values(), STATE])
def test_a_folder_that_holds_a_run_is_not_written_to(file: str, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_text("{}")
    (tmp_path / file).write_text("{}")
    with pytest.raises(InputError, match=r"already holds a run \(.* is there\): choose another folder"):
        check_out(tmp_path)
    with pytest.raises(InputError, match="already holds a run"), run_folder(tmp_path, "train", "x", tmp_path):
        raise AssertionError


def test_a_folder_that_cannot_be_written_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_out(tmp_path / "not" / "there" / "yet")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"nothing can be written to .*out \(Not a directory\): free some space, or ch"
    ):
        check_out(tmp_path / "file" / "out")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"nothing can be written to .* \(No space left on device\): free some space"):
        check_out(tmp_path / "out")
    with pytest.raises(OutputError, match="No space left"), run_folder(tmp_path / "runs", "train", "x"):
        raise AssertionError
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(os.name == "nt", reason="no locks there")
def test_two_commands_in_one_folder_refuse_each_other(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from neuroprune.runs import run_folder\n"
        "with run_folder(Path(sys.argv[1]), 'train', 'x', Path(sys.argv[2])): print('in', flush=True); input()"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "runs"), str(tmp_path / "out")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "in\n"
        sentence = "out is in use by another command: wait until it has ended, or choose another folder"
        with pytest.raises(InputError, match=sentence), run_folder(tmp_path, "train", "x", tmp_path / "out"):
            raise AssertionError
        other.kill()
    with run_folder(tmp_path, "train", "x", tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no locks there")
def test_the_next_command_sweeps_what_killed_ones_have_left_and_nothing_else(tmp_path: Path) -> None:
    dead, runs = dead_process(), tmp_path / "runs"
    empty, half, begun, imported, killed = (
        new_run(runs, kind) for kind in ("train", "deploy", "train", "train", "deploy")
    )
    (half / f".report.json.{dead}.abc.part").write_text("half")
    (begun / STATE).write_text("")
    (begun / "checkpoint.safetensors").write_text("")
    (begun / f".checkpoint.json.{dead}.abc.part").write_text("half")
    (imported / "checkpoint.safetensors").write_text("")  # no training leads to it, so it has no state of one
    (killed / "cores.csv").write_text("whole")
    (killed / f".report.json.{dead}.abc.part").write_text("half")
    alive, kept = new_run(runs, "deploy"), unfinished(runs, "train")
    (alive / f".report.json.{os.getpid()}.abc.part").write_text("half")
    (runs / f".latest.{dead}").symlink_to("0001-train")
    done = finished(runs, "train")
    with run_folder(runs, "train", "x") as mine:
        assert {each for each in runs.iterdir() if each.name != "latest"} == {killed, alive, kept, done, mine}
        with run_folder(runs, "train", "x"):  # the folder of a living command is empty as well
            assert mine.is_dir()
    assert [path.name for path in killed.iterdir()] == ["cores.csv"]
    assert not empty.exists()
    (kept / f".checkpoint.json.{dead}.abc.part").write_text("half")
    with run_folder(runs, "train", "x", resumed=kept):
        assert {path.name for path in kept.iterdir()} == {STATE, CHECKPOINT}


def test_a_folder_of_runs_that_cannot_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(folder: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(
        InputError, match=r"the folder of runs .* cannot be read \(Permission denied\): name another with"
    ):
        latest_run(tmp_path, ["train"])


def test_a_folder_of_the_users_is_no_run_and_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with run_folder(tmp_path / "runs", "train", "digits", tmp_path / "mine") as folder:
        pass
    assert folder.is_dir()
    assert not (tmp_path / "runs").exists()


def test_a_folder_called_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    finished(tmp_path, "train")
    assert not (tmp_path / "latest").is_symlink()


def test_without_a_run_the_sentence_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no finished train or compress run: run `neuroprune train` first"):
        latest_run(tmp_path / "none", ["train", "compress"])


def test_a_run_is_found_by_path_by_name_and_by_the_latest_link(tmp_path: Path) -> None:
    folder = finished(tmp_path, "train", "digits")
    assert find_run(tmp_path, str(folder), ["train"]) == folder
    assert find_run(tmp_path, folder.name, ["train"]) == folder
    assert find_run(tmp_path, "latest", ["train"]).resolve() == folder.resolve()
    assert find_run(tmp_path, None, ["train"]) == folder


def test_a_run_is_found_by_its_number_unless_a_folder_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    first, second = finished(runs, "train"), finished(runs, "train")
    assert find_run(runs, "1", ["train"]) == first
    assert find_run(runs, "0002", ["train"]) == second
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / CHECKPOINT).write_text("{}")
    assert find_run(runs, "1", ["train"]) == Path("1")
    with pytest.raises(InputError, match=r"run 3 is neither a folder nor a run in "):
        find_run(runs, "3", ["train"])
    with pytest.raises(InputError, match=r"0002-train holds no report.json, so it is no finished deploy run"):
        find_run(runs, "2", ["deploy"])


def test_a_number_of_two_runs_names_neither(tmp_path: Path) -> None:
    for name in ("0001-train-a", "0001-train-b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / CHECKPOINT).write_text("{}")
    with pytest.raises(InputError, match=r"1 is the number of 0001-train-a and 0001-train-b in .*: name one of them"):
        find_run(tmp_path, "1", ["train"])


def test_a_run_is_removed_as_a_whole_and_latest_follows(tmp_path: Path) -> None:
    first, second = finished(tmp_path, "train"), finished(tmp_path, "train")
    remove_run(second)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [first.name, "latest"]
    assert (tmp_path / "latest").resolve() == first.resolve()


def test_a_run_that_cannot_be_removed_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = finished(tmp_path, "train")

    def denied(path: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "rename", denied)
    with pytest.raises(OutputError, match=r"could not be removed \(Permission denied\): see who may write there"):
        remove_run(folder)
    assert (folder / CHECKPOINT).is_file()


@pytest.mark.skipif(os.name == "nt", reason="no locks there")
def test_what_a_killed_removal_left_goes_with_the_next_command(tmp_path: Path) -> None:
    (tmp_path / ".removed.0001-train").mkdir()
    (tmp_path / ".removed.0001-train" / CHECKPOINT).write_text("{}")
    with run_folder(tmp_path, "train", "x"):
        assert not (tmp_path / ".removed.0001-train").exists()


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run 0042-train is neither a folder nor a run in .*: name one that is there"):
        find_run(tmp_path, "0042-train", ["train"])


def test_a_run_without_a_result_is_refused_with_the_file_it_lacks(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "deploy")
    with pytest.raises(
        InputError, match=r"holds no report.json, so it is no finished deploy run: name another, or run"
    ):
        find_run(tmp_path, str(folder), ["deploy"])


@pytest.mark.skipif(os.name == "nt", reason="paths below a file fail differently there")
def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"a run folder could not be made in .*: choose another folder with --runs"):
        new_run(tmp_path / "file" / "runs", "train")
