"""A chip as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from neuroprune.chips.family import Family
from neuroprune.fixed_point import IntegerRules

Grade = Literal["published", "fitted", "derived", "assumed"]
"""How well a number is known: stated by its source; fitted to measurements; arithmetic on published numbers; a choice
where nothing public settles it."""


@dataclass(frozen=True)
class Fact:
    """One number of a chip, its unit, where it is from, and how well it is known."""

    value: int | tuple[int, ...]
    unit: str
    source: str
    grade: Grade


@dataclass(frozen=True, eq=False)
class Chip:
    """What programs are compiled for: `load_chip` reads one from its YAML.

    name, title: what it is called, and what it is in one line.
    cores_per_chip: >= 1; a program takes as many chips as it needs. mesh: cores of a chip along x and y.
    synaptic_delay_max: steps by which a synapse can delay a spike beyond the one that each takes, >= 0; with 0
    synapses cannot delay, and relay neurons do.
    rules: widths of the integer fields.
    core: what one core has, and how tiles are counted: an object of the chip's family.
    facts: the provenance of each number by its key in the YAML; empty for a chip made without a file.
    """

    name: str
    title: str
    cores_per_chip: int
    mesh: tuple[int, int]
    synaptic_delay_max: int
    rules: IntegerRules
    core: Family
    facts: Mapping[str, Fact] = field(default_factory=dict)
