"""Warns of figures that look like a result and are none."""

from collections.abc import Sequence

from neuroprune.chips.chip import Chip
from neuroprune.intervals import chance_warning
from neuroprune.mapping.types import ChipMapping
from neuroprune.report.layer_schema import LayerReport
from neuroprune.report.schema import AccuracyLadder


def warnings_of(layers: Sequence[LayerReport], accuracy: AccuracyLadder, samples: int) -> tuple[str, ...]:
    """A sentence for each layer that never fires though it could, and one for an accuracy that is not above chance.

    layers: without one that is read by its voltage, which fires never. samples: that ran.
    """
    silent = [layer.name for layer in layers if layer.spikes_per_neuron_step == 0 and not layer.relay]
    found = [
        f"layer {name} never fires on any of the {samples} samples, so what follows it reads biases alone: lower its "
        "threshold, or train the network longer"
        for name in silent
    ]
    share, chance = accuracy.bit_accurate, accuracy.most_frequent
    if share is not None and chance is not None and (warning := chance_warning(share, samples, chance)):
        found.append(warning)
    return tuple(found)


def chip_warnings(mapping: ChipMapping, chip: Chip) -> tuple[str, ...]:
    """A sentence where a program takes more than one chip."""
    if mapping.chips == 1:
        return ()
    return (
        f"the network takes {len(mapping.cores)} cores, {mapping.chips} chips of {chip.cores_per_chip}, which are "
        "assumed to lie in a row: give the chips that there are with --chips, so that what needs more is refused",
    )
