"""`neuroprune report`."""

from pathlib import Path

import click

from neuroprune.cli.console import next_step, page_width, show
from neuroprune.cli.networks import take_run
from neuroprune.cli.options import json_option, runs_option

EPILOG = """\b
Examples:
  neuroprune report
  neuroprune report runs/0003-deploy-digits --json
  neuroprune report --csv > cores.csv"""


@click.command(epilog=EPILOG, short_help="Show the latest deployment again.")
@click.argument("run", required=False)
@runs_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print one row a core as CSV.")
@click.option("--layers", is_flag=True, help="With --csv: one row a layer.")
def command(run: str | None, runs_folder: Path, as_json: bool, as_csv: bool, layers: bool) -> None:
    """Show the deployment of RUN, by default the latest, again: accuracy, layers, and the load of each core."""
    from neuroprune.report.schema import load_report
    from neuroprune.report.tables import cores_csv, layers_csv
    from neuroprune.report.terminal import render

    if as_json and as_csv:
        raise click.UsageError("--json and --csv cannot be given together: leave one out.")
    if layers and not as_csv:
        raise click.UsageError("--layers says what --csv prints: add --csv.")
    report = load_report(take_run(runs_folder, run, ["deploy"]))
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    elif as_csv:
        click.echo(layers_csv(report) if layers else cores_csv(report), nl=False)
    else:
        show(render(report, page_width()))
        next_step("neuroprune report --csv > cores.csv")
