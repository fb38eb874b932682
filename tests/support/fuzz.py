"""Random programs, compared in every u, v and spike: reference, engine, and Lava with its own and with our models.

    python tests/support/fuzz.py --programs 10000 --seed 0

Program k is `random_program(seed + k)`. Lava's process models run in one process; lava_worker/run.py says which parts
of Lava that leaves in use. A difference is reported with the seed of its program, and leads to exit code 1.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import torch
from devices import DEVICES
from programs import random_program
from rich.console import Console
from rich.progress import Progress

from neuroprune.errors import VerificationError
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record, simulate
from neuroprune.simulation.lava import record_all_with_lava
from neuroprune.simulation.lava_job import Case
from neuroprune.simulation.reference import run_reference
from neuroprune.simulation.types import Record, Trace

CHUNK = 100
"""Programs in one Lava worker, which takes seconds to start."""


@dataclass(frozen=True)
class Tally:
    """Sums over the programs that were verified; differences: (seed, who differs from the reference, where)."""

    programs: int = 0
    layers: int = 0
    neuron_steps: int = 0
    spikes: int = 0
    wraps: int = 0
    saturations: int = 0
    programs_beyond: int = 0
    differences: tuple[tuple[int, str, str], ...] = ()

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Tally)))

    def line(self) -> str:
        return (
            f"{self.programs} programs, {self.layers} layers, {self.neuron_steps} neuron-steps in u, v and spikes: "
            f"{self.spikes} spikes, {self.wraps} wraps and {self.saturations} saturations "
            f"(in {self.programs_beyond} programs), {len(self.differences)} differences"
        )


def verify(seeds: Sequence[int]) -> Tally:
    """Compare engine and Lava with the reference on the random programs of these seeds."""
    cases = [random_program(seed) for seed in seeds]
    by_lava = {
        f"Lava with {models} models": record_all_with_lava(
            cases, timeout_s=60 + 2 * len(cases), models=models, every_step=True, runtime=False
        )
        for models in ("stock", "fast")
    }
    total = Tally()
    for index, (seed, case) in enumerate(zip(seeds, cases, strict=True)):
        total += _verify_one(seed, case, {who: records[index] for who, records in by_lava.items()})
    return total


def _verify_one(seed: int, case: Case, by_lava: dict[str, Record]) -> Tally:
    expected, trace = run_reference(*case)
    differences = list(_engine_differences(case, expected, trace))
    for who, found in by_lava.items():
        differences += [(who, where) for where in _where(expected, found)]
    wraps = sum(layer.current_wraps for layer in trace.layers)
    saturations = sum(layer.voltage_saturations for layer in trace.layers)
    return Tally(
        programs=1,
        layers=len(trace.layers),
        neuron_steps=sum(layer.spikes.size for layer in expected.layers),
        spikes=sum(int(layer.spikes.sum()) for layer in trace.layers),
        wraps=wraps,
        saturations=saturations,
        programs_beyond=int(wraps + saturations > 0),
        differences=tuple((seed, who, where) for who, where in differences),
    )


def _engine_differences(case: Case, expected: Record, trace: Trace) -> Iterator[tuple[str, str]]:
    for device in DEVICES:
        engine = f"the engine on {device}"
        for where in _where(expected, record(*case, device, every_step=True)):
            yield engine, where
        found = simulate(*case, batch=2, device=device)
        for name in ("outputs", "input_events"):
            if not np.array_equal(getattr(trace, name), getattr(found, name)):
                yield engine, f"its {name}"
        for ours, theirs in zip(trace.layers, found.layers, strict=True):
            counts = [(each.current_wraps, each.voltage_saturations) for each in (ours, theirs)]
            if counts[0] != counts[1] or not np.array_equal(ours.spikes, theirs.spikes):
                yield engine, f"layer {ours.name!r}: its spikes, or its wraps and saturations {counts}"


def _where(expected: Record, found: Record) -> Iterator[str]:
    """The first difference, if there is any."""
    assert all(layer.u is not None and layer.v is not None for layer in (*expected.layers, *found.layers))
    try:
        compare(expected, found)
    except VerificationError as error:
        yield str(error)


def _chunks(first: int, programs: int) -> list[range]:
    return [range(at, min(at + CHUNK, first + programs)) for at in range(first, first + programs, CHUNK)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare reference, engine and Lava on random programs.")
    parser.add_argument("--programs", type=int, default=200, help="Number of random programs.  [default: 200]")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the first program.  [default: 0]")
    options = parser.parse_args()
    chunks = _chunks(options.seed, options.programs)
    console, total = Console(soft_wrap=True, highlight=False), Tally()
    context = multiprocessing.get_context("spawn")
    with (
        Progress(console=console, transient=True) as progress,
        ProcessPoolExecutor(mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        task = progress.add_task("fuzz", total=options.programs)
        for seeds, running in [(seeds, pool.submit(verify, seeds)) for seeds in chunks]:
            try:
                tally = running.result()
            except Exception:
                progress.print(f"seeds {seeds.start} to {seeds.stop - 1}, or those after them, did not come to an end:")
                raise
            total += tally
            progress.advance(task, tally.programs)
            for seed, who, where in tally.differences:
                progress.print(f"seed {seed}: {who} differs: {where}\n  again: make fuzz N=1 SEED={seed}")
    console.print(total.line())
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
