"""Kills `train` and `compress` again and again, resumes them, and compares what they leave with an unbroken run's.

    python tests/support/kills.py --kills 30 --seed 0

Half of the kills come at a random moment, half at a random change of the file system (a name made, moved or removed),
since those take but a small part of the time. A killed command is resumed, or given again where nothing was kept yet,
and may be killed again; when it has ended, tensors must be the same bytes as the unbroken run's, and the records the
same apart from wall times. Ends with 1 when one differs, when an unfinished run passed for a finished one, or when
anything else lies in the folder of runs.
"""

import argparse
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from neuroprune.cli.main import main
from neuroprune.compression import compress, table  # noqa: F401  for the forks
from neuroprune.data.load import load_dataset
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.runs import is_unfinished, list_runs
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import train

RECIPE = """
title: A network that trains in seconds
data: digits
steps: 2
layers:
  - {conv: 48}
  - {pool: average}
  - {conv: 48}
training: {epochs: 4, batch: 256, lr: 0.01, l1: 1.0e-4}
fine_tuning: {epochs: 4, lr: 0.01}
"""
COMMANDS = {
    "train": ("train", "--model", "recipe.yaml", "--device", "cpu"),
    "compress": ("compress", "--flops", "0.5", "--device", "cpu"),
    "compress --unstructured": ("compress", "--unstructured", "--sparsity", "0.9", "--device", "cpu"),
}
"""The first makes the run that the others begin from."""

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "tempfile.mkstemp"}
"""Audit events of a change in the file system."""

KILLED = -signal.SIGKILL


def run(folder: Path, arguments: Sequence[str], prepare: Callable[[], None], seconds: float | None = None) -> int:
    """Run the command in `folder` in a fork of this process, which has imported everything; returns its exit code.

    prepare: is called in the fork first. seconds: after which it is killed.
    """
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            with Path("output.txt").open("a") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            prepare()
            main(arguments)
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
        finally:
            os._exit(99)
    until = None if seconds is None else time.monotonic() + seconds
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if until is not None and time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            until = None
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(ended[1])


def warm_up() -> None:
    """Train once, so that all that this imports is there in every fork."""
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # as `main` does
    data, recipe = load_dataset("digits"), load_recipe("digits-conv")
    train(build(recipe, data.input_shape, 10), data, TrainSettings(epochs=1, batch=1024, device="cpu"))


def at_change(number: int, of: str = "") -> None:
    """Kill this process right before change `number`, counted from 1, in the file system; of: that ends a name."""
    seen = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in CHANGES and any(str(each).endswith(of) for each in arguments):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def count_changes() -> None:
    """Leave the number of changes in the file system in changes.txt."""
    seen = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in CHANGES:
            seen += 1
            Path("changes.txt").write_text(str(seen))

    sys.addaudithook(count)


def begin(folder: Path, source: Path | None) -> None:
    """Make a folder to run commands in, with the recipe and a copy of the runs in the folder `source`."""
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE)
    if source is not None:
        shutil.copytree(source / "runs", folder / "runs", symlinks=True)


def results(runs: Path) -> dict[str, object]:
    """Names of all files under `runs`, with what must be the same in each."""
    found: dict[str, object] = {}
    for path in sorted(runs.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(runs))
            as_bytes = path.suffix in (".safetensors", ".part")
            found[name] = path.read_bytes() if as_bytes else without_times(path.read_text())
    return found


def without_times(text: str) -> object:
    """A JSON text, or lines of them, without the wall times."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(each) for key, each in value.items() if key != "seconds"}
        return [clean(each) for each in value] if isinstance(value, list) else value

    try:
        return clean(json.loads(text))
    except ValueError:
        return [clean(json.loads(line)) for line in text.splitlines()]


class Trial:
    """The kills of one command, against its unbroken run in `unbroken`, which begins from the runs in `source`."""

    def __init__(self, name: str, place: Path, source: Path | None, chance: random.Random) -> None:
        self.name, self.place, self.source, self.chance = name, place, source, chance
        self.arguments = COMMANDS[name]
        self.command = self.arguments[0]
        self.unbroken = self.begin("unbroken")
        started = time.monotonic()
        code = run(self.unbroken, self.arguments, count_changes)
        assert code == 0, (self.unbroken / "output.txt").read_text()
        self.seconds = time.monotonic() - started
        self.changes = int((self.unbroken / "changes.txt").read_text())
        self.expected = results(self.unbroken / "runs")
        self.kills, self.kept, self.ended, self.faults = Counter[str](), Counter[str](), 0, list[str]()

    def begin(self, name: str) -> Path:
        """A folder to run the command in."""
        folder = self.place / f"{self.name}-{name}"
        begin(folder, self.source)
        return folder

    def kill(self, times: int) -> None:
        """Break runs until as many kills are done, and end and compare each of them."""
        while self.kills.total() < times:
            folder = self.begin(f"broken-{self.ended}")
            code = self.go_on(folder, times)
            while code == KILLED and not self.is_finished(folder):
                code = self.go_on(folder, times)
            self.ended += 1
            found = results(folder / "runs")
            if code not in (0, KILLED):
                self.faults.append(f"{folder.name}: exit code {code}: {(folder / 'output.txt').read_text()}")
            for name in sorted(found.keys() | self.expected.keys()):
                if found.get(name) != self.expected.get(name):
                    self.faults.append(f"{folder.name}: {name} differs from that of the unbroken run")

    def go_on(self, folder: Path, times: int) -> int:
        """Give the command, or resume it, and kill it if kills are left."""
        begun = [each for each in list_runs(folder / "runs", [self.command]) if is_unfinished(each)]
        arguments = (self.command, "--resume") if begun else self.arguments
        if self.kills.total() >= times:
            return run(folder, arguments, lambda: None)
        if self.kills.total() % 2:
            number = self.chance.randint(1, self.changes)
            kind, code = "at a change of files", run(folder, arguments, lambda: at_change(number))
        else:
            kind, code = "at a moment", run(folder, arguments, lambda: None, self.chance.uniform(0, self.seconds))
        self.kills[kind] += code == KILLED
        return code

    def is_finished(self, folder: Path) -> bool:
        """Whether a kill left a finished run; counts what it left."""
        runs = list_runs(folder / "runs", [self.command])
        self.kept["nothing" if not runs else "an unfinished run" if is_unfinished(runs[0]) else "a finished run"] += 1
        return bool(runs) and not is_unfinished(runs[0])


def command_line() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warm_up()
    chance = random.Random(options.seed)
    faults = []
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        source = None
        for command in COMMANDS:
            trial = Trial(command, Path(place), source, chance)
            trial.kill(options.kills)
            kills = ", ".join(f"{count} {kind}" for kind, count in sorted(trial.kills.items()))
            kept = ", ".join(f"{count} left {what}" for what, count in sorted(trial.kept.items()))
            print(f"{command}: {trial.seconds:.1f} s and {trial.changes} changes of files unbroken")
            print(f"    {trial.kills.total()} kills: {kills}; {kept}")
            print(f"    {trial.ended} runs resumed to their end, {len(trial.faults)} faults", flush=True)
            for fault in trial.faults:
                print(f"    {fault}", file=sys.stderr)
            faults += trial.faults
            source = source or trial.unbroken
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(command_line())
