"""`neuroprune runs`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from neuroprune.cli.console import next_step, note, show, show_json
from neuroprune.cli.options import json_option, runs_option
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.folders import is_in_use
from neuroprune.readable import plain_table, plural, quantity
from neuroprune.run_names import named_run
from neuroprune.runs import numbered_runs, remove_run

EPILOG = """\b
Examples:
  neuroprune runs
  neuroprune runs --json
  neuroprune runs remove 3 5
  neuroprune runs remove 0002-compress-digits --yes"""


@click.command(epilog=EPILOG, short_help="List the runs, or remove some.")
@click.argument("action", metavar="[remove", type=click.Choice(["remove"]), required=False)
@click.argument("names", metavar="RUN...]", nargs=-1)
@click.option("--yes", is_flag=True, help="Remove without asking.")
@runs_option
@json_option
def command(action: str | None, names: Sequence[str], yes: bool, runs_folder: Path, as_json: bool) -> None:
    """List all runs with what they hold, or remove those that are named by number, name or folder.

    Wherever a command takes a RUN, its number will do. A run that another command is at work in is never removed.
    """
    if action is None:
        if yes:
            raise click.UsageError("--yes is for remove: leave it out, or name what to remove")
        _list(runs_folder, as_json)
    else:
        _remove([_run_to_remove(runs_folder, name) for name in names], yes, as_json)


def _list(root: Path, as_json: bool) -> None:
    from neuroprune.run_summaries import summarise_run

    runs = [summarise_run(*each) for each in numbered_runs(root)]
    if as_json:
        show_json([{**run._asdict(), "folder": str(run.folder), "date": run.date.isoformat()} for run in runs])
        return
    if not runs:
        note(f"{root.resolve()} holds no runs")
        next_step("neuroprune train")
        return
    table = plain_table("", "run", "kind", "data", "model", "state", "accuracy", "date", "size", right=("run", "size"))
    for run in runs:
        accuracy = "" if run.accuracy is None else f"{run.accuracy:.2%}"
        date = run.date.astimezone().strftime("%Y-%m-%d %H:%M")
        size = quantity(run.size, "B")
        table.add_row(str(run.number), run.kind, run.data, run.model, run.state, accuracy, date, size)
    show(table)
    note(f"{plural(len(runs), 'run')} in {root.resolve()}, {quantity(sum(run.size for run in runs), 'B')}")


def _run_to_remove(root: Path, name: str) -> Path:
    folder = named_run(root, name)
    known = {each.resolve(): each for _, _, each in numbered_runs(root)}
    if folder is None or folder.resolve() not in known:
        raise InputError(f"{capped(name)} is no run in {root.resolve()}: `neuroprune runs` lists those that are there")
    return known[folder.resolve()]


def _remove(folders: Sequence[Path], yes: bool, as_json: bool) -> None:
    if not folders:
        raise click.UsageError("remove needs the runs to remove: name them by number, as in remove 3 5")
    folders = list(dict.fromkeys(folders))
    busy = [folder for folder in folders if is_in_use(folder)]
    if busy:
        raise InputError(f"{busy[0]} is in use by another command: wait until it has ended; nothing was removed")
    if not yes and not _confirmed(folders):
        note("nothing was removed")
        return
    for folder in folders:
        remove_run(folder)
        note(f"removed {folder}")
    if as_json:
        show_json({"removed": [str(folder) for folder in folders]})


def _confirmed(folders: Sequence[Path]) -> bool:
    """Whether the person says yes. Raises InputError where nobody answers."""
    click.echo(f"remove {', '.join(folder.name for folder in folders)}? [y/N] ", err=True, nl=False)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise InputError("nobody answered whether to remove these runs, and nothing was removed: add --yes")
    return answer.strip().lower() in ("y", "yes")
