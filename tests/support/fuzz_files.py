"""Mutated files through every reader: each is read or refused by a sentence, within seconds and a little memory.

    python tests/support/fuzz_files.py --files 1000 --seed 0

File k of each reader is a valid one, mutated by chance from seed + k. Workers read them, so that one that hangs or dies
is named. What is neither read nor refused by a sentence is kept in build/fuzz-files, and leads to exit code 1.
"""

import argparse
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random

import torch
from mutations import mutate
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from valid_files import READERS, Reader

import neuroprune
from neuroprune.errors import NeuropruneError, UnsupportedNetwork

VERDICTS = ("read", "refused", "bad sentence", "traceback", "hang", "killed", "over memory")
FINE = VERDICTS[:2]
LONGEST_SENTENCE = 600
MEMORY = 256 << 20
"""Bytes of address space that a reader may take for a file of some kilobytes."""
SECONDS = 60.0
NO_MEMORY = re.compile("allocate memory|allocation failed|out of memory|unable to allocate", re.IGNORECASE)
"""What libraries say that have no MemoryError."""
KEPT = Path("build", "fuzz-files")
OWN_FOLDER = str(Path(neuroprune.__file__).parent)


@dataclass(frozen=True)
class Case:
    """File `seed` of a reader, by its number in READERS."""

    reader: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """verdict: of VERDICTS. detail: what failed. grown: bytes of resident memory that reading took at most."""

    verdict: str
    detail: str = ""
    grown: int = 0
    seconds: float = 0.0


@dataclass
class Tally:
    """The outcomes of one reader."""

    verdicts: Counter[str] = field(default_factory=Counter)
    grown: int = 0
    seconds: float = 0.0
    failures: list[tuple[int, Outcome]] = field(default_factory=list)

    def add(self, seed: int, outcome: Outcome) -> None:
        self.verdicts[outcome.verdict] += 1
        self.grown, self.seconds = max(self.grown, outcome.grown), max(self.seconds, outcome.seconds)
        if outcome.verdict not in FINE:
            self.failures.append((seed, outcome))


def write_valid_files(folder: Path, readers: Sequence[int]) -> None:
    """A folder below `folder` for each reader, by its number, with the files that it reads."""
    for number in readers:
        (folder / str(number)).mkdir(parents=True)
        READERS[number].write(folder / str(number))


def mutated(reader: Reader, valid: Path, seed: int) -> bytes:
    return mutate(reader.kind, (valid / reader.file).read_bytes(), Random(f"{reader.name} {seed}"))


def judge(read: Callable[[], object]) -> tuple[str, str]:
    """The verdict on reading one file, and what failed."""
    try:
        read()
    except NeuropruneError as error:
        return _judge_sentence(error)
    except MemoryError:
        return "over memory", traceback.format_exc()
    except Exception:  # noqa: BLE001 (what is looked for)
        return "traceback", traceback.format_exc()
    return "read", ""


def _judge_sentence(error: NeuropruneError) -> tuple[str, str]:
    cause = error.__cause__
    if isinstance(cause, MemoryError) or (cause is not None and NO_MEMORY.search(str(cause)[:1000])):
        return "over memory", "".join(traceback.format_exception(error))
    if isinstance(cause, AssertionError) and _raised_in(cause).startswith(OWN_FOLDER):
        return "traceback", "".join(traceback.format_exception(error))
    sentences = error.problems if isinstance(error, UnsupportedNetwork) else (str(error),)
    bad = [text for text in sentences if len(text) > LONGEST_SENTENCE or not text.isprintable()]
    return ("bad sentence", "\n".join(bad)) if bad else ("refused", str(error))


