"""What commands say beside their results."""

import io
import re

import pytest

from neuroprune.cli.console import page_width, progress_bars
from neuroprune.progress import silent


class Terminal(io.StringIO):
    """Standard error as a terminal has it."""

    def isatty(self) -> bool:
        return True


def test_bars_show_task_count_figures_and_time_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with progress_bars() as progress:
        progress("training", 1, 4, loss=0.123456, accuracy=0.5, images_per_s=1234.5)
        progress("training", 3, 4, loss=0.1, accuracy=0.75, images_per_s=1300.0)
        progress("lava", 2, 2)
    drawn = terminal.getvalue()
    for part in ("training", "3/4", "loss 0.1", "accuracy 0.75", "images/s 1,300", "lava", "2/2", "left"):
        assert part in drawn


def test_eighty_columns_show_step_time_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    with progress_bars() as progress:
        progress("training", 1, 1000, epoch=100, loss=0.123456, accuracy=0.5, images_per_s=1234.5)
        progress("training", 999, 1000, epoch=100, loss=0.123456, accuracy=0.5, images_per_s=1234.5)
    (line,) = (line for line in terminal.getvalue().splitlines() if line.strip())
    assert re.match(r"training \S{10}\S* +999/1000 0:00:\d\d left \S+ epoch 100  loss 0\.", line), line
    assert len(line) <= 80


def test_a_log_gets_a_line_at_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as progress:
        for done in range(1, 41):
            progress("train", done, 40, loss=1 / done)
        progress("lava", 0, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "train 4/40  loss 0.25"
    assert lines[-1] == "train 40/40  loss 0.025"


def test_where_progress_is_not_enabled_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    with progress_bars(enabled=False) as progress:
        assert progress is silent


def test_a_file_gets_tables_of_one_width_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert page_width() == 120
    monkeypatch.setattr("sys.stdout", Terminal())
    assert page_width() == 80
