"""How long work tells how far it is; the command line draws bars from it, scripts may pass their own function."""

from typing import Protocol


class Progress(Protocol):
    """Called after each unit of work."""

    def __call__(self, task: str, done: int, total: int, **figures: float) -> None:
        """`done` of `total` units of `task` are finished; `figures` are named values to show beside the bar."""


def silent(task: str, done: int, total: int, **figures: float) -> None:
    """Says nothing."""
