"""The option `--fail-if`, and what comes of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from neuroprune.errors import GateFailed

if TYPE_CHECKING:
    from neuroprune.report.gates import Gate
    from neuroprune.report.schema import Report


def _parsed(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> "tuple[Gate, ...]":
    """The gates, of which a wrong one is refused before any work."""
    if not given:
        return ()
    from neuroprune.report.gates import parse_gate

    return tuple(map(parse_gate, given))


fail_if_option = click.option(
    "--fail-if",
    "gates",
    metavar="CONDITION",
    multiple=True,
    callback=_parsed,
    help="Exit with 5 where a figure of the report is so, as in 'cores>32'; may be given again.",
)


def check_gates(report: "Report", gates: "Sequence[Gate]") -> None:
    """Raise GateFailed, or InputError for a figure that `report` does not have."""
    if not gates:
        return
    from neuroprune.report.gates import failures

    failed = failures(report, gates)
    if failed:
        raise GateFailed(failed)
