"""`neuroprune targets`."""

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
  neuroprune targets my_chip.yaml --json"""


@click.command(epilog=EPILOG, short_help="List the chips with every limit and its source.")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the chips, or the chip NAME (or its YAML), with every limit, its source and how well it is known."""
    from neuroprune.chips.load import list_chips, load_chip

    chips = [load_chip(each) for each in ([name] if name else list_chips())]
    if as_json:
        show_json([_plain(chip) for chip in chips])
        return
    for chip in chips:
        title = f"{chip.name}: {chip.title} (family {chip.core.name})"
        table = plain_table(title, "limit", "value", "unit", "grade", "source", right=("value",))
        for limit, fact in chip.facts.items():
            table.add_row(limit, _value(limit, fact.value), fact.unit, fact.grade, fact.source)
        show(table)
    next_step(f"neuroprune deploy --target {name or chips[0].name}")


def _value(limit: str, value: int | tuple[int, ...]) -> str:
    if isinstance(value, tuple):
        return (" x " if limit == "mesh" else " ").join(map(str, value))
    return str(value)


def _plain(chip: "Chip") -> dict[str, Any]:
    facts = {limit: asdict(fact) for limit, fact in chip.facts.items()}
    return {"name": chip.name, "title": chip.title, "family": chip.core.name, **facts}
