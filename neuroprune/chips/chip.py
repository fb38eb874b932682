"""A chip as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from neuroprune.chips.family import LARGEST_NUMBER, Family
from neuroprune.chips.types import Resource
from neuroprune.errors import InputError
from neuroprune.excerpts import excerpt
from neuroprune.fixed_point import IntegerRules, check_number

if TYPE_CHECKING:
    from neuroprune.chips.cost_model import CostModel

Grade = Literal["published", "fitted", "derived", "assumed"]
"""How well a number is known: stated by its source; fitted to measurements; arithmetic on published numbers; a choice
where nothing public settles it."""


@dataclass(frozen=True)
class Fact:
    """One number of a chip, its unit, where it is from, how well it is known, and the file that gives it."""

    value: int | tuple[int, ...]
    unit: str
    source: str
    grade: Grade
    file: Path = Path()


@dataclass(frozen=True, eq=False)
class Chip:
    """What programs are compiled for: `load_chip` reads one from its YAML.

    Every number is computed with; raises InputError for one that cannot be, or that contradicts another.

    name, title: what it is called, and what it is in one line.
    cores_per_chip: >= 1; a program takes as many chips as it needs. mesh: cores of a chip along x and y.
    synaptic_delay_max: steps by which a synapse can delay a spike beyond the one that each takes, >= 0; with 0
    synapses cannot delay, and relay neurons do.
    rules: widths of the integer fields.
    core: what a core has, and how tiles are counted: an object of the chip's family, of which there is one a chip; its
    cores may be unequal.
    facts: the provenance of each number by its key in the YAML; empty for a chip made without a file.
    costs: published models of what its events cost in time and energy; none where nothing is published.
    """

    name: str
    title: str
    cores_per_chip: int
    mesh: tuple[int, int]
    synaptic_delay_max: int
    rules: IntegerRules
    core: Family
    facts: Mapping[str, Fact] = field(default_factory=dict)
    costs: "tuple[CostModel, ...]" = ()

    def __post_init__(self) -> None:
        check_number("cores_per_chip", self.cores_per_chip, 1, LARGEST_NUMBER)
        check_number("synaptic_delay_max", self.synaptic_delay_max, 0, LARGEST_NUMBER)
        longest = self.core.longest_delay
        if longest is not None and self.synaptic_delay_max > longest:
            raise InputError(
                f"synaptic_delay_max is {self.synaptic_delay_max}, but a synapse stores delays up to {longest}: lower "
                "it, or raise the bits of a stored delay"
            )
        self._check_mesh()
        self._check_cores()

    def resources_at(self, x: int, y: int) -> tuple[Resource, ...]:
        """What the core at x, y of the mesh has; cores are numbered row by row."""
        return self.core.resources_of(y * self.mesh[0] + x)

    def _check_cores(self) -> None:
        for each in fields(self.core):
            if "each_core" in each.metadata and len(getattr(self.core, each.name)) != self.cores_per_chip:
                raise InputError(
                    f"{each.name} has {len(getattr(self.core, each.name))} numbers, but cores_per_chip is "
                    f"{self.cores_per_chip}: give one for each core"
                )

    def _check_mesh(self) -> None:
        pair = self.mesh
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(type(size) is int and size > 0 for size in pair):
            raise InputError(f"mesh is {excerpt(pair)}, but must be two whole numbers above 0, as in [16, 8]")
        columns, rows = pair
        if columns * rows != self.cores_per_chip:
            raise InputError(
                f"mesh has {excerpt(columns)} x {excerpt(rows)} = {excerpt(columns * rows)} cores, but cores_per_chip "
                f"is {self.cores_per_chip}: make the two agree"
            )
