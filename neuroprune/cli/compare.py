"""`neuroprune compare`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neuroprune.cli.console import next_step, note, show, show_text
from neuroprune.cli.options import json_option, runs_option
from neuroprune.errors import InputError
from neuroprune.reading import is_file
from neuroprune.run_names import find_run
from neuroprune.runs import is_unfinished

if TYPE_CHECKING:
    from neuroprune.report.schema import Report

EPILOG = """\b
Examples:
  neuroprune compare 2 4 5
  neuroprune compare 0002-deploy-digits 0004-deploy-digits --html compared.html
  neuroprune compare before/report.json runs/0004-deploy-digits --json"""


@click.command(epilog=EPILOG, short_help="Put deployments side by side, with ratios to the first.")
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True)
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write it as a page to this file as well."
)
@runs_option
@json_option
def command(runs: Sequence[str], html: Path | None, runs_folder: Path, as_json: bool) -> None:
    """Show the deployments RUN side by side: accuracy, cores, resources, activity, traffic, time, energy and layers.

    Each is a run, by number, name or folder, or a report.json. Ratios are to the first. Where data, samples, steps or
    targets differ, it says so, and judges no difference of accuracies on different samples.
    """
    if len(runs) < 2:
        raise click.UsageError(f"{runs[0]} alone is nothing to compare: name two deployments or more")
    from neuroprune.records import record_json
    from neuroprune.report.compare import compare_reports
    from neuroprune.report.compare_table import render_comparison

    found = [_found(runs_folder, given) for given in runs]
    comparison = compare_reports([report for _, report in found], _told_apart([name for name, _ in found]))
    if html is not None:
        from neuroprune.report.html.compare_page import write_comparison_html

        write_comparison_html(comparison, html)
        note(f"the page is {html}")
    if as_json:
        show_text(record_json(comparison))
    else:
        show(render_comparison(comparison))
        if html is None:
            next_step(f"neuroprune compare {' '.join(runs)} --html compared.html")


def _found(root: Path, given: str) -> "tuple[str, Report]":
    """The name and the report of a deployment that was named. Raises InputError."""
    from neuroprune.report.schema import load_report

    path = Path(given)
    if is_file(path):
        return path.parent.name if path.name == "report.json" and path.parent.name else path.name, load_report(path)
    folder = find_run(root, given, ["deploy"])
    if is_unfinished(folder):
        raise InputError(f"{folder} is unfinished and no deployment: name one that `neuroprune deploy` has made")
    return folder.resolve().name, load_report(folder)


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names, with their place before each that is there twice."""
    return [f"{place}: {name}" if names.count(name) > 1 else name for place, name in enumerate(names, 1)]
