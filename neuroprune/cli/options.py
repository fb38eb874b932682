"""Options that several commands share."""

from pathlib import Path
from typing import Any

import click

from neuroprune.cli.console import note

runs_option = click.option(
    "--runs",
    "runs_folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder that holds the numbered runs.",
)
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the data sets' files.  [default: NEUROPRUNE_DATA, else ./data]",
)
download_option = click.option("--download", is_flag=True, help="Fetch missing files, if torchvision is there.")
out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the result, in place of a numbered run."
)
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:<number>.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others are left to the recipe's or the library's defaults."""
    return {name: value for name, value in options.items() if value is not None}


def amp_that_pays(amp: bool | None, device: str) -> bool | None:
    """`amp` as it was asked for; False, with a note, where `device` would take longer for bfloat16 than for float32."""
    from neuroprune.training.settings import computes_bfloat16, pick_device

    chosen = pick_device(device)
    if not amp or computes_bfloat16(chosen):
        return amp
    note(f"bfloat16 is left out: this machine's {chosen} has no instructions for it and takes many times as long")
    return False
