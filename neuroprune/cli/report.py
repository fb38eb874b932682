"""`neuroprune report`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neuroprune.cli.console import next_step, note, page_width, show, show_text
from neuroprune.cli.gates import check_gates, fail_if_option
from neuroprune.cli.networks import resume_command, take_run
from neuroprune.cli.options import json_option, refuse, runs_option
from neuroprune.errors import InputError
from neuroprune.runs import RESULT_FILES, is_unfinished

if TYPE_CHECKING:
    from neuroprune.report.gates import Gate
    from neuroprune.report.schema import Report

EPILOG = """\b
Examples:
  neuroprune report
  neuroprune report runs/0003-deploy-digits --json
  neuroprune report runs/0002-compress-digits
  neuroprune report --html report.html
  neuroprune report 3 --fail-if "cores>32" --fail-if "accuracy<90%"
  neuroprune report --csv > cores.csv"""


@click.command(epilog=EPILOG, short_help="Show the latest deployment, or another run, again.")
@click.argument("run", required=False)
@runs_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print one row per core as CSV; of a compression, one per layer.")
@click.option("--layers", is_flag=True, help="With --csv, of a deployment: one row per layer.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a deployment as a page to this file as well."
)
@fail_if_option
def command(
    run: str | None,
    runs_folder: Path,
    as_json: bool,
    as_csv: bool,
    layers: bool,
    html: Path | None,
    gates: "tuple[Gate, ...]",
) -> None:
    """Show RUN, a deployment or a compression, again; by default the latest deployment.

    Of a deployment: accuracy, layers, and the load of each core. Of a compression: what the network cost before and
    after, and the channels of each layer. Of an unfinished run: how far it has come.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv cannot be given together: leave one out")
    if layers and not as_csv:
        raise click.UsageError("--layers says what --csv prints: add --csv")
    folder = take_run(runs_folder, run, ["deploy"] if run is None else ["deploy", "compress"], unfinished=True)
    is_deployment = not is_unfinished(folder) and (folder / RESULT_FILES["deploy"]).is_file()
    if not is_deployment:
        refuse({"--html": html, "--fail-if": gates or None}, f"{folder} is no deployment")
    if is_unfinished(folder):
        _show_unfinished(folder, as_json or as_csv)
    elif is_deployment:
        from neuroprune.report.schema import load_report

        report = load_report(folder)
        if html is not None:
            _write_page(report, html)
        _show_deployment(report, as_json, as_csv, layers)
        check_gates(report, gates)
    else:
        _show_compression(folder, as_json, as_csv, layers)


def _show_unfinished(folder: Path, as_data: bool) -> None:
    from neuroprune.training.checkpoint import load_checkpoint
    from neuroprune.training.resume import read_unfinished

    run, checkpoint = read_unfinished(folder), load_checkpoint(folder)
    name = checkpoint.model if isinstance(checkpoint.model, str) else checkpoint.model.name
    work = "fine-tuning" if run.command == "compress" else "training"
    after = ""
    if run.history:
        split, accuracy = run.history[-1].watched
        after = f", {split} accuracy {accuracy:.2%}"
    text = f"unfinished: {len(run.history)} of {run.epochs} epochs of {work} {name} on {checkpoint.data.name}{after}"
    if as_data:
        raise InputError(f"{folder} is {text}; it has no figures yet: go on with `{resume_command(folder)}`")
    click.echo(text)
    next_step(resume_command(folder))


def _write_page(report: "Report", file: Path) -> None:
    from neuroprune.report.html.report_page import write_report_html

    write_report_html(report, file)
    note(f"the page is {file}")


def _show_deployment(report: "Report", as_json: bool, as_csv: bool, layers: bool) -> None:
    from neuroprune.report.tables import cores_csv, layers_csv
    from neuroprune.report.terminal import render

    if as_json:
        show_text(report.model_dump_json(indent=2))
    elif as_csv:
        show_text(layers_csv(report) if layers else cores_csv(report))
    else:
        show(render(report, page_width()))
        next_step("neuroprune report --csv > cores.csv")


def _show_compression(folder: Path, as_json: bool, as_csv: bool, layers: bool) -> None:
    from neuroprune.compression.record import load_compress_record
    from neuroprune.compression.table import layers_csv, render
    from neuroprune.records import record_json

    if layers:
        raise InputError(f"{folder} is a compression, whose CSV has one row per layer already: leave out --layers")
    record = load_compress_record(folder)
    if as_json:
        show_text(record_json(record))
    elif as_csv:
        show_text(layers_csv(record))
    else:
        show(render(record))
        next_step(f"neuroprune report {folder} --csv > channels.csv")
