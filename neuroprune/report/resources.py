"""Headings, units and amounts of a core's resources in tables and plots, made from their names and units alone."""

from typing import Protocol

from neuroprune.chips.types import names_unit

BITS_PER_KIB = 8 * 1024


class Named(Protocol):
    """A resource: its limit, or the use of it."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...


def is_counted(resource: Named) -> bool:
    """Whether it is counted in what its name ends in, so that amounts of it need no unit."""
    return names_unit(resource.name, resource.unit)


def shown_unit(resource: Named) -> str:
    """The unit that people read it in: memory in KiB."""
    return "KiB" if resource.unit == "bits" else resource.unit


def shown(amount: float, resource: Named) -> str:
    """`amount`, given in the resource's own unit, in the one that is shown, without it: "100.5" of memory, "2048"."""
    return f"{amount / BITS_PER_KIB:,.1f}" if resource.unit == "bits" else f"{amount:.0f}"


def heading(resource: Named) -> str:
    """Of a narrow column: the last word of the name below the others, with the unit where the name does not say it."""
    lines = "\n".join(resource.name.rsplit(" ", 1))
    return lines if is_counted(resource) else f"{lines} {shown_unit(resource)}"


def column(resource: Named) -> str:
    """Of CSV: "input_axons", "synapse_memory_bits"."""
    words = resource.name if is_counted(resource) else f"{resource.name} {resource.unit}"
    return words.replace(" ", "_")
