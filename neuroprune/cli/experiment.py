"""`neuroprune experiment`."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroprune.cli.console import note, progress_bars, show, show_json
from neuroprune.cli.options import data_dir_option, device_option, json_option
from neuroprune.errors import TrialsFailed
from neuroprune.files import write_text

if TYPE_CHECKING:
    from neuroprune.experiment.plan import Plan
    from neuroprune.experiment.pool import Pool
    from neuroprune.experiment.record import TrialRecord

EPILOG = """\b
Examples:
  neuroprune experiment small
  neuroprune experiment my_plan.yaml --jobs 4 --out results
  neuroprune experiment paper-table-3 --dry-run
  neuroprune experiment my_plan.yaml --ray auto"""


@click.command(epilog=EPILOG, short_help="Run methods x targets x seeds x networks, and compare them.")
@click.argument("plan")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the experiment; given again, what is unfinished there is gone on with.  "
    "[default: runs/experiment-PLAN]",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes at once.  [default: the number of CPUs]")
@click.option("--ray", "cluster", metavar="ADDRESS", help="Ray cluster to run on: its address, auto, or local.")
@click.option("--model", "models", multiple=True, help="file.py:Class that the plan names; repeat for more.")
@click.option("--dry-run", is_flag=True, help="Check the plan and list its trials, and run none.")
@click.option("--no-plots", is_flag=True, help="Leave the plots out.")
@data_dir_option
@device_option
@json_option
def command(
    plan: str,
    out: Path | None,
    jobs: int | None,
    cluster: str | None,
    models: tuple[str, ...],
    dry_run: bool,
    no_plots: bool,
    data_dir: Path | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Run PLAN, a YAML file or the name of one that comes with neuroprune, and say which of its methods is best.

    Dense trainings are shared by all trials of a network and a seed. A killed experiment goes on where it was when the
    command is given again; a trial that fails stops no other. results.csv has a row for each trial, summary.csv for
    each variant, plots/ the plots.
    """
    from neuroprune.experiment.plan import load_plan
    from neuroprune.experiment.run import RESULTS, run_experiment
    from neuroprune.experiment.summary import render, summarise, summary_csv
    from neuroprune.experiment.trials import trials_of

    asked = load_plan(plan)
    if dry_run:
        _list(asked, as_json)
        return
    folder = out or Path("runs", f"experiment-{asked.name}")
    count = len(trials_of(asked))
    note(f"{asked.title}: {count} trials, into {folder}")
    with progress_bars(not as_json) as progress:
        records = run_experiment(
            asked,
            folder,
            jobs or _cpus(),
            data_dir=data_dir,
            device=device,
            models=models,
            pool=None if cluster is None else _ray(cluster),
            progress=progress,
            tell=_tell,
        )
    groups = summarise(asked, records)
    write_text(folder / "summary.csv", summary_csv(groups))
    if not no_plots:
        _draw(asked, records, folder)
    if as_json:
        show_json([dataclasses.asdict(group) for group in groups])
    else:
        show(*render(groups))
    note(f"kept in {folder}: {RESULTS}, summary.csv")
    failed = [record for record in records if record.error]
    if failed:
        raise TrialsFailed(
            f"{len(failed)} of {count} trials failed, the first of them ({failed[0].place}) because {failed[0].error}; "
            f"{RESULTS} has them all: correct what they say and give the command again"
        )


def _list(plan: "Plan", as_json: bool) -> None:
    """Every trial, and how much there is to train."""
    from neuroprune.experiment.trials import dense_of, trials_of

    trials = trials_of(plan)
    dense = dense_of(trials)
    if as_json:
        show_json([trial.description() for trial in trials])
        return
    for trial in trials:
        click.echo(f"{trial.comparison}: {trial.title}, {trial.epochs} epochs")
    epochs = sum(job.epochs for job in dense) + sum(job.epochs for job in trials)
    note(f"{len(trials)} trials from {len(dense)} dense trainings, {epochs} epochs in all")


def _tell(record: "TrialRecord", ended: int, count: int) -> None:
    """A line for each trial."""
    what = f"{record.error}" if record.error else f"{record.accuracy:.2%}"
    note(f"{ended}/{count}  {record.network}, seed {record.seed}, {record.variant}, {record.target}: {what}")


def _cpus() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ray(address: str) -> "Callable[[Any], Pool]":
    from neuroprune.experiment.ray_pool import RayPool

    return partial(RayPool, address=address)


def _draw(plan: "Plan", records: "tuple[TrialRecord, ...]", folder: Path) -> None:
    """The plots, where matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401  asked for before the plots are, which need it
    except ModuleNotFoundError:
        note("the plots are left out, since matplotlib is not installed: install neuroprune[experiment] to have them")
        return
    from neuroprune.experiment.plots.draw import draw

    drawn = draw(plan, records, folder)
    note(f"{len(drawn)} plots in {folder / 'plots'}")
