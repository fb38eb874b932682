"""Finished means finished: what an interrupted command leaves is named, resumed, and taken only on request."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Line, ended, interrupted

from neuroprune.runs import is_unfinished

RECIPE = """
title: A network that trains in a second
data: digits
steps: 2
layers:
  - {conv: 24}
  - {pool: average}
  - {conv: 40}
training: {epochs: 2, batch: 256, lr: 0.01, l1: 1.0e-4}
fine_tuning: {epochs: 2, lr: 0.01}
"""
PRUNED = ("compress", "--flops", "0.5", "--device", "cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training, an interrupted one, and an interrupted compression of the first."""
    folder = tmp_path_factory.mktemp("made")
    recipe, runs = folder / "tiny.yaml", str(folder / "runs")
    recipe.write_text(RECIPE)
    trained = ("train", "--model", str(recipe), "--device", "cpu")
    assert ended(*trained, "--runs", runs) == 0
    interrupted(*trained, "--runs", runs)
    interrupted(*PRUNED, "--runs", runs)
    return folder / "runs"


@pytest.fixture
def line(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    shutil.copytree(made, tmp_path / "runs", symlinks=True)
    capsys.readouterr()
    return Line(tmp_path / "runs", capsys)


DEPLOYED = ("deploy", "--samples", "5", "--lava-samples", "0")


def test_an_unfinished_run_is_not_the_latest(line: Line) -> None:
    assert [path.name for path in sorted(line.runs.iterdir())] == [
        "0001-train-digits",
        "0002-train-digits",
        "0003-compress-digits",
        "latest",
    ]
    assert (line.runs / "latest").resolve().name == "0001-train-digits"
    answer = line(*DEPLOYED)
    assert answer.code == 0
    assert f"taking {line.runs / '0001-train-digits'} (the latest train or compress run)" in answer.err
    run = line.runs / "0003-compress-digits"
    assert (
        f"passing over {run}, which is unfinished: `neuroprune compress --resume {run}` goes on with it" in answer.err
    )


@pytest.mark.parametrize("command", [PRUNED, DEPLOYED])
def test_an_unfinished_run_that_is_named_is_refused_and_taken_on_request(command: tuple[str, ...], line: Line) -> None:
    run = line.runs / "0002-train-digits"
    refused = line(*command, str(run))
    assert refused.code == 2
    assert refused.err == (
        f"Error: {run} is unfinished: go on with `neuroprune train --resume {run}`, or take it as it is with "
        "--unfinished\n"
    )
    taken = line(*command, str(run), "--unfinished", *(["--epochs", "0"] if command == PRUNED else []))
    assert taken.code == 0
    assert f"taking {run}, which is unfinished" in taken.err


def test_where_no_run_is_finished_the_unfinished_one_is_named(line: Line) -> None:
    shutil.rmtree(line.runs / "0001-train-digits")
    run = line.runs / "0002-train-digits"
    refused = line(*PRUNED)
    assert refused.code == 2
    assert refused.err.startswith(f"Error: {run} is unfinished: go on with `neuroprune train --resume {run}`, or")
    taken = line(*PRUNED, "--unfinished", "--epochs", "0")
    assert taken.code == 0
    assert f"taking {run} (the latest train run), which is unfinished" in taken.err


def test_unfinished_is_refused_where_no_run_is_taken(line: Line) -> None:
    for arguments in (("--model", "digits-conv"), ("program.net", "--data", "digits")):
        answer = line("deploy", *arguments, "--unfinished")
        assert answer.code == 2
        assert "--unfinished cannot apply here" in answer.err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0002-train-digits", r"unfinished: 1 of 2 epochs of training tiny on digits, test accuracy "),
        ("0003-compress-digits", r"unfinished: 1 of 2 epochs of fine-tuning tiny on digits, test accuracy "),
    ],
)
def test_report_shows_what_an_unfinished_run_is(name: str, text: str, line: Line) -> None:
    run = line.runs / name
    answer = line("report", str(run))
    assert answer.code == 0
    assert answer.out.startswith(text)
    resume = f"neuroprune {name.split('-')[1]} --resume {run}"
    assert answer.err.endswith(f"next: {resume}\n")
    refused = line("report", str(run), "--json")
    assert (refused.code, refused.out) == (2, "")
    assert f"it has no figures yet: go on with `{resume}`" in refused.err


