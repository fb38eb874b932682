"""`neuroprune data`."""

import dataclasses
from pathlib import Path

import click

from neuroprune.cli.console import next_step, note, show, show_json
from neuroprune.cli.options import data_dir_option, json_option
from neuroprune.readable import plain_table

EPILOG = """\b
Examples:
  neuroprune data
  neuroprune data --data-dir ~/data --json"""


@click.command(epilog=EPILOG, short_help="List the data sets and their files.")
@data_dir_option
@json_option
def command(data_dir: Path | None, as_json: bool) -> None:
    """List the data sets, the files each consists of, and the folder in which they are looked for."""
    from neuroprune.data.catalog import list_datasets
    from neuroprune.data.load import data_folder

    if as_json:
        known = [dataclasses.asdict(info) for info in list_datasets()]
        show_json([{name: value for name, value in each.items() if name != "find"} for each in known])
        return
    table = plain_table("", "data", "what it is", "frames", "train", "test", "files", "source", right=("train", "test"))
    for info in list_datasets():
        frames = ("Tx" if info.recordings else "") + "x".join(map(str, info.shape))
        samples = (f"{info.train_samples:,}", f"{info.test_samples:,}")
        table.add_row(info.name, info.title, frames, *samples, info.files or "none needed", info.source)
    show(table)
    note(f"files are looked for in {data_folder(data_dir).resolve()}")
    next_step(f"neuroprune train --data {list_datasets()[0].name}")
