"""Where an integer program runs: tiles of neurons on cores."""

from dataclasses import dataclass
from typing import Literal

Box = tuple[int, int, int]
Encoding = Literal["dense", "sparse", "shared"]


@dataclass(frozen=True)
class Tile:
    """A box of neurons of one layer: channels x height x width, `start` inclusive, `stop` exclusive.

    A dense layer's neurons are (features, 1, 1).
    """

    layer: str
    start: Box
    stop: Box

    @property
    def neurons(self) -> int:
        """Neurons in the box."""
        (c0, y0, x0), (c1, y1, x1) = self.start, self.stop
        return (c1 - c0) * (y1 - y0) * (x1 - x0)


@dataclass(frozen=True)
class TileUse:
    """What one tile takes on its core, in the target's own counts.

    idle_neurons: neurons beside the tile's own that its shared blocks run over into; they send no spikes.
    encodings: how the synapses of each connection of the layer are stored, in their order; see mapping/encode.py.
    synapses: synapses that exist between the tile and its sources (zero weights counted).
    synapse_bits: bits of synapse memory that they take in these encodings.
    synapse_formats: of them on the core.
    """

    tile: Tile
    input_axons: int
    output_axons: int
    synapses: int
    synapse_bits: int
    encodings: tuple[Encoding, ...]
    idle_neurons: int = 0
    synapse_formats: int = 1

    @property
    def compartments(self) -> int:
        """What the tile takes of its core's neurons: its own and the idle ones."""
        return self.tile.neurons + self.idle_neurons


@dataclass(frozen=True)
class Core:
    """The tiles of one core and where it lies: chip number, and x and y in cores of the chip's mesh."""

    tiles: tuple[TileUse, ...]
    chip: int
    x: int
    y: int

    @property
    def neurons(self) -> int:
        """Neurons of all tiles; each belongs to the network."""
        return sum(use.tile.neurons for use in self.tiles)

    @property
    def compartments(self) -> int:
        """Neurons of all tiles and the idle ones beside them: what counts against the core's limit."""
        return sum(use.compartments for use in self.tiles)

    @property
    def input_axons(self) -> int:
        """Input axons of all tiles."""
        return sum(use.input_axons for use in self.tiles)

    @property
    def output_axons(self) -> int:
        """Output axons of all tiles."""
        return sum(use.output_axons for use in self.tiles)

    @property
    def synapse_bits(self) -> int:
        """Synapse memory of all tiles, in bits."""
        return sum(use.synapse_bits for use in self.tiles)


@dataclass(frozen=True)
class ChipMapping:
    """Every neuron of the program on exactly one core; cores in the order of the layers."""

    target: str
    cores: tuple[Core, ...]
    chips: int
