"""Random programs agree everywhere, and a program that does not is reported with its seed."""

import dataclasses
import sys

import fuzz
import pytest
from fuzz import Tally, _verify_one, verify
from programs import random_program

from neuroprune.simulation.types import LayerRecord, Record


def test_random_programs_agree_in_every_u_v_and_spike() -> None:
    """Reference, engine, Lava's own process models, and the same with our convolution."""
    total = verify(range(200))
    assert total.differences == ()
    assert total.programs == 200
    assert total.programs_beyond > 40 and total.wraps > 500 and total.saturations > 500


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fuzz.py", *arguments])
    return fuzz.main()


def test_the_line_at_the_end_counts_what_was_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = sum((_verify_one(seed, random_program(seed), {}) for seed in (7, 8, 9)), Tally())
    assert run(monkeypatch, "--programs", "3", "--seed", "7") == 0
    assert capsys.readouterr().out.split("\n")[-2] == expected.line()
    layers = sum(len(random_program(seed)[0].layers) for seed in (7, 8, 9))
    assert expected.line().startswith(f"3 programs, {layers} layers, ")
    assert expected.line().endswith(", 0 differences")


def test_a_difference_is_reported_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is one off in the last v of a program."""
    right = fuzz.record

    def wrong(*case: object, every_step: bool) -> Record:
        found: Record = right(*case, every_step=every_step)
        last = found.layers[-1]
        assert last.v is not None
        v = last.v.copy()
        v.flat[-1] += 1
        return Record((*found.layers[:-1], dataclasses.replace(last, v=v)))

    monkeypatch.setattr(fuzz, "record", wrong)
    monkeypatch.setattr(fuzz, "DEVICES", ("cpu",))
    total = _verify_one(3, random_program(3), {})
    ((seed, who, where),) = total.differences
    assert (seed, who) == (3, "the engine on cpu")
    assert ": v is " in where
    assert total.line().endswith(", 1 differences")


def test_records_without_states_are_a_mistake() -> None:
    """Else a comparison would pass without having looked at u and v."""
    case = random_program(0)
    bare = Record(tuple(LayerRecord(each.name, each.spikes, each.voltages) for each in fuzz.record(*case).layers))
    with pytest.raises(AssertionError):
        list(fuzz._where(bare, bare))


def test_tallies_add_up() -> None:
    one, other = Tally(1, 2, 3, 4, 5, 6, 1, ((7, "the engine", "here"),)), Tally(2, 1, 1, 1, 1, 1, 0)
    assert one + other == Tally(3, 3, 4, 5, 6, 7, 1, ((7, "the engine", "here"),))
