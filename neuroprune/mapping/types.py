"""Where an integer program runs: tiles of neurons that share cores, and where these cores lie."""

from dataclasses import dataclass

from neuroprune.chips.types import TileResources


@dataclass(frozen=True)
class Packing:
    """Every neuron of a program in exactly one tile, and which tiles share a core; no core has a place yet.

    cores: the tiles of each, at least one; in the order of the first layer on them.
    numbers: which core of the chip each of them is, where cores are unequal; else empty, and any can lie anywhere.
    """

    cores: tuple[tuple[TileResources, ...], ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Core:
    """The tiles of one core, at least one, and where it lies: chip number, and x and y in cores of the chip's mesh."""

    tiles: tuple[TileResources, ...]
    chip: int
    x: int
    y: int

    @property
    def neurons(self) -> int:
        """Neurons of the network in all tiles."""
        return sum(each.tile.neurons for each in self.tiles)

    @property
    def idle_neurons(self) -> int:
        """Neurons beside those of the network that the tiles take up."""
        return sum(each.idle_neurons for each in self.tiles)

    @property
    def used(self) -> tuple[int, ...]:
        """What all tiles take of each resource, in the order of the family's resources."""
        return tuple(map(sum, zip(*(each.used for each in self.tiles), strict=True)))


@dataclass(frozen=True)
class ChipMapping:
    """Every neuron of the program on exactly one core; cores in the order of the layers.

    chip: its name. chips: how many of them.
    """

    chip: str
    cores: tuple[Core, ...]
    chips: int