def _raised_in(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename if frames else ""


def work(connection: Connection, valid: Path, scratch: Path) -> None:
    """Read the files that are asked for in `scratch`, one after the other; report each as an `Outcome`."""
    torch.set_num_threads(1)
    folders: dict[int, Path] = {}
    for number in sorted(int(each.name) for each in valid.iterdir()):
        folders[number] = scratch / str(number)
        shutil.copytree(valid / str(number), folders[number], dirs_exist_ok=True)
        READERS[number].read(folders[number])  # the valid one, and whatever is imported for it
    most = _status("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    connection.send(None)
    while True:
        case = connection.recv()
        reader, folder = READERS[case.reader], folders[case.reader]
        (folder / reader.file).write_bytes(mutated(reader, valid / str(case.reader), case.seed))
        _forget_peak()
        before, start = _status("VmRSS"), time.perf_counter()
        verdict, detail = judge(partial(reader.read, folder))
        seconds = time.perf_counter() - start
        connection.send(Outcome(verdict, detail, max(0, _status("VmHWM") - before), seconds))


def _status(name: str) -> int:
    """Bytes that Linux gives for this process."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # some containers refuse it; peaks are then those of all files so far
        return


class Worker:
    """A process that reads files, replaced when one of them takes it down."""

    def __init__(self, valid: Path, scratch: Path) -> None:
        self.valid, self.scratch = valid, scratch
        self.case: Case | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, self.valid, self.scratch), daemon=True)
        self.process.start()
        theirs.close()

    def await_start(self) -> None:
        """Wait until it has read the valid files."""
        self.connection.recv()

    def give(self, case: Case) -> None:
        self.case, self.until = case, time.monotonic() + SECONDS
        self.connection.send(case)

    def outcome(self) -> Outcome | None:
        """That of the file it was given, or None while there is time."""
        if self.connection.poll():
            try:
                found: Outcome = self.connection.recv()
                return found
            except EOFError:
                self.process.join()
                died = Outcome("killed", f"the worker ended with code {self.process.exitcode}")
                self._start()
                self.await_start()
                return died
        if time.monotonic() < self.until:
            return None
        self.stop()
        self._start()
        self.await_start()
        return Outcome("hang", f"no answer after {SECONDS:.0f} s", seconds=SECONDS)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def fuzz_files(
    files: int, seed: int, readers: Sequence[int], workers: int, done: Callable[[Case, Outcome], object]
) -> dict[int, Tally]:
    """Read `files` mutated files of each of `readers`, by number; returns what came of them."""
    tallies = {number: Tally() for number in readers}
    cases = iter([Case(number, seed + index) for number in readers for index in range(files)])
    with tempfile.TemporaryDirectory(prefix="fuzz-files-") as folder:
        valid = Path(folder, "valid")
        write_valid_files(valid, readers)
        pool = [Worker(valid, Path(folder, f"worker-{number}")) for number in range(workers)]
        try:
            for worker in pool:
                worker.await_start()
            for case, outcome in _outcomes(pool, cases):
                tallies[case.reader].add(case.seed, outcome)
                if outcome.verdict not in FINE:
                    _keep(case, outcome, valid)
                done(case, outcome)
        finally:
            for worker in pool:
                worker.stop()
    return tallies


def _outcomes(pool: list[Worker], cases: Iterator[Case]) -> Iterator[tuple[Case, Outcome]]:
    busy = []
    for worker in pool:
        if (case := next(cases, None)) is not None:
            worker.give(case)
            busy.append(worker)
    while busy:
        wait([worker.connection for worker in busy], timeout=0.2)
        for worker in list(busy):
            if (outcome := worker.outcome()) is None:
                continue
            assert worker.case is not None
            yield worker.case, outcome
            if (case := next(cases, None)) is not None:
                worker.give(case)
            else:
                busy.remove(worker)


def _keep(case: Case, outcome: Outcome, valid: Path) -> None:
    reader = READERS[case.reader]
    folder = KEPT / f"{re.sub('[^a-z0-9]+', '-', reader.name.lower())}-{case.seed}"
    shutil.copytree(valid / str(case.reader), folder, dirs_exist_ok=True)
    (folder / reader.file).write_bytes(mutated(reader, valid / str(case.reader), case.seed))
    (folder / "outcome.txt").write_text(f"{outcome.verdict}\n{outcome.detail}\n", errors="replace")


def results(tallies: dict[int, Tally]) -> Table:
    table = Table("reader", *VERDICTS, "peak MiB", "slowest s")
    for number, tally in tallies.items():
        counts = [str(tally.verdicts[verdict]) for verdict in VERDICTS]
        table.add_row(READERS[number].name, *counts, f"{tally.grown / 2**20:.0f}", f"{tally.seconds:.2f}")
    sums = [sum(tally.verdicts[verdict] for tally in tallies.values()) for verdict in VERDICTS]
    table.add_section()
    table.add_row("all", *map(str, sums), *(f"{most:.{digits}f}" for most, digits in _most(tallies)))
    return table


def _most(tallies: dict[int, Tally]) -> tuple[tuple[float, int], tuple[float, int]]:
    grown = max(tally.grown for tally in tallies.values()) / 2**20
    return (grown, 0), (max(tally.seconds for tally in tallies.values()), 2)


def main() -> int:
    names = [reader.name for reader in READERS]
    parser = argparse.ArgumentParser(description="Read mutated files of every kind that neuroprune reads.")
    parser.add_argument("--files", type=int, default=100, help="Number of files for each reader.  [default: 100]")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the first file.  [default: 0]")
    parser.add_argument("--reader", choices=names, help="One reader.  [default: all]")
    options = parser.parse_args()
    readers = [names.index(options.reader)] if options.reader else list(range(len(READERS)))
    console = Console(soft_wrap=True, highlight=False)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("fuzz-files", total=options.files * len(readers))

        def done(case: Case, outcome: Outcome) -> None:
            progress.update(task, advance=1, description=READERS[case.reader].name)
            if outcome.verdict not in FINE:
                last = (outcome.detail.strip().splitlines() or [""])[-1]
                progress.print(
                    f"{names[case.reader]}, seed {case.seed}: {outcome.verdict}: {last[:200]!r}", markup=False
                )

        tallies = fuzz_files(options.files, options.seed, readers, min(2, os.cpu_count() or 1), done)
    console.print(results(tallies))
    failed = sum(len(tally.failures) for tally in tallies.values())
    console.print(
        f"{options.files} files for each of {len(readers)} readers from seed {options.seed}: {failed} failed"
        + (f"; they are in {KEPT}, and again with make fuzz-files N=1 SEED=<seed>" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
