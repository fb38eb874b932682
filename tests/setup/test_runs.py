"""Run folders: numbering, what counts as finished, and finding the step before."""

import os
import threading
from pathlib import Path

import pytest

from neuroprune.errors import InputError, OutputError
from neuroprune.runs import RESULT_FILES, find_run, latest_run, new_run, run_folder, update_latest


def finished(root: Path, kind: str, label: str = "") -> Path:
    folder = new_run(root, kind, label)
    (folder / RESULT_FILES[kind]).write_text("{}")
    update_latest(root)
    return folder


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


def test_work_that_was_interrupted_keeps_what_it_wrote(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), run_folder(tmp_path, "train", "digits") as folder:
        (folder / RESULT_FILES["train"]).write_text("{}")
        raise KeyboardInterrupt
    assert latest_run(tmp_path, ["train"]) == folder
    assert (tmp_path / "latest").resolve() == folder.resolve()


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


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run 0042-train is neither a folder nor a run in .*: name one that is there"):
        find_run(tmp_path, "0042-train", ["train"])


def test_an_unfinished_run_is_refused_with_the_file_it_lacks(tmp_path: Path) -> None:
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
