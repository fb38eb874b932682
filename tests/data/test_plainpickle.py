"""Pickles of plain data are read; whatever would run code is not run."""

import os
import pickle

import numpy as np
import pytest

from neuroprune.data.plainpickle import Call, read_plain_pickle
from neuroprune.errors import InputError

PLAIN = {"labels": [1, 2, 300, 70_000, -5, 2**40], "text": "name", "pair": (1, (2,), ()), "flags": [True, False, None]}


class Harmful:
    """Pickles to a call of os.mkdir."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("value", [PLAIN, [], {}, [PLAIN, PLAIN], {"one": 1}, [["only"]]])
def test_plain_values_come_back_as_pickle_reads_them(tmp_path, value):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(value, protocol=2))
    assert read_plain_pickle(path, 1 << 20) == value


def test_an_array_becomes_a_description_that_holds_its_bytes(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": np.arange(6, dtype=np.uint8)}, protocol=2))
    array = read_plain_pickle(path, 1 << 20)["data"]
    assert isinstance(array, Call)
    assert array.function.endswith("multiarray _reconstruct")
    assert array.state[-1].arguments == ("\x00\x01\x02\x03\x04\x05", "latin1")


def test_a_call_is_never_carried_out(tmp_path):
    victim, path = tmp_path / "made", tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": Harmful(str(victim))}, protocol=2))
    found = read_plain_pickle(path, 1 << 20)["data"]
    assert isinstance(found, Call) and found.arguments == (str(victim),)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "pickle exhausted before seeing STOP"),
        (pickle.dumps(PLAIN, 2)[:-9], "pickle exhausted before seeing STOP|at position"),
        (b"not a pickle", "opcode"),
        (b".", "pop from empty list"),
        (b"(i__main__\nX\n.", "it uses the opcode INST"),
    ],
)
def test_what_is_no_whole_plain_pickle_is_refused(tmp_path, content, reason):
    path = tmp_path / "batch"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=f"{path} is not a whole pickle of plain data \\(.*({reason}).*\\): fetch it again"
    ):
        read_plain_pickle(path, 1 << 20)


DOUBLED = b"h\x00h\x00\x86q\x00"
"""Opcodes that make a tuple of two of what is at 0 in the memo, and put it there."""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x80\x02]q\x00" + DOUBLED * 100 + b".", "it stands for more than the 1000000 values that are read"),
        (b"\x80\x02]q\x00h\x00a.", "it holds a value that holds itself"),
        (b"\x80\x02})q\x00" + DOUBLED * 100 + b"h\x00s.", "it has a key that is no text"),
        (b"\x80\x02" + b"N" * 3_000_001 + b".", "it has more than the 3000000 opcodes that are read"),
        (
            b"\x80\x02" + b"]" * 20 + b"a" * 19 + b"." + bytes(1 << 20),
            "it holds 1048618 bytes, and at most 1048576 are",
        ),
        (b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", "it is nested too deeply"),
    ],
)
def test_small_pickles_of_large_values_are_refused(tmp_path, content, reason):
    path = tmp_path / "batch"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"is not a whole pickle of plain data \\({reason}"):
        read_plain_pickle(path, 4 << 20 if len(content) > 2 << 20 else 1 << 20)
