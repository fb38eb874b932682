"""Runs commands in this process, over one folder of runs, and keeps what they print."""

from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest

from neuroprune.cli.main import main


class Answer(NamedTuple):
    """What a command printed, on each stream, and its exit code."""

    out: str
    err: str
    code: int | str | None


class Line:
    """Runs commands over one folder of runs."""

    def __init__(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.runs = runs
        self.capsys = capsys

    def __call__(self, *arguments: str) -> Answer:
        code = ended(*arguments, "--runs", str(self.runs))
        said = self.capsys.readouterr()
        return Answer(said.out, said.err, code)


def ended(*arguments: str) -> int | str | None:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code


def interrupted(*arguments: str) -> None:
    """Run a command that trains, and stop it in its second epoch as Ctrl-C does."""

    def interrupt(task: str, done: int, total: int, **figures: float) -> None:
        if figures.get("epoch") == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"neuroprune.cli.{arguments[0]}.progress_bars", lambda _: nullcontext(interrupt))
        assert ended(*arguments) == 130
