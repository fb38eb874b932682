"""What to change about a network so that it takes fewer cores, in sentences."""

from neuroprune.chips.chip import Chip
from neuroprune.mapping.advice import Change, changes_that_fit, changes_that_save
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.types import ChipMapping
from neuroprune.program.types import IntProgram
from neuroprune.readable import plural
from neuroprune.report.bound_schema import Advice


def advice_on(program: IntProgram, mapping: ChipMapping, chip: Chip, effort: EffortName) -> tuple[Advice, ...]:
    """Changes of `program`, balanced, that save cores of its `mapping`, found and mapped with `effort`; best first."""
    return tuple(_advice(change, program) for change in changes_that_save(program, mapping.cores, chip, effort))


def advice_to_fit(program: IntProgram, chip: Chip, effort: EffortName) -> tuple[Advice, ...]:
    """Changes of `program`, balanced, of which `chip` cannot hold a neuron, that let it be mapped; perhaps none."""
    return tuple(_advice(change, program) for change in changes_that_fit(program, chip, effort))


def _advice(change: Change, program: IntProgram) -> Advice:
    layer, *others = change.layers.layers
    relays = {each.name for each in program.layers if each.role == "relay"}
    coupled = tuple(name for name in others if name not in relays)
    left = f"{change.layers.channels - change.removed} of {change.layers.channels}"
    subject = f"{layer}{_and(coupled)}: {plural(change.removed, 'channel')} fewer, {left},"
    if change.before is None:
        text = f"{subject} and it fits on {plural(change.after, 'core')}"
    else:
        saved, does = plural(change.before - change.after, "core"), "saves" if change.removed == 1 else "save"
        text = f"{subject} {does} {saved} of {change.before:,} ({change.resource} bind)"
    return Advice(
        text=text,
        layer=layer,
        coupled=coupled,
        removed=change.removed,
        resource=change.resource,
        cores_before=change.before,
        cores_after=change.after,
    )


def _and(coupled: tuple[str, ...]) -> str:
    if not coupled:
        return ""
    return f" and {coupled[0]}" if len(coupled) == 1 else f" and {len(coupled)} layers coupled with it"
