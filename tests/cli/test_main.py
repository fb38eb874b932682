"""The command line as a whole: help, what it imports, how errors and interrupts end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from neuroprune.cli import main as main_module
from neuroprune.cli.main import COMMANDS, cli, main
from neuroprune.errors import (
    CapacityError,
    InputError,
    LavaError,
    NeuropruneError,
    OutputError,
    UnsupportedNetwork,
    VerificationError,
)

HEAVY = {"torch", "numpy", "lava", "spikingjelly", "rich", "onnx", "h5py", "pydantic", "yaml", "sklearn", "matplotlib"}


def exit_code_of(arguments: Sequence[str]) -> int | str | None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code


def raising(error: BaseException) -> click.Command:
    def callback() -> None:
        raise error

    return click.Command("broken", callback=callback)


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from neuroprune.cli.main import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit as stopped:\n    code = stopped.code\n"
        "print(code, *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, *modules = answer.stdout.splitlines()[-1].split()
    assert exit_code == "0"
    assert "neuroprune" in modules
    assert HEAVY.isdisjoint(modules)


def test_help_lists_every_command_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(["--help"]) == 0
    _, _, text = capsys.readouterr().out.partition("Commands:")
    places = [text.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert "..." not in text, "a summary was cut short"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_an_example_of_that_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of([name, "--help"]) == 0
    _, _, examples = capsys.readouterr().out.partition("Examples:\n")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert lines
    assert all(line.startswith(f"neuroprune {name}") for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_the_help_name_only_options_that_exist(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    used = {word for word in (command.epilog or "").split() if word.startswith("--")}
    assert used <= known


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("the file is not there: name another"), 2),
        (OutputError("the disk is full: free some space"), 2),
        (UnsupportedNetwork(["layer gelu is a GELU: use LIF neurons"]), 2),
        (CapacityError("core 3 needs 5000 input axons, 4096 are there: prune more"), 3),
        (VerificationError("layer conv1 differs"), 4),
        (LavaError("Lava did not answer within 600 s: raise --lava-timeout"), 4),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_sentence_on_standard_error_and_its_exit_code(
    error: NeuropruneError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main_module.LazyGroup, "get_command", lambda *_: raising(error))
    assert exit_code_of(["train"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"Error: {error}\n"


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_module.LazyGroup, "get_command", lambda *_: raising(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        main(["train"])


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(main_module.LazyGroup, "get_command", lambda *_: raising(KeyboardInterrupt()))
    assert exit_code_of(["train"]) == 130
    assert capsys.readouterr().err.endswith("Interrupted.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such-command"], "no such command 'no-such-command' (see `neuroprune --help`)"),
        (
            ["train", "--epoch", "3"],
            "no such option '--epoch'; did you mean '--epochs'? (see `neuroprune train --help`)",
        ),
        (
            ["train", "--epochs", "x"],
            "invalid value for '--epochs': 'x' is not a valid integer (see `neuroprune train --help`)",
        ),
        (["train", "--epochs"], "option '--epochs' requires an argument (see `neuroprune"),
        (["report", "a", "b"], "got unexpected extra argument (b) (see `neuroprune report --help`)"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_sentence_that_says_where_help_is(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"Error: {sentence}")
    assert said.err.count("\n") == 1


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["targets --json | head -c 10", "targets show loihi1 | true", "--help | true"])
def test_a_reader_that_stops_reading_is_no_error(arguments: str) -> None:
    command = f"{sys.executable} -m neuroprune {arguments}"
    answer = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""


def test_python_m_neuroprune_is_the_same_command() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "neuroprune", "--version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.startswith("neuroprune, version ")


def test_ctrl_c_keeps_the_last_epoch_and_says_how_to_go_on(tmp_path: Path) -> None:
    arguments = ["train", "--epochs", "1000", "--batch", "512", "--device", "cpu", "--runs", str(tmp_path)]
    started = subprocess.Popen(
        [sys.executable, "-m", "neuroprune", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Where the tests run in the background of a shell, SIGINT is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    checkpoint = tmp_path / "0001-train-digits" / "checkpoint.json"
    until = time.monotonic() + 120
    while not checkpoint.is_file() and time.monotonic() < until and started.poll() is None:
        time.sleep(0.1)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130, said
    assert f"go on with `neuroprune train --resume {checkpoint.parent}`" in said
    assert checkpoint.is_file()
    assert not (tmp_path / "latest").exists(), "it points at finished runs only"
