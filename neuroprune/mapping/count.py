"""What the tiles of a whole program take, each layer counted with those that read it."""

from collections.abc import Iterator, Mapping, Sequence

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Reader, Tile, TileCounter, TileResources, volume
from neuroprune.program.timing import depths, synaptic_delay
from neuroprune.program.types import IntLayer, IntProgram

Split = Mapping[str, Sequence[TileResources]]
"""The tiles of each layer, by its name."""


class Counting:
    """Counts tiles of the layers of `program` on a core of `chip`, given the tiles that read them."""

    def __init__(self, program: IntProgram, chip: Chip) -> None:
        self.program, self.chip = program, chip
        depth = depths(program)
        self._delays = {
            layer.name: [synaptic_delay(connection, layer, depth) for connection in layer.connections]
            for layer in program.layers
        }

    def counter(self, layer: IntLayer, split: Split, itself: Sequence[TileResources] = ()) -> TileCounter:
        """For tiles of `layer`, read by those of `split`; itself: its own tiles, where it is recurrent."""
        own = [
            Reader(connection, len(layer.forward) + number, itself)
            for number, connection in enumerate(layer.recurrent)
            if itself
        ]
        readers = [*self._readers(layer, split), *own]
        return self.chip.core.tile_counter(layer, self._delays[layer.name], readers, self.chip.rules)

    def count(self, tiles: Mapping[str, Sequence[Tile]]) -> dict[str, tuple[TileResources, ...]]:
        """What `tiles`, of all layers by their names, take; layers from the last to the first."""
        split: dict[str, tuple[TileResources, ...]] = {}
        for layer in reversed(self.program.layers):
            counted = tuple(map(self.counter(layer, split), tiles[layer.name]))
            if layer.recurrent:
                counted = tuple(map(self.counter(layer, split, counted), tiles[layer.name]))
            split[layer.name] = counted
        return split

    def least(self, layer: IntLayer) -> tuple[int, ...]:
        """What `layer` takes of each resource at least, however it is cut."""
        readers = [
            (connection, Tile(reader.name, (0, 0, 0), volume(reader.shape)))
            for reader in self.program.layers
            for connection in reader.connections
            if connection.source == layer.name
        ]
        return self.chip.core.least(layer, self._delays[layer.name], readers, self.chip.rules)

    def _readers(self, layer: IntLayer, split: Split) -> Iterator[Reader]:
        for reader in self.program.layers:
            if reader is not layer:
                for number, connection in enumerate(reader.connections):
                    if connection.source == layer.name and reader.name in split:
                        yield Reader(connection, number, split[reader.name])
