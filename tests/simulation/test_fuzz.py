"""Random programs agree everywhere, and a program that does not is reported with its seed."""

import dataclasses
import sys
from collections import Counter
from concurrent.futures import Future
from typing import Any

import fuzz
import pytest
from fuzz import Tally, _in_share, _verify_one, verify
from mapped_programs import random_mapped
from programs import random_program

from neuroprune.exchange.format import ReadProgram
from neuroprune.program.types import IntBias
from neuroprune.simulation.types import LayerRecord, Record


def test_random_programs_agree_in_every_u_v_and_spike() -> None:
    """Reference, engine, Lava's own process models, the same with our convolution, and what netx keeps."""
    total = verify(range(200), cores=False)
    assert total.differences == ()
    assert total.programs == 200
    assert total.kinds["that overflow"] > 40 and total.wraps > 500 and total.saturations > 500
    assert total.kinds["in Lava"] == 200  # those with registers below 24 bits, too
    assert {kind for kind, count in total.kinds.items() if count > 20} == {
        "in Lava",
        "read back from netx",
        "that overflow",
        "with delays beyond the last step",
        "with inputs below 8 bits",
        "with recurrence",
        "with registers below 24 bits",
        "with sequences",
        "with soft reset",
        "with weights below 8 bits",
    }


def test_a_share_of_the_programs_runs_in_lava() -> None:
    assert [sum(_in_share(seed, share) for seed in range(1000)) for share in (0.0, 0.05, 0.1, 1.0)] == [
        0,
        50,
        100,
        1000,
    ]
    assert verify(range(8), lava=False, cores=False).kinds["in Lava"] == 0


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fuzz.py", *arguments])
    return fuzz.main()


def test_the_line_at_the_end_counts_what_was_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = sum((_verify_one(seed, random_program(seed), {}, cores=True) for seed in (7, 8, 9)), Tally())
    assert run(monkeypatch, "--programs", "3", "--seed", "7", "--lava", "0") == 0
    line, covered, time = capsys.readouterr().out.strip().split("\n")[-3:]
    assert (line, covered) == (expected.line(), expected.covered())
    assert time.endswith(" s for 1000 programs")
    assert f"{expected.kinds['with soft reset']} with soft reset" in covered
    layers = sum(len(random_program(seed)[0].layers) for seed in (7, 8, 9))
    assert expected.line().startswith(f"3 programs, {layers} layers, ")
    cores = sum(len(random_mapped(seed).mapping.cores) for seed in (7, 8, 9))
    assert expected.line().endswith(f", {cores} cores run from their tables, 0 differences")


class Interrupted:
    """A pool whose second task is interrupted."""

    def __init__(self, **_: object) -> None:
        self.submitted = 0

    def __enter__(self) -> "Interrupted":
        return self

    def __exit__(self, *_: object) -> None: ...

    def shutdown(self, cancel_futures: bool) -> None:
        assert cancel_futures

    def submit(self, *_: object) -> Future[Tally]:
        self.submitted += 1
        future: Future[Tally] = Future()
        if self.submitted == 1:
            future.set_result(Tally(programs=100))
        else:
            future.set_exception(KeyboardInterrupt())
        return future


def test_an_interrupted_run_says_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "ProcessPoolExecutor", Interrupted)
    assert run(monkeypatch, "--programs", "300", "--lava", "0") == 1
    interrupted, line, *_ = filter(None, capsys.readouterr().out.split("\n"))
    assert interrupted == "interrupted; so far:" and line.startswith("100 programs, ")


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


@pytest.mark.parametrize("part", ["bias", "scale", "weight_bits", "neuron"])
def test_a_file_that_keeps_something_else_is_a_difference(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = next(seed for seed in range(100) if fuzz._read_back(random_program(seed)[0]) is not None)
    right = fuzz.read_netx

    def wrong(*arguments: Any) -> ReadProgram:
        found = right(*arguments)
        last = found.program.layers[-1]
        other = {
            "bias": IntBias(last.bias.mantissa, last.bias.exponent + 1),
            "scale": 3.0,
            "weight_bits": last.weight_bits + 1,
            "neuron": dataclasses.replace(last.neuron, vth=5),  # type: ignore[type-var]
        }
        layers = (*found.program.layers[:-1], dataclasses.replace(last, **{part: other[part]}))
        return dataclasses.replace(found, program=dataclasses.replace(found.program, layers=layers))

    monkeypatch.setattr(fuzz, "read_netx", wrong)
    ((where, who, what),) = _verify_one(seed, random_program(seed), {}).differences
    assert (where, who) == (seed, "netx") and what.startswith("layer ")


def test_records_without_states_are_a_mistake() -> None:
    """Else a comparison would pass without having looked at u and v."""
    case = random_program(0)
    bare = Record(tuple(LayerRecord(each.name, each.spikes, each.voltages) for each in fuzz.record(*case).layers))
    with pytest.raises(AssertionError):
        list(fuzz._where(bare, bare))


def test_tallies_add_up() -> None:
    one = Tally(1, 2, 3, 4, 5, 6, ((7, "the engine", "here"),), Counter({"in Lava": 1}), 11)
    other = Tally(2, 1, 1, 1, 1, 1, (), Counter({"in Lava": 1, "that overflow": 2}), 2)
    kinds = Counter({"in Lava": 2, "that overflow": 2})
    assert one + other == Tally(3, 3, 4, 5, 6, 7, ((7, "the engine", "here"),), kinds, 13)
