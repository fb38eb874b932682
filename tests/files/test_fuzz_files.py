"""A few mutated files of every kind that is read; `make fuzz-files` reads thousands."""

import fuzz_files
import pytest
from fuzz_files import judge
from valid_files import READERS

from neuroprune.errors import InputError, UnsupportedNetwork


def test_mutated_files_are_read_or_refused_by_a_sentence() -> None:
    tallies = fuzz_files.fuzz_files(
        files=12, seed=10**6, readers=range(len(READERS)), workers=1, done=lambda case, outcome: None
    )
    assert [tally.failures for tally in tallies.values()] == [[]] * len(READERS)
    assert all(sum(tally.verdicts.values()) == 12 for tally in tallies.values())
    assert sum(tally.verdicts["refused"] for tally in tallies.values()) > 100


def caused(cause: BaseException) -> InputError:
    error = InputError("a sentence")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, "read"),
        (InputError("a sentence"), "refused"),
        (UnsupportedNetwork(["a layer: use another"] * 99), "refused"),
        (InputError("x" * 601), "bad sentence"),
        (InputError("two\nlines"), "bad sentence"),
        (InputError("\x1b[31m"), "bad sentence"),
        (ZeroDivisionError(), "traceback"),
        (AssertionError(), "traceback"),
        (MemoryError(), "over memory"),
        (caused(MemoryError()), "over memory"),
        (caused(RuntimeError("DefaultCPUAllocator: can't allocate memory")), "over memory"),
    ],
    ids=str,
)
def test_what_counts_as_a_failure(error: BaseException | None, verdict: str) -> None:
    def read() -> None:
        if error is not None:
            raise error

    assert judge(read)[0] == verdict
