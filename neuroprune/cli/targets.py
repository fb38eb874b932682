"""`neuroprune targets` and `neuroprune targets show`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from neuroprune.cli.console import next_step, show, show_json
from neuroprune.cli.options import json_option
from neuroprune.readable import plain_table

if TYPE_CHECKING:
    from neuroprune.chips.chip import Chip

EPILOG = """\b
Examples:
  neuroprune targets
  neuroprune targets show loihi-sim
  neuroprune targets show my_chip.yaml --json"""


@click.group(epilog=EPILOG, invoke_without_command=True, short_help="List the chips, or show one with every source.")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the chips. With `show` and a name, or the path of a YAML file: that chip with every number, the file that
    gives it, its source and how well it is known."""
    if context.invoked_subcommand is not None:
        return
    from neuroprune.chips.load import list_chips, load_chip

    chips = [load_chip(each) for each in list_chips()]
    if as_json:
        show_json([_plain(chip) for chip in chips])
        return
    table = plain_table("", "chip", "what it is", "family", "cores", right=("cores",))
    for chip in chips:
        table.add_row(chip.name, chip.title, chip.core.name, str(chip.cores_per_chip))
    show(table)
    next_step(f"neuroprune targets show {chips[0].name}")


@command.command("show")
@click.argument("name")
@json_option
def show_target(name: str, as_json: bool) -> None:
    """The chip NAME, or that of a YAML file: what a core has, and every number with its file, source and grade."""
    from neuroprune.chips.load import load_chip

    chip = load_chip(name)
    if as_json:
        show_json(_plain(chip))
        return
    numbers = plain_table(
        f"{chip.name}: {chip.title} (family {chip.core.name})",
        *("limit", "value", "unit", "grade", "file", "source"),
        right=("value",),
    )
    for limit, fact in chip.facts.items():
        numbers.add_row(limit, _value(limit, fact.value), fact.unit, fact.grade, fact.file.name, fact.source)
    show(numbers)
    resources = plain_table("what a core has", "resource", "limit", "unit", "what it is", right=("limit",))
    for each in chip.core.resources:
        resources.add_row(each.name, f"{each.limit:,}", each.unit, each.meaning)
    show(resources)
    next_step(f"neuroprune deploy --target {name}")


def _value(limit: str, value: int | tuple[int, ...]) -> str:
    if isinstance(value, tuple):
        return (" x " if limit == "mesh" else " ").join(map(str, value))
    return str(value)


def _plain(chip: "Chip") -> dict[str, Any]:
    facts = {limit: asdict(fact) | {"file": str(fact.file)} for limit, fact in chip.facts.items()}
    resources = [asdict(each) for each in chip.core.resources]
    return {"name": chip.name, "title": chip.title, "family": chip.core.name, "resources": resources, **facts}
