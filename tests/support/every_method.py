"""Every pruning method, by the command line: to its target, through kills, and onto a chip, where Lava must agree.

    python tests/support/every_method.py [METHOD ...]

A small network is trained once. Each method of the catalogue prunes it, in both kinds where it has both. Then it does
so again and is killed (SIGKILL) twice, once some epochs of pruning are kept and once some of fine-tuning are, and
resumed each time: in the end the tensors must be the same bytes as the unbroken run's, and the records the same apart
from wall times. The result is deployed, with Lava. Prints a table; ends with 1 when a target is missed, when a resumed
run differs, or when Lava does.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from kills import KILLED, at_change, begin, results, run, warm_up

from neuroprune.choices import names
from neuroprune.compression.catalog import KINDS, methods_of
from neuroprune.compression.masks import count_kept
from neuroprune.compression.record import CompressRecord, load_compress_record
from neuroprune.compression.search import TOLERANCE
from neuroprune.report.schema import load_report
from neuroprune.runs import STATE
from neuroprune.training.checkpoint import load_checkpoint
from neuroprune.training.resume import read_unfinished

EPOCHS = 10
TRAIN = ("train", "--model", "recipe.yaml", "--epochs", str(EPOCHS), "--batch", "64", "--device", "cpu")
TARGETS = {"structured": ("--flops", "0.5"), "unstructured": ("--sparsity", "0.9")}
EVERYWHERE = ("--epochs", str(EPOCHS), "--device", "cpu")
"""What all compressions are given, which the table leaves out."""
DEPLOY = ("deploy", "--samples", "20", "--lava-samples", "2", "--device", "cpu", "--out", "deployed")
HEAD = ("command", "asked", "reached", "killed when these epochs were kept", "accuracy, dense and pruned", "resumed")
LAVA_HEAD = ("Lava's spikes", "differences", "cores")
COMPRESSED = Path("runs", "0002-compress-digits")


@dataclass(frozen=True)
class Row:
    """A line of the table, and what is wrong with it."""

    cells: tuple[str, ...]
    faults: tuple[str, ...]


class Trial:
    """One method of one kind, from the runs in `source`, in folders in `place`."""

    def __init__(self, kind: str, method: str, source: Path, place: Path) -> None:
        self.kind, self.name = kind, f"{kind}-{method}"
        self.shown = ("compress", f"--{kind}", *TARGETS[kind], "--method", method)
        self.source, self.place = source, place
        self.faults: list[str] = []

    def row(self) -> Row:
        """Do all of it."""
        whole = self.folder("whole")
        self.must_end(whole, (*self.shown, *EVERYWHERE))
        record = load_compress_record(whole / COMPRESSED)
        expected = results(whole / "runs")
        kept = self.break_and_resume(record)
        same = results(self.place / f"{self.name}-broken" / "runs") == expected
        if not same:
            self.faults.append("the resumed run differs from the unbroken one")
        (target,) = record.targets
        self.check_target(record, whole / COMPRESSED)
        self.must_end(whole, DEPLOY)
        report = load_report(whole / "deployed")
        lava = report.lava
        if lava.samples != 2 or lava.differences or not lava.spikes:
            self.faults.append(f"Lava: {lava.spikes} spikes, {lava.not_run or lava.unverified}")
        cells = (
            f"`{shlex.join(self.shown)}`",
            f"{target.asked:.2%}",
            f"{target.reached:.2%}",
            ", ".join(kept),
            f"{record.dense.accuracy:.1%}, {record.pruned.accuracy:.1%}",
            "the same bytes" if same else "DIFFERS",
            f"{lava.spikes:,}",
            str(lava.differences),
            str(report.totals.cores),
        )
        return Row(cells, tuple(f"{self.name}: {fault}" for fault in self.faults))

    def folder(self, name: str) -> Path:
        folder = self.place / f"{self.name}-{name}"
        begin(folder, self.source)
        return folder

    def must_end(self, folder: Path, arguments: tuple[str, ...]) -> None:
        if (code := run(folder, arguments, lambda: None)) != 0:
            said = (folder / "output.txt").read_text()
            raise SystemExit(f"{self.name}: exit code {code} of {shlex.join(arguments)}:\n{said}")

    def break_and_resume(self, record: CompressRecord) -> list[str]:
        """Kill a run once in each phase and resume it; says what was kept at each kill."""
        folder = self.folder("broken")
        arguments: tuple[str, ...] = (*self.shown, *EVERYWHERE)
        kept = []
        for number in self.states_before(record):
            code = run(folder, arguments, partial(at_change, number, STATE))
            if code != KILLED:
                self.faults.append(f"exit code {code} before state {number}, where it was to be killed")
                return kept
            left = read_unfinished(folder / COMPRESSED)
            kept.append(f"{len(left.history)} of {left.epochs}")
            arguments = ("compress", "--resume")
        self.must_end(folder, arguments)
        return kept

    def states_before(self, record: CompressRecord) -> Iterator[int]:
        """For each command that is killed, the number of the state of training that it dies before leaving.

        A training leaves one when it begins and one after each epoch; one that is resumed, after each epoch that is
        left. The epochs of pruning and those of fine-tuning are one training where weights are pruned, and two where
        channels are; a method that does not train to prune has the second alone.
        """
        pruning, tuned = len(record.history) - EPOCHS, EPOCHS // 2
        begun = 1
        if pruning:
            first = pruning // 2
            yield begun + first + 1
            begun, tuned = int(self.kind == "structured"), pruning - first + tuned
        yield begun + tuned + 1

    def check_target(self, record: CompressRecord, folder: Path) -> None:
        """Channels to the tolerance of the search, and weights to the very one, in the record and in the tensors."""
        (target,) = record.targets
        if self.kind == "structured":
            remains = record.pruned.flops / record.dense.flops
            if abs(remains - target.asked) > TOLERANCE or abs(remains - target.reached) > 1e-9:
                self.faults.append(f"{remains:.2%} of the FLOPs remain")
            return
        total, left = sum(layer.before for layer in record.layers), sum(layer.after for layer in record.layers)
        tensors = load_checkpoint(folder).tensors
        nonzero = sum(int(tensors[f"{layer.name}.weight"].count_nonzero()) for layer in record.layers)
        if left != count_kept(total, target.asked) or nonzero > left:
            self.faults.append(f"{left} of {total} weights are left, and {nonzero} are not zero")


def line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def command_line() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="those to try, by default all")
    chosen = parser.parse_args().methods
    torch.set_num_threads(1)
    warm_up()
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="every-method-") as name:
        place = Path(name)
        source = place / "dense"
        begin(source, None)
        assert run(source, TRAIN, lambda: None) == 0, (source / "output.txt").read_text()
        print(f"`{shlex.join(TRAIN)}`, each compression with `{shlex.join(EVERYWHERE)}`, `{shlex.join(DEPLOY)}`\n")
        print(line((*HEAD, *LAVA_HEAD)))
        print(line(("---",) * len((*HEAD, *LAVA_HEAD))), flush=True)
        for kind in KINDS:
            for method in names(methods_of(kind.name)):
                if chosen and method not in chosen:
                    continue
                row = Trial(kind.name, method, source, place).row()
                print(line(row.cells), flush=True)
                faults += row.faults
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(command_line())
