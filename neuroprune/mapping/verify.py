"""The rules of a mapping."""

from collections import Counter

import numpy as np

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import volume
from neuroprune.errors import VerificationError
from neuroprune.mapping.limits import exceeded
from neuroprune.mapping.match import verify_whole_layers
from neuroprune.mapping.types import ChipMapping
from neuroprune.program.timing import depths, synaptic_delay
from neuroprune.program.types import IntProgram


def verify_mapping(mapping: ChipMapping, program: IntProgram, chip: Chip) -> None:
    """Raise VerificationError unless `mapping` obeys the rules:

    - every neuron of every layer is on exactly one core;
    - no core exceeds one of its limits, and where cores compute a layer each, it holds one whole layer;
    - every core has a place of its own, inside the mesh and on one of the mapping's chips;
    - no synapse delays spikes longer than one of the chip can.
    """
    _verify_neurons(mapping, program)
    _verify_places(mapping, chip)
    for number, core in enumerate(mapping.cores):
        limit = exceeded(core.used, chip.resources_at(core.x, core.y))
        if limit:
            raise VerificationError(
                f"core {number} needs {limit.resource.in_words(limit.needed)}, a core of {chip.name} has "
                f"{limit.resource.limit}: map the network again"
            )
    if chip.core.layer_per_core:
        verify_whole_layers(mapping, program, chip)
    _verify_delays(program, chip)


def _verify_neurons(mapping: ChipMapping, program: IntProgram) -> None:
    times = {layer.name: np.zeros(volume(layer.shape), dtype=np.int64) for layer in program.layers}
    for number, core in enumerate(mapping.cores):
        for tile in (each.tile for each in core.tiles):
            shape = times[tile.layer].shape if tile.layer in times else (0, 0, 0)
            if not all(0 <= a < b <= size for a, b, size in zip(tile.start, tile.stop, shape, strict=True)):
                raise VerificationError(
                    f"core {number} holds neurons {tile.start} to {tile.stop} of layer {tile.layer}, which has "
                    f"{' x '.join(map(str, shape))}: map the network again"
                )
            times[tile.layer][tuple(map(slice, tile.start, tile.stop))] += 1
    for name, counts in times.items():
        wrong = np.argwhere(counts != 1)
        if len(wrong):
            neuron = tuple(int(i) for i in wrong[0])
            raise VerificationError(
                f"neuron {neuron} of layer {name} is on {counts[neuron]} cores instead of 1: map the network again"
            )


def _verify_places(mapping: ChipMapping, chip: Chip) -> None:
    places = Counter((core.chip, core.x, core.y) for core in mapping.cores)
    for (on, x, y), times in places.items():
        if times > 1:
            raise VerificationError(f"{times} cores lie at x {x}, y {y} of chip {on}: map the network again")
        if not (0 <= x < chip.mesh[0] and 0 <= y < chip.mesh[1] and 0 <= on < mapping.chips):
            raise VerificationError(
                f"a core lies at x {x}, y {y} of chip {on}, outside {mapping.chips} chips of "
                f"{chip.mesh[0]} x {chip.mesh[1]} cores: map the network again"
            )


def _verify_delays(program: IntProgram, chip: Chip) -> None:
    depth = depths(program)
    for layer in program.layers:
        for connection in layer.connections:
            delay = synaptic_delay(connection, layer, depth)
            if delay > chip.synaptic_delay_max:
                raise VerificationError(
                    f"spikes of layer {connection.source} wait {delay} steps for layer {layer.name}, synapses of "
                    f"{chip.name} delay by {chip.synaptic_delay_max} at most: balance the program before mapping"
                )
