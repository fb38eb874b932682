"""The limits of a core, by the names that messages call them."""

from collections.abc import Sequence

from neuroprune.mapping.types import TileUse
from neuroprune.targets import Target


def core_limits(target: Target) -> dict[str, int]:
    """What one core of `target` has."""
    return {
        "neurons": target.neurons_per_core,
        "input axons": target.input_axons_per_core,
        "output axons": target.output_axons_per_core,
        "bits of synapse memory": target.synapse_bits_per_core,
        "synapse formats": target.synapse_formats_per_core,
    }


def core_load(uses: Sequence[TileUse]) -> dict[str, int]:
    """What tiles on one core take of it, idle neurons and all; a tile has synapse formats of its own."""
    return {
        "neurons": sum(use.compartments for use in uses),
        "input axons": sum(use.input_axons for use in uses),
        "output axons": sum(use.output_axons for use in uses),
        "bits of synapse memory": sum(use.synapse_bits for use in uses),
        "synapse formats": sum(use.synapse_formats for use in uses),
    }


def exceeded(uses: Sequence[TileUse], target: Target) -> tuple[str, int, int] | None:
    """The first limit that tiles on one core exceed: its name, what they need and what a core has; None if they fit."""
    load, limits = core_load(uses), core_limits(target)
    return next(((name, load[name], limits[name]) for name in limits if load[name] > limits[name]), None)
