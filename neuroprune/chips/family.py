"""What a family of chips defines of a core, and how to write one of your own.

A family is a frozen dataclass. An object of it is one core of one chip: the fields hold its numbers, the methods say
which resources it has and what a tile of neurons takes of them. The mapper does the rest: it cuts layers into the
fewest tiles that fit, packs tiles onto cores, places the cores and verifies the result, for every family alike.

A whole family, whose cores are limited by nothing but neurons:

    @dataclass(frozen=True)
    class NeuronsOnly(Family):
        name: ClassVar[str] = "neurons-only"
        neurons_per_core: int = number("neurons")

        @property
        def resources(self) -> tuple[Resource, ...]:
            return (Resource("neurons", "neurons", self.neurons_per_core, "prune the layer"),)

        @property
        def most_neurons(self) -> int:
            return self.neurons_per_core

        def tile_counter(self, layer, delays, readers, rules) -> TileCounter:
            def count(tile: Tile) -> TileResources:
                synapses = sum(count_synapses(connection, tile) for connection in layer.connections)
                return TileResources(tile, used=(tile.neurons,), synapses=synapses)

            return count

1.  **Numbers.** Each field, an int made by `number(unit)`, is a key of the YAML files of this family, beside
    those that every chip has: `title`, `extends`, `family`, `cores_per_chip`, `mesh`, `synaptic_delay_max` and the
    widths of `IntegerRules`. A file gives it with value, unit, source and grade; see `neuroprune.chips.load`.
2.  **Resources.** Name all that a core can run out of. What the tiles of a core take adds up, and may not exceed the
    limit. Messages, tables, CSV and plots are made from this list and need no change; its `meaning` is what the
    documentation says of it. What no core could run whatever its size, such as a neuron that it has not, is refused
    by `problems`.
3.  **Counting.** `tile_counter` gets a layer, all that its tiles depend on, and returns the function that counts one.
    It is asked for many tiles, so do there once what does not depend on the tile. `neuroprune.chips.synapse_counts`
    counts synapses and fan-out exactly, `neuroprune.chips.receptive_field` gives the neurons that a tile reads. Counts
    that are a model and no published fact should say so where they are made.
4.  **Tables**, where synapses are stored in ways of the family's own: `tile_tables` writes them out, so that
    `run_cores` executes a mapping as it was counted. By default each synapse is listed.
5.  **Cost**, where two ways to cut a layer take equally many tiles: the family says which is better, or leaves it at
    the sum of all shares.
6.  **Messages.** `message_for` says whether a spike is sent to each tile that reads it or once to each core;
    `senders` says which neurons send to a tile, where zero weights do not tell. Both have a default.
7.  **Least amounts**, where it can be proved what a layer takes however it is cut: then reports say how far a mapping
    may be from the best there can be.
8.  **Unequal cores.** Cores that differ have fields made by `numbers(unit)`, a number for each core of a chip, and
    give in `resources_of` what each of them has. Such a family is `layer_per_core`: every layer is one tile and takes a
    core alone, which `neuroprune.mapping.match` finds; `neuroprune.chips.dynapcnn` is one.
9.  **Where it goes.** `load_chip(name_or_path, families=(*FAMILIES, NeuronsOnly))` reads a chip of a family of your
    own, and `Chip(...)` makes one without a file. A family for everybody is a folder here and a line in
    `neuroprune.chips.catalog`; `neuroprune.chips.loihi` is one of five resources.

The integers that a program is computed in are those of Lava 0.10 whatever the family; a chip chooses their widths.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from neuroprune.chips.senders import Senders, nonzero_senders
from neuroprune.chips.synapse_lists import list_tables
from neuroprune.chips.tables import TileTables
from neuroprune.chips.types import Reader, Resource, Tile, TileCounter, TileResources
from neuroprune.errors import InputError
from neuroprune.excerpts import excerpt
from neuroprune.fixed_point import IntegerRules, check_number
from neuroprune.program.types import IntConnection, IntLayer, IntProgram

LARGEST_NUMBER = 2**31 - 1
"""Of what a core has: sums over all tiles of a network are exact in 64 bits."""


def number(unit: str, most: int = LARGEST_NUMBER, least: int = 1) -> Any:
    """A field of a family: a whole number from `least` to `most`, given in `unit` by the YAML files of its chips.

    >>> from dataclasses import dataclass
    >>> from neuroprune import Family, number
    >>> @dataclass(frozen=True)
    ... class SmallCore(Family):
    ...     neurons_per_core: int = number("neurons")
    >>> SmallCore.units()
    {'neurons_per_core': 'neurons'}
    """
    return field(metadata={"unit": unit, "least": least, "most": most})


def numbers(unit: str, most: int = LARGEST_NUMBER) -> Any:
    """A field of a family of unequal cores: such a number for each core of a chip, as a list in its YAML files."""
    return field(metadata={"unit": unit, "most": most, "each_core": True})


@dataclass(frozen=True)
class Family(ABC):
    """One core of a chip of this family; the module's docstring says how to write a family.

    name: of the family, as chips' YAML files give it.
    layer_per_core: whether a layer is never cut and takes a core alone.
    skips_zeros: names of the encodings in which an event costs no operation where a weight is zero; in others it does.
    message_for: what a spike is sent to: one message for each core that has tiles which it goes to, the default, or one
    for each of these tiles and each connection that leads there.
    Raises InputError for numbers out of their range.
    """

    name: ClassVar[str]
    layer_per_core: ClassVar[bool] = False
    skips_zeros: ClassVar[tuple[str, ...]] = ()
    message_for: ClassVar[Literal["core", "tile"]] = "core"

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if "each_core" not in each.metadata:
                check_number(each.name, value, each.metadata["least"], each.metadata["most"])
                continue
            if not isinstance(value, tuple) or not value:
                raise InputError(
                    f"{each.name} is {excerpt(value)}, but must be a whole number for each core, as in [16384, 32768]"
                )
            for core, one in enumerate(value):
                check_number(f"{each.name} of core {core}", one, 1, each.metadata["most"])

    @property
    @abstractmethod
    def resources(self) -> tuple[Resource, ...]:
        """All that a core has a limited amount of, each of another name, in the order in which they are shown."""

    @property
    @abstractmethod
    def most_neurons(self) -> int:
        """The most neurons that any tile can have; larger ones are not even counted."""

    @abstractmethod
    def tile_counter(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[Reader], rules: IntegerRules
    ) -> TileCounter:
        """The function that counts what tiles of `layer` take of a core.

        delays: steps by which the synapses of each connection of the layer delay spikes, in their order, >= 0.
        readers: the connections that read the layer, with the tiles that they lead to, which are known by now; none for
        the output layer, whose spikes leave the chip.
        rules: widths of the chip's integer fields.
        """

    def least(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[tuple[IntConnection, Tile]], rules: IntegerRules
    ) -> tuple[int, ...]:
        """Amounts of each resource that all tiles of `layer` together take at least, however it is cut: what bounds of
        a mapping are proved from. 0, the default, proves nothing.

        readers: the connections that read the layer, with the whole layer that each leads to.
        """
        return (0,) * len(self.resources)

    def resources_of(self, core: int) -> tuple[Resource, ...]:
        """Those of one core of a chip, by its number from 0: `resources`, with other limits where cores are unequal."""
        return self.resources

    def problems(self, program: IntProgram) -> tuple[str, ...]:
        """A sentence for each part of `program` that no such core runs, whatever its size: "layer a: ..."."""
        return ()

    def tile_tables(
        self, layer: IntLayer, delays: Sequence[int], use: TileResources, rules: IntegerRules
    ) -> TileTables:
        """What a loader writes to a core for a tile of `layer` that was counted as `use`; see `chips.tables`.

        By default every synapse whose weight is not 0, one by one, which any core can be thought to hold; a family that
        stores synapses in ways of its own gives these, so that what was counted is what runs.
        delays: as in `tile_counter`.
        """
        return list_tables(layer, delays, use.tile, rules)

    @property
    def encodings(self) -> tuple[str, ...]:
        """How synapses of a connection may be stored, as `TileResources.encodings` and cost models call it; none, the
        default, where there is one way only."""
        return ()

    @property
    def longest_delay(self) -> int | None:
        """Steps of the longest delay that a stored synapse can hold; None, the default, where any can."""
        return None

    def senders(self, connection: IntConnection, tile: Tile, encoding: str | None) -> Senders:
        """The neurons of the source of `connection` that send their spikes to `tile`; those with synapses there, unless
        a family says otherwise.

        tile: of the layer that holds the connection. encoding: how that is stored in the tile, in the family's words;
        None where a family has one way only.
        """
        return nonzero_senders(connection, tile)

    def cost(self, tiles: Sequence[TileResources]) -> tuple[float, ...]:
        """The sum of the shares of all limits; of several cuts into equally many tiles, that of least cost is taken."""
        limits = [resource.limit for resource in self.resources]
        return (sum(used / limit for each in tiles for used, limit in zip(each.used, limits, strict=True)),)

    @classmethod
    def units(cls) -> dict[str, str]:
        """The family's own numbers by their keys, each with its unit."""
        return {each.name: each.metadata["unit"] for each in fields(cls)}
