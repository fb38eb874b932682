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
    assert read_plain_pickle(path) == value


def test_an_array_becomes_a_description_that_holds_its_bytes(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": np.arange(6, dtype=np.uint8)}, protocol=2))
    array = read_plain_pickle(path)["data"]
    assert isinstance(array, Call)
    assert array.function.endswith("multiarray _reconstruct")
    assert array.state[-1].arguments == ("\x00\x01\x02\x03\x04\x05", "latin1")


def test_a_call_is_never_carried_out(tmp_path):
    victim, path = tmp_path / "made", tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": Harmful(str(victim))}, protocol=2))
    found = read_plain_pickle(path)["data"]
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
        read_plain_pickle(path)
