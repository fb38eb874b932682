"""`neuroprune runs`: what is listed, what is removed, and what never is."""

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from command_line import Line, interrupted

from neuroprune.cli.main import main

TRAINED = ("train", "--model", "digits-conv", "--device", "cpu", "--batch", "512")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training, its deployment, and a training that was stopped in its second epoch."""
    runs = tmp_path_factory.mktemp("list") / "runs"
    for arguments in ((*TRAINED, "--epochs", "1"), ("deploy", "1", "--samples", "4", "--lava-samples", "0")):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--runs", str(runs)])
        assert stopped.value.code == 0
    interrupted(*TRAINED, "--epochs", "3", "--runs", str(runs))
    return runs


def folder_with(runs: Path, *names: str) -> Path:
    for name in names:
        (runs / name).mkdir(parents=True)
        (runs / name / "report.json").write_text("{}")
    return runs


def test_every_run_is_listed_with_what_it_holds(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Line(filled, capsys)("runs", "--json")
    assert answer.code == 0, answer.err
    train, deploy, unfinished = json.loads(answer.out)
    assert [each["number"] for each in (train, deploy, unfinished)] == [1, 2, 3]
    assert [each["state"] for each in (train, deploy, unfinished)] == ["finished", "finished", "unfinished"]
    assert (train["kind"], train["data"], train["model"]) == ("train", "digits", "digits-conv")
    history = json.loads((filled / "0001-train-digits" / "checkpoint.json").read_text())["history"]
    assert train["accuracy"] == history[-1]["test_accuracy"]
    report = json.loads((filled / "0002-deploy-digits" / "report.json").read_text())
    assert (deploy["data"], deploy["accuracy"]) == ("digits", report["accuracy"]["bit_accurate"])
    assert train["size"] == sum(path.stat().st_size for path in (filled / "0001-train-digits").iterdir())
    assert train["date"].endswith("+00:00")


def test_the_table_has_a_row_for_each_run(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Line(filled, capsys)("runs")
    rows = [line.split() for line in answer.out.splitlines()]
    assert [row[:2] for row in rows if row and row[0].isdecimal()] == [["1", "train"], ["2", "deploy"], ["3", "train"]]
    assert "3 runs in " in answer.err


def test_a_folder_without_runs_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Line(tmp_path / "none", capsys)("runs")
    assert (answer.code, answer.out) == (0, "")
    assert "holds no runs" in answer.err
    assert json.loads(Line(tmp_path / "none", capsys)("runs", "--json").out) == []


@pytest.mark.parametrize("content", ["{}", "no JSON", '{"model": {}, "data": {"name": "x"}, "history": []}'])
def test_a_run_whose_files_are_not_whole_is_listed_as_incomplete(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_with(tmp_path, "0001-deploy-x")
    (tmp_path / "0001-deploy-x" / "report.json").write_text(content)
    (listed,) = json.loads(Line(tmp_path, capsys)("runs", "--json").out)
    assert (listed["state"], listed["accuracy"]) == ("incomplete", None)


def test_runs_are_removed_by_number_name_and_latest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_with(tmp_path, "0001-deploy-x", "0002-deploy-y", "0003-deploy-z", "0004-deploy-z")
    (tmp_path / "latest").symlink_to("0004-deploy-z")
    answer = Line(tmp_path, capsys)("runs", "remove", "1", "0003-deploy-z", "latest", "3", "--yes")
    assert answer.code == 0, answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0002-deploy-y", "latest"]
    assert (tmp_path / "latest").resolve().name == "0002-deploy-y"


@pytest.mark.parametrize(
    ("answer", "left"), [("y\n", []), ("yes\n", []), ("n\n", ["0001-deploy-x"]), ("\n", ["0001-deploy-x"])]
)
def test_it_asks_first(
    answer: str, left: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_with(tmp_path, "0001-deploy-x")
    monkeypatch.setattr("sys.stdin", StringIO(answer))
    said = Line(tmp_path, capsys)("runs", "remove", "1")
    assert said.code == 0
    assert "remove 0001-deploy-x? [y/N]" in said.err
    assert [path.name for path in tmp_path.iterdir() if path.name != "latest"] == left


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["remove"], "remove needs the runs to remove: name them by number, as in remove 3 5"),
        (["remove", "7"], "7 is no run in .*: `neuroprune runs` lists those that are there"),
        (["remove", "1", "7", "--yes"], "7 is no run in "),
        (["remove", "{elsewhere}", "--yes"], "is no run in "),
        (["remove", "1"], "nobody answered whether to remove these runs, and nothing was removed: add --yes"),
        (["--yes"], "--yes is for remove: leave it out, or name what to remove"),
        (["clean"], "'clean' is not 'remove'"),
    ],
)
def test_what_is_not_removed_is_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(""))
    runs = folder_with(tmp_path / "runs", "0001-deploy-x")
    elsewhere = folder_with(tmp_path / "others", "0001-deploy-x") / "0001-deploy-x"
    answer = Line(runs, capsys)("runs", *(each.format(elsewhere=elsewhere) for each in arguments))
    assert answer.code == 2
    assert re.search(sentence, answer.err.strip().splitlines()[-1]), answer.err
    assert (runs / "0001-deploy-x" / "report.json").is_file() and elsewhere.is_dir()


def test_a_run_that_a_command_is_at_work_in_stays_as_do_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_with(tmp_path, "0001-deploy-x", "0002-deploy-y")
    code = (
        "import sys; from pathlib import Path; from neuroprune.folders import locked\n"
        "with locked(Path(sys.argv[1])): print('in', flush=True); input()"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "0002-deploy-y")]
    line = Line(tmp_path, capsys)
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "in\n"
        assert [each["state"] for each in json.loads(line("runs", "--json").out)] == ["incomplete", "in use"]
        answer = line("runs", "remove", "1", "2", "--yes")
        other.kill()
    assert answer.code == 2
    assert "0002-deploy-y is in use by another command: wait until it has ended; nothing was removed" in answer.err
    assert len(list(tmp_path.glob("0*"))) == 2


def test_what_is_removed_is_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_with(tmp_path, "0001-deploy-x")
    answer = Line(tmp_path, capsys)("runs", "remove", "1", "--yes", "--json")
    assert json.loads(answer.out) == {"removed": [str(tmp_path / "0001-deploy-x")]}
