"""Random programs, compared in every u, v and spike: reference, engine, cores, and Lava with its own and our models.

    python tests/support/fuzz.py --programs 10000 --seed 0 --lava 0.05

Program k is `random_program(seed + k)`; it is written as netx and read back, too, where it is a chain. `random_mapped`
of the same seed, a variation of it on a small chip, runs core by core, from tables that are held against what the
mapper counted. A share of the programs, by their seeds, runs in Lava, if their registers are Lava's. Lava's process
models run in one process; lava_worker/run.py says which parts of Lava that leaves in use. A difference is reported
with the seed of its program, and leads to exit code 1.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from devices import DEVICES
from mapped_programs import differences as core_differences, random_mapped
from programs import random_program
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from neuroprune.chips.load import load_chip
from neuroprune.errors import VerificationError
from neuroprune.exchange.netx.read import read_netx
from neuroprune.exchange.netx.synapses import MOST_DELAY
from neuroprune.exchange.netx.write import write_netx
from neuroprune.fixed_point import BIAS_EXPONENT, REGISTER_BITS
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record, simulate
from neuroprune.simulation.lava import record_all_with_lava
from neuroprune.simulation.lava_job import Case
from neuroprune.simulation.reference import run_reference
from neuroprune.simulation.types import Record, Trace

CHUNK = 100
"""Programs of one process at a time, and of one Lava worker, which takes seconds to start."""
RULES = load_chip("loihi-sim").rules


@dataclass(frozen=True)
class Tally:
    """Sums over the programs that were verified; differences: (seed, who differs from the reference, where).

    kinds: programs of each kind, of those that are counted apart. cores: those that ran from their tables.
    """

    programs: int = 0
    layers: int = 0
    neuron_steps: int = 0
    spikes: int = 0
    wraps: int = 0
    saturations: int = 0
    differences: tuple[tuple[int, str, str], ...] = ()
    kinds: Counter[str] = field(default_factory=Counter)
    cores: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Tally)))

    def line(self) -> str:
        return (
            f"{self.programs} programs, {self.layers} layers, {self.neuron_steps} neuron-steps in u, v and spikes: "
            f"{self.spikes} spikes, {self.wraps} wraps and {self.saturations} saturations, "
            f"{self.cores} cores run from their tables, {len(self.differences)} differences"
        )

    def covered(self) -> str:
        return "of them " + ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))


def verify(seeds: Sequence[int], lava: bool = True, cores: bool = True) -> Tally:
    """Compare engine, netx and perhaps Lava and cores with the reference on the random programs of these seeds."""
    cases = {seed: random_program(seed) for seed in seeds}
    chosen = list(cases) if lava else []
    by_lava: dict[int, dict[str, Record]] = {seed: {} for seed in seeds}
    for models in ("stock", "fast") if chosen else ():
        records = record_all_with_lava(
            [cases[seed] for seed in chosen],
            timeout_s=60 + 2 * len(chosen),
            models=models,
            every_step=True,
            runtime=False,
        )
        for seed, found in zip(chosen, records, strict=True):
            by_lava[seed][f"Lava with {models} models"] = found
    return sum((_verify_one(seed, case, by_lava[seed], cores) for seed, case in cases.items()), Tally())


def _in_share(seed: int, share: float) -> bool:
    """Evenly over the seeds, and the same for a seed whatever the first one is."""
    return int((seed + 1) * share) > int(seed * share)


def _verify_one(seed: int, case: Case, by_lava: dict[str, Record], cores: bool = False) -> Tally:
    expected, trace = run_reference(*case)
    differences = list(_engine_differences(case, expected, trace))
    for who, found in by_lava.items():
        differences += [(who, where) for where in _where(expected, found)]
    read = _read_back(case[0])
    if read is not None:
        differences += [("netx", where) for where in _program_differences(case[0], read)]
    mapped = random_mapped(seed) if cores else None
    if mapped is not None:
        differences += [("the cores", where) for where in core_differences(mapped)]
    wraps = sum(layer.current_wraps for layer in trace.layers)
    saturations = sum(layer.voltage_saturations for layer in trace.layers)
    kinds = _kinds(case[0]) | {"that overflow": wraps + saturations > 0}
    kinds |= {"in Lava": bool(by_lava), "read back from netx": read is not None}
    kinds |= mapped.kinds() if mapped is not None else {}
    return Tally(
        programs=1,
        layers=len(trace.layers),
        neuron_steps=sum(layer.spikes.size for layer in expected.layers),
        spikes=sum(int(layer.spikes.sum()) for layer in trace.layers),
        wraps=wraps,
        saturations=saturations,
        differences=tuple((seed, who, where) for who, where in differences),
        kinds=Counter([kind for kind, applies in kinds.items() if applies]),
        cores=len(mapped.mapping.cores) if mapped is not None else 0,
    )


def _kinds(program: IntProgram) -> dict[str, bool]:
    connections = [connection for layer in program.layers for connection in layer.connections]
    return {
        "with recurrence": any(layer.recurrent for layer in program.layers),
        "with soft reset": any(layer.neuron.reset == "subtract" for layer in program.layers),
        "with weights below 8 bits": any(layer.weight_bits < 8 for layer in program.layers),
        "with inputs below 8 bits": 0 < program.input.bits < 8,
        "with registers below 24 bits": any(layer.neuron.state_bits < REGISTER_BITS for layer in program.layers),
        "with delays beyond the last step": any(each.delay >= program.steps for each in connections),
        "with sequences": program.input.sequence,
    }


def _read_back(program: IntProgram) -> IntProgram | None:
    """The program as netx has it; None where that is no chain, or has longer delays than the format."""
    if max(each.delay for layer in program.layers for each in layer.connections) > MOST_DELAY:
        return None
    with TemporaryDirectory(prefix="neuroprune-fuzz-") as folder:
        path = Path(folder, "program.net")
        write_netx(program, path)
        if not path.exists():
            return None
        return read_netx(path, replace(RULES, state_bits=program.layers[0].neuron.state_bits)).program


def _program_differences(written: IntProgram, read: IntProgram) -> Iterator[str]:
    """The first part that is another; biases finer than the format's are rounded down by it."""
    for what in ("input", "readout", "steps"):
        if getattr(written, what) != getattr(read, what) and vars(getattr(written, what)) != vars(getattr(read, what)):
            yield f"its {what} is read as {getattr(read, what)}"
            return
    for one, other in zip(written.layers, read.layers, strict=True):
        for (what, ours), theirs in zip(_parts(one).items(), _parts(other).values(), strict=True):
            if ours != theirs:
                yield f"layer {one.name!r}: its {what}"
                return


