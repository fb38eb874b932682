"""The output of commands: notes and progress on standard error, tables and JSON on standard output."""

import io
import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import click

from neuroprune.errors import NeuropruneError
from neuroprune.excerpts import harmless
from neuroprune.progress import Progress, silent
from neuroprune.readable import figure

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType

NARROWEST = 80
WIDTH_OF_A_FILE = 120
"""Columns of tables that go to a file or a pipe, which has no width of its own."""


_standard_output: ContextVar[TextIO | None] = ContextVar("standard output", default=None)
"""Where results go within `apart_from_code`."""


class _Nobody(io.TextIOBase):
    """Standard input that nothing comes from. It ends the line that a question stands on."""

    def read(self, size: int | None = -1) -> str:
        """Nothing."""
        return ""

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        """Nothing, for `input`."""
        click.echo(err=True)
        return ""


@contextmanager
def apart_from_code() -> Iterator[None]:
    """Within it, what code of the user's prints goes to standard error, and what it asks for is not there.

    So standard output has the result alone, which may be read as JSON, and no command waits for an answer.
    """
    token, asked = _standard_output.set(sys.stdout), sys.stdin
    try:
        sys.stdin = _Nobody()
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdin = asked
        _standard_output.reset(token)


def command_line(arguments: Sequence[str]) -> str:
    """The command with its arguments as a person could type it again."""
    return shlex.join(["neuroprune", *arguments])


def note(text: str) -> None:
    """Print a note beside the result, without the control characters that a name in a file may hold."""
    click.echo(harmless(text, lines=True), err=True)


def show_error(error: NeuropruneError) -> None:
    """Print an error as one line."""
    click.echo(f"Error: {harmless(str(error))}", err=True)


def show_text(text: str) -> None:
    """Print a line, CSV or JSON as it is, and on a terminal without control characters."""
    results = _results()
    click.echo(harmless(text, lines=True) if results.isatty() else text, file=results, nl=not text.endswith("\n"))


def next_step(command: str) -> None:
    """Print the last line of a command: what to run next."""
    note(f"next: {command}")


def show_json(value: Any) -> None:
    """Print `value` as JSON."""
    show_text(json.dumps(value, indent=2, allow_nan=False))


def page_width() -> int:
    """Columns that a table may take."""
    return max(shutil.get_terminal_size().columns, NARROWEST) if _results().isatty() else WIDTH_OF_A_FILE


def show(*parts: "RenderableType") -> None:
    """Print rich tables and texts, without the control characters that a name in a file may hold."""
    from rich.console import Console
    from rich.segment import Segment

    class Harmless(Console):
        def render(self, renderable: "RenderableType", options: "ConsoleOptions | None" = None) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else harmless(text, lines=True), style, control)

    console = Harmless(file=_results(), width=page_width(), highlight=False)
    for part in parts:
        console.print(part)


def _results() -> TextIO:
    return _standard_output.get() or sys.stdout


@contextmanager
def progress_bars(enabled: bool = True) -> Iterator[Progress]:
    """A `Progress` on standard error: a bar for each task, with figures, time taken and time left.

    Where standard error is no terminal it is a line at each tenth of a task; where it is not enabled, nothing.
    """
    if not enabled:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as show_progress:
            yield show_progress
    else:
        yield _tenths()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as Bars,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    console = Console(stderr=True)
    what_is_left = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # so that figures are cut, and not the time
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30 if console.width > WIDTH_OF_A_FILE else 10),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", table_column=what_is_left),
        console=console,
        expand=True,
    )
    tasks: dict[str, Any] = {}

    def show_progress(task: str, done: int, total: int, **figures: float) -> None:
        if task not in tasks:
            tasks[task] = bars.add_task(task, total=total, figures="")
        bars.update(tasks[task], completed=done, total=total, figures=_beside(figures))

    with bars:
        yield show_progress


def _tenths() -> Progress:
    shown: dict[str, int] = {}

    def show_progress(task: str, done: int, total: int, **figures: float) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > shown.get(task, 0):
            shown[task] = tenth
            note(f"{task} {done}/{total}  {_beside(figures)}".rstrip())

    return show_progress


def _beside(figures: dict[str, float]) -> str:
    return "  ".join(
        f"{name.replace('_per_s', '/s').replace('_', ' ')} {figure(value)}" for name, value in figures.items()
    )
