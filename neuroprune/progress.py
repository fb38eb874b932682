"""How long computations report their progress: to the bars of the command line, or to a function of your own."""

from typing import Protocol


class Progress(Protocol):
    """Called after each unit of work."""

    def __call__(self, task: str, done: int, total: int, **figures: float) -> None:
        """`done` of `total` units of `task` are finished; `figures` are named values to show beside the bar."""


def silent(task: str, done: int, total: int, **figures: float) -> None:
    """Reports nothing."""