def _parts(layer: IntLayer) -> dict[str, object]:
    """What makes a layer what it is, in a form of which there is one only: weights that are not 0, by their delays."""
    weights: dict[tuple[str, int], object] = {}
    for source, delay in sorted({(each.source, each.delay) for each in layer.connections}):
        alike = [each for each in layer.connections if (each.source, each.delay) == (source, delay)]
        total = sum(each.synapse.weight.astype(int) for each in alike)
        assert isinstance(total, np.ndarray)
        if total.any():
            weights[source, delay] = total.tolist()
    first = layer.connections[0]
    return {
        "name": (layer.name, layer.scale, layer.limited_by),
        "source": (first.source, first.in_shape),
        "shape": layer.shape,
        "registers": vars(layer.neuron),
        "biases": (layer.bias.values >> BIAS_EXPONENT).tolist(),
        "bias exponent": layer.bias.exponent,
        "geometry": {what: value for what, value in vars(first.synapse).items() if what != "weight"},
        "weight bits": layer.weight_bits,
        "weights": weights,
    }


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


def _chunks(seeds: range, lava: float) -> Iterator[tuple[list[int], bool]]:
    """Seeds of programs that run in one process, and whether in Lava, too, which a share of them does."""
    for chosen in (True, False):
        of_kind = [seed for seed in seeds if _in_share(seed, lava) == chosen]
        yield from ((of_kind[at : at + CHUNK], chosen) for at in range(0, len(of_kind), CHUNK))


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare reference, engine, netx and Lava on random programs.")
    parser.add_argument("--programs", type=int, default=200, help="Number of random programs.  [default: 200]")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the first program.  [default: 0]")
    parser.add_argument("--lava", type=float, default=0.1, help="Share of them that runs in Lava.  [default: 0.1]")
    options = parser.parse_args()
    chunks = _chunks(range(options.seed, options.seed + options.programs), options.lava)
    console, total, start = Console(soft_wrap=True, highlight=False), Tally(), time.perf_counter()
    context = multiprocessing.get_context("spawn")
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ProcessPoolExecutor(mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        task = progress.add_task("fuzz", total=options.programs)
        for seeds, running in [(seeds, pool.submit(verify, seeds, in_lava)) for seeds, in_lava in chunks]:
            try:
                tally = running.result()
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                progress.print("interrupted; so far:")
                break
            except Exception:
                progress.print(f"seeds {seeds[0]} to {seeds[-1]}, or those after them, did not come to an end:")
                raise
            total += tally
            progress.advance(task, tally.programs)
            for seed, who, where in tally.differences:
                progress.print(f"seed {seed}: {who} differs: {where}\n  again: make fuzz N=1 SEED={seed} LAVA=1")
    console.print(total.line())
    console.print(total.covered())
    seconds = time.perf_counter() - start
    console.print(f"{seconds:.0f} s, {1000 * seconds / max(total.programs, 1):.1f} s for 1000 programs")
    return 1 if total.differences or total.programs < options.programs else 0


if __name__ == "__main__":
    sys.exit(main())