def test_a_compression_is_resumed_to_the_bytes_of_an_unbroken_one(line: Line) -> None:
    assert line(*PRUNED).code == 0
    run, unbroken = line.runs / "0003-compress-digits", line.runs / "0004-compress-digits"
    answer = line("compress", "--resume")
    assert answer.code == 0, answer.err
    assert f"resuming {run} (the latest unfinished compress run)" in answer.err
    assert "criticality" not in answer.err, "no channels are chosen again"
    for name in ("checkpoint.safetensors", "checkpoint.json", "compress.json"):
        assert tidy(run / name) == tidy(unbroken / name)
    assert {path.name for path in run.iterdir()} == {path.name for path in unbroken.iterdir()}
    assert (line.runs / "latest").resolve() == unbroken
    again = line("compress", "--resume", str(run))
    assert again.code == 2
    assert "holds no training.safetensors, so nothing that could be resumed: start it without --resume" in again.err


def tidy(path: Path) -> object:
    """What is in a file, apart from wall times and the folders of runs."""
    if path.suffix == ".safetensors":
        return path.read_bytes()
    values = json.loads(path.read_text(), object_pairs_hook=lambda pairs: {k: v for k, v in pairs if k != "seconds"})
    return {key: value for key, value in values.items() if key not in ("run", "from")}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--flops", "0.3"],
            "was started with flops = 0.5, but resuming asks for 0.3: give the same settings, or comp",
        ),
        (["--method", "slimming"], "was started with method = criticality, but resuming asks for slimming: give"),
        (["--regenerate", "0.2"], "was started with regeneration = 0.3, but resuming asks for 0.2: give the same"),
        (
            ["--lr", "0.5"],
            "was started with lr = 0.01, but resuming asks for 0.5: give the same settings, or compress w",
        ),
        (["--epochs", "9"], "was started with epochs = 2, but resuming asks for 9: give the same settings"),
        (["--out", "x"], "--out cannot change in a run that is resumed: leave it out"),
        (["--unfinished"], "--unfinished cannot change in a run that is resumed: leave it out"),
    ],
)
def test_what_a_resumed_compression_cannot_change_is_refused(options: list[str], sentence: str, line: Line) -> None:
    answer = line("compress", "--resume", str(line.runs / "0003-compress-digits"), *options)
    assert answer.code == 2
    assert sentence in answer.err
    assert is_unfinished(line.runs / "0003-compress-digits")


def test_two_runs_to_resume_are_refused(line: Line) -> None:
    answer = line("compress", "0001-train-digits", "--resume", "0003-compress-digits")
    assert answer.code == 2
    assert "0001-train-digits and --resume name two runs: give the one to resume after --resume" in answer.err


def test_each_command_resumes_its_own_runs(line: Line) -> None:
    answer = line("train", "--resume", "0003-compress-digits")
    assert answer.code == 2
    assert "was started by `neuroprune compress`, not by train: resume it with `neuroprune compress" in answer.err
    shutil.rmtree(line.runs / "0003-compress-digits")
    answer = line("compress", "--resume")
    assert answer.code == 2
    assert "holds no unfinished compress run, so there is nothing to resume: name a run's folder, or comp" in answer.err


@pytest.mark.parametrize("command", [("train", "--device", "cpu"), PRUNED, DEPLOYED])
def test_a_folder_for_the_result_is_checked_before_the_work(
    command: tuple[str, ...], line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuroprune.data.load.load_dataset", lambda *_, **__: pytest.fail("work was begun"))
    taken = line(*command, "--out", str(line.runs / "0001-train-digits"))
    assert taken.code == 2
    assert "0001-train-digits already holds a run (checkpoint.json is there): choose another folder" in taken.err
    refused = line(*command, "--out", str(line.runs / "0001-train-digits" / "checkpoint.json" / "x"))
    assert refused.code == 2
    assert "checkpoint.json/x (Not a directory): free some space, or choose another folder" in refused.err


def test_zero_steps_are_refused(line: Line) -> None:
    answer = line("train", "--steps", "0")
    assert answer.code == 2
    assert "0 is not in the range x>=1" in answer.err


# --- from outside -----------------------------------------------------------------------------------------------------


def started(*arguments: str, most_bytes: int | None = None) -> "subprocess.Popen[str]":
    """The command in a process of its own; most_bytes: of a file that it can write, as on a disk that is full."""

    def limit() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "neuroprune", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=limit,
    )


