"""`neuroprune data`."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroprune.cli.console import next_step, note, show, show_json
from neuroprune.cli.options import data_dir_option, json_option
from neuroprune.readable import plain_table

if TYPE_CHECKING:
    from neuroprune.data.catalog import DatasetInfo

MOST_CLASSES = 20
"""Names of classes that are shown."""
EPILOG = """\b
Examples:
  neuroprune data
  neuroprune data my_images.npz
  neuroprune data my_recordings/ --json
  neuroprune data --data-dir ~/data --json"""


@click.command(epilog=EPILOG, short_help="List the data sets and their files, or what is in your own.")
@click.argument("data", required=False)
@data_dir_option
@json_option
def command(data: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the data sets, the files each consists of, and the folder in which they are looked for.

    With DATA, a name or the path of a .npz file or a folder of classes, say what is in it: samples, shapes, classes.
    """
    from neuroprune.data.catalog import list_datasets
    from neuroprune.data.load import data_folder, describe_dataset

    if data is not None:
        _show(describe_dataset(data, data_dir), as_json)
        if not as_json:
            next_step(f"neuroprune train --data {shlex.quote(data)}")
        return
    if as_json:
        show_json([_facts(info) for info in list_datasets()])
        return
    table = plain_table("", "data", "what it is", "frames", "train", "test", "files", "source", right=("train", "test"))
    for info in list_datasets():
        samples = (f"{info.train_samples:,}", f"{info.test_samples:,}")
        table.add_row(info.name, info.title, _frames(info), *samples, info.files or "none needed", info.source)
    show(table)
    note(f"files are looked for in {data_folder(data_dir).resolve()}")
    next_step(f"neuroprune train --data {list_datasets()[0].name}")


def _show(info: "DatasetInfo", as_json: bool) -> None:
    if as_json:
        show_json(_facts(info))
        return
    table = plain_table(
        "", "data", "what it is", "frames", "train", "test", "classes", right=("train", "test", "classes")
    )
    counts = (f"{count:,}" for count in (info.train_samples, info.test_samples, len(info.classes)))
    table.add_row(info.name, info.title, _frames(info), *counts)
    more = len(info.classes) - MOST_CLASSES
    show(table, f"classes: {', '.join(info.classes[:MOST_CLASSES])}{f', and {more} more' if more > 0 else ''}")


def _frames(info: "DatasetInfo") -> str:
    steps = "Tx" if info.recordings else f"{info.steps}x" if info.steps is not None else ""
    return steps + "x".join(map(str, info.shape))


def _facts(info: "DatasetInfo") -> dict[str, Any]:
    facts = {name: value for name, value in dataclasses.asdict(info).items() if name != "find"}
    return facts | {"path": None if info.path is None else str(info.path)}
