"""The types that chip families and the mapper share: resources, tiles, and what tiles take of a core."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from neuroprune.graph.nodes import Shape
from neuroprune.program.types import IntConnection

Box = tuple[int, int, int]
"""Channels, height and width."""


@dataclass(frozen=True)
class Resource:
    """Something of which a core has a limited amount, shared by the tiles on it: what they take of it adds up.

    name: what messages, tables and plots call it, as in "input axons" or "synapse memory".
    unit: of its amounts, in the plural: the end of the name where things are counted ("axons"), else what they are
    measured in ("bits"). Memory in bits is shown in KiB.
    limit: of one core, >= 1; of the largest where cores are unequal.
    remedy: what helps where a single neuron asks for more, as an imperative: "prune the layer".
    meaning: what it is and what takes it, as a sentence; "" where a family of one's own says nothing. Errors, the
    documentation and `neuroprune targets show` all read these fields.
    """

    name: str
    unit: str
    limit: int
    remedy: str
    meaning: str = ""

    def in_words(self, amount: int | str) -> str:
        """`amount` of it: "5 input axons", "320 bits of synapse memory"."""
        return f"{amount} {self.name}" if names_unit(self.name, self.unit) else f"{amount} {self.unit} of {self.name}"

    def exceeded_by(self, what: str, needed: int | str, chip: str) -> str:
        """The sentence for `what`, a part of a layer, that needs more of it than a core of `chip` has.

        >>> from neuroprune import Resource
        >>> axons = Resource("input axons", "axons", 4096, "prune the layer or pool before it")
        >>> axons.exceeded_by("layer fc: one neuron", 5000, "loihi-sim")  # doctest: +NORMALIZE_WHITESPACE
        'layer fc: one neuron needs 5000 input axons, a core of loihi-sim has 4096: prune the layer or pool before it,
        or choose a target with larger cores'
        """
        return (
            f"{what} needs {self.in_words(needed)}, a core of {chip} has {self.limit}: {self.remedy}, or choose a "
            "target with larger cores"
        )


def names_unit(name: str, unit: str) -> bool:
    """Whether a resource of that name is counted in what its name ends in, so that the unit need not be said."""
    return name.endswith(unit)


def volume(shape: Shape) -> Box:
    """A layer's shape as channels x height x width; features are channels of one pixel."""
    channels, height, width = shape if len(shape) == 3 else (*shape, 1, 1)
    return channels, height, width


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
class TileResources:
    """What one tile takes of its core.

    used: amount of each resource, >= 0, in the order of the family's `resources`.
    synapses: that exist between the tile and its sources (zero weights counted).
    encodings: how the synapses of each connection of the layer are stored, in their order and in the family's words;
    empty where a family has one way only.
    idle_neurons: neurons of the core beside the tile's own that it takes up; they send no spikes.
    layout: how the family numbers the tile's neurons on the core, in a frozen type of its own; None where in C order.
    """

    tile: Tile
    used: tuple[int, ...]
    synapses: int
    encodings: tuple[str, ...] = ()
    idle_neurons: int = 0
    layout: Hashable = None


TileCounter = Callable[[Tile], TileResources]
"""Counts what any tile of one layer takes of a core."""


@dataclass(frozen=True, eq=False)
class Reader:
    """One connection that reads a layer, and the tiles of the layer that it leads to.

    number: which of that layer's connections it is, and so which of each tile's `encodings` is its own.
    """

    connection: IntConnection
    number: int
    tiles: Sequence[TileResources]
