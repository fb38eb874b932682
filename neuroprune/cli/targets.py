"""`neuroprune targets`."""

from typing import TYPE_CHECKING, Any

import click

from neuroprune.cli.console import next_step, show, show_json
from neuroprune.cli.options import json_option
from neuroprune.readable import plain_table

if TYPE_CHECKING:
    from neuroprune.targets import Target

EPILOG = """\b
Examples:
  neuroprune targets
  neuroprune targets my_chip.yaml --json"""


@click.command(epilog=EPILOG, short_help="List the chips with every limit and its source.")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the chips, or the chip NAME (or its YAML), with every limit, its source and how well it is known."""
    from neuroprune.targets import list_targets, load_target

    targets = [load_target(each) for each in ([name] if name else list_targets())]
    if as_json:
        show_json([_plain(target) for target in targets])
        return
    for target in targets:
        table = plain_table(f"{target.name}: {target.title}", "limit", "value", "known", "source", right=("value",))
        for limit, fact in target.facts.items():
            table.add_row(limit, _value(limit, fact.value), fact.certainty, fact.source)
        show(table)
    next_step(f"neuroprune deploy --target {name or targets[0].name}")


def _value(limit: str, value: int | tuple[int, ...]) -> str:
    if isinstance(value, tuple):
        return (" x " if limit == "mesh" else " ").join(map(str, value))
    return str(value)


def _plain(target: "Target") -> dict[str, Any]:
    facts = {
        limit: {"value": fact.value, "source": fact.source, "certainty": fact.certainty}
        for limit, fact in target.facts.items()
    }
    return {"name": target.name, "title": target.title, **facts}
