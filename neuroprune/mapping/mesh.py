"""Where cores can lie: the meshes of all chips as one, and distances in it.

Davies et al. 2018 state that a chip's interfaces extend its mesh to other chips in four directions. That the chips of a
program lie in a row, each joined to the next along the longer side of its mesh, is assumed, and so is that a step from
chip to chip is a hop like any other.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuroprune.chips.chip import Chip
from neuroprune.mapping.curves import hilbert_curve
from neuroprune.mapping.traffic import Numbers


@dataclass(frozen=True)
class Mesh:
    """The places of `chips` chips of one kind, numbered along a curve that fills one chip after the other, so that
    places of near numbers are near each other.

    block: cores along x and y that share a router; positions, the shape and hops are those of routers.
    """

    chip: Chip
    chips: int
    block: tuple[int, int] = (1, 1)

    @cached_property
    def places(self) -> Numbers:
        """int64 [places, 3]: chip, x and y of each."""
        columns, rows = self.chip.mesh
        one = np.array(hilbert_curve(columns, rows, upwards=self.upwards), dtype=np.int64)
        on = np.repeat(np.arange(self.chips), len(one))
        return np.column_stack([on, np.tile(one, (self.chips, 1))])

    @property
    def upwards(self) -> bool:
        """Whether chips follow each other along y, since rows of a chip are at least as long as its columns."""
        return self.chip.mesh[0] >= self.chip.mesh[1]

    @property
    def of_a_chip(self) -> tuple[int, int]:
        """Routers of one chip along x and y."""
        (columns, rows), (along_x, along_y) = self.chip.mesh, self.block
        return -(-columns // along_x), -(-rows // along_y)

    @property
    def shape(self) -> tuple[int, int]:
        """Routers of the mesh of all chips along x and y."""
        columns, rows = self.of_a_chip
        return (columns, rows * self.chips) if self.upwards else (columns * self.chips, rows)

    def position(self, places: Numbers) -> Numbers:
        """int64 [2, ...]: x and y in the mesh of all chips; places: int64 [..., 3] of chip, x and y."""
        on, x, y = np.moveaxis(places, -1, 0)
        x, y = x // self.block[0], y // self.block[1]
        columns, rows = self.of_a_chip
        return np.stack([x, y + on * rows] if self.upwards else [x + on * columns, y])

    def place(self, x: int, y: int) -> tuple[int, int, int]:
        """Chip, x and y of a position in the mesh of all chips."""
        columns, rows = self.of_a_chip
        return (y // rows, x, y % rows) if self.upwards else (x // columns, x % columns, y)

    def hops(self, source: Numbers, target: Numbers) -> Numbers:
        """Steps from router to router between places: int64 [..., 3], broadcast."""
        hops: Numbers = np.abs(self.position(source) - self.position(target)).sum(axis=0)
        return hops