@pytest.mark.parametrize("command", ["train", "compress"])
def test_sigterm_ends_a_command_in_a_sentence_and_keeps_what_was_finished(command: str, line: Line) -> None:
    arguments = {"train": ["--batch", "512"], "compress": ["0001-train-digits", "--flops", "0.5"]}[command]
    long = ["--epochs", "1000", "--device", "cpu", "--runs", str(line.runs)]
    process = started(command, *arguments, *long)
    run = line.runs / f"0004-{command}-digits"
    until = time.monotonic() + 120
    while not is_unfinished(run) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "Traceback" not in said
    hint, _, last = said.splitlines()[-3:]
    assert hint == f"what was finished is kept: go on with `neuroprune {command} --resume {run}`"
    assert last == "Terminated."
    assert {path.suffix for path in run.iterdir()} == {".json", ".jsonl", ".safetensors"}
    assert is_unfinished(run)


def test_sigterm_before_anything_is_kept_leaves_no_folder(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    process = started("train", "--epochs", "1000", "--device", "cpu", "--runs", str(runs))
    until = time.monotonic() + 120
    while not (runs / "0001-train-digits").exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert said.endswith("\nTerminated.\n") and "Traceback" not in said
    assert not runs.exists()


def test_a_disk_that_fills_up_is_one_sentence_and_what_was_finished_stays(line: Line, made: Path) -> None:
    run = line.runs / "0002-train-digits"
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    process = started("train", "--resume", str(run), "--runs", str(line.runs), most_bytes=5000)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "could not be written (" in said.splitlines()[-1] and "Traceback" not in said
    assert said.splitlines()[-1].startswith("Error: ")
    assert f"what was finished is kept: go on with `neuroprune train --resume {run}`" in said
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert line("train", "--resume").code == 0


@pytest.mark.parametrize(
    ("most_bytes", "says"), [(2000, "nothing can be written to "), (20_000, " could not be written (")]
)
def test_a_deployment_on_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    line: Line, made: Path, most_bytes: int, says: str
) -> None:
    """Full at the start, and full once some of its files are there, which are whole."""
    runs = line.runs / "other"
    process = started(
        "deploy", str(line.runs / "0001-train-digits"), "--lava-samples", "0", "--samples", "4", "--runs", str(runs),
        most_bytes=most_bytes,
    )  # fmt: skip
    _, said = process.communicate(timeout=120)
    last = said.splitlines()[-1]
    assert process.returncode == 2, said
    assert last.startswith("Error: ") and says in last and "Traceback" not in said
    left = {path.name for folder in runs.glob("*") for path in folder.iterdir()}
    assert (
        left <= {"program.net", "model.onnx", "layers.csv", "cores.csv", "report.html"}
        and not (runs / "latest").exists()
    )


def test_two_commands_do_not_work_in_one_folder(line: Line) -> None:
    run = line.runs / "0002-train-digits"
    from neuroprune.folders import locked

    with locked(run):
        answer = line("train", "--resume")
    assert answer.code == 2
    assert f"Error: {run} is in use by another command: wait until it has ended, or choose another folder" in answer.err
    assert line("train", "--resume").code == 0


def test_killed_commands_end_as_unbroken_ones(tmp_path: Path) -> None:
    kills = Path(__file__).parents[1] / "support" / "kills.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    answer = subprocess.run(
        [sys.executable, str(kills), "--kills", "2"], env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.count("2 kills: 1 at a change of files, 1 at a moment") == 3
    assert list(tmp_path.iterdir()) == []
