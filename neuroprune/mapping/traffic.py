"""What tiles send to tiles: the messages that measured spikes cause, exactly, as the chip's family counts them.

Frames that are injected from off-chip and spikes of the output layer, which leave it, are no traffic between cores.
A spike that synapses delay is sent when it is fired and waits where it arrives, so delays change nothing here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from neuroprune.chips.chip import Chip
from neuroprune.chips.senders import Senders
from neuroprune.chips.types import Tile, TileResources, volume
from neuroprune.mapping.types import Packing
from neuroprune.program.types import IntLayer, IntProgram

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Traffic:
    """The spikes of a program by where they go: nets, each the neurons of one tile that send to the same tiles.

    tiles: of the packing, numbered in this order. once_a_core: whether a spike goes once to each core that has tiles of
    its net, else to each of these tiles.
    source: int64 [nets], the tile that sends. spikes: int64 [nets], over all samples, above 0.
    net, tile: int64 [pins], the nets and the tiles that they go to, a pair once. times: int64 [pins], connections
    through which the net goes to the tile.
    """

    tiles: tuple[Tile, ...]
    once_a_core: bool
    source: Numbers
    spikes: Numbers
    net: Numbers
    tile: Numbers
    times: Numbers


class Messages(NamedTuple):
    """Messages by the cores, or other groups of tiles, that they go from and to: int64 [n] each, spikes above 0."""

    source: Numbers
    target: Numbers
    spikes: Numbers

    def matrix(self, size: int) -> csr_array:
        """int64 [size, size], the messages from each to each; those that stay lie on the diagonal."""
        return csr_array(coo_array((self.spikes, (self.source, self.target)), shape=(size, size)))


def cores_of(packing: Packing, traffic: Traffic) -> Numbers:
    """int64 [tiles], the core of each tile of `traffic` in a packing of the same tiles."""
    core_of = {use.tile: number for number, core in enumerate(packing.cores) for use in core}
    return np.array([core_of[tile] for tile in traffic.tiles], dtype=np.int64)


def messages(traffic: Traffic, core_of: Numbers) -> Messages:
    """The messages between cores if tiles lie as `core_of` says: int64 [tiles]."""
    source, spikes = core_of[traffic.source], traffic.spikes
    if not traffic.once_a_core:
        return Messages(source[traffic.net], core_of[traffic.tile], spikes[traffic.net] * traffic.times)
    net, target = np.unique(np.stack([traffic.net, core_of[traffic.tile]]), axis=1)
    return Messages(source[net], target, spikes[net])


def measure_traffic(
    program: IntProgram, packing: Packing, spikes: Mapping[str, npt.NDArray[np.int64]], chip: Chip
) -> Traffic:
    """The traffic between the tiles of `packing`.

    program: balanced, the one that was packed. spikes: of each layer by its name, int64 [layer shape], of each neuron
    over all samples that ran.
    """
    uses = [use for core in packing.cores for use in core]
    numbers: dict[str, list[int]] = {layer.name: [] for layer in program.layers}
    for number, use in enumerate(uses):
        numbers[use.tile.layer].append(number)
    once_a_core = chip.core.message_for == "core"
    parts = []
    for layer in program.layers:
        readers = [
            (number, chip.core.senders(connection, uses[number].tile, _encoding(uses[number], at)))
            for reader in program.layers
            for at, connection in enumerate(reader.connections)
            if connection.source == layer.name
            for number in numbers[reader.name]
        ]
        own = [(number, uses[number].tile) for number in numbers[layer.name]]
        parts.append(_nets(layer, own, readers, spikes[layer.name]))
    first = np.cumsum([0, *(len(part.spikes) for part in parts)])
    return Traffic(
        tiles=tuple(use.tile for use in uses),
        once_a_core=once_a_core,
        source=np.concatenate([part.source for part in parts]),
        spikes=np.concatenate([part.spikes for part in parts]),
        net=np.concatenate([part.net + start for part, start in zip(parts, first[:-1], strict=True)]),
        tile=np.concatenate([part.tile for part in parts]),
        times=np.concatenate([part.times for part in parts]),
    )


def _encoding(use: TileResources, connection: int) -> str | None:
    return use.encodings[connection] if use.encodings else None


class _Nets(NamedTuple):
    """The nets of one layer: see `Traffic`."""

    source: Numbers
    spikes: Numbers
    net: Numbers
    tile: Numbers
    times: Numbers


def _nets(
    layer: IntLayer,
    own: Sequence[tuple[int, Tile]],
    readers: Sequence[tuple[int, Senders]],
    spikes: npt.NDArray[np.int64],
) -> _Nets:
    """own: the layer's tiles with their numbers. readers: who sends to each tile that reads it, a connection each.

    Neurons of one net have the same sum of random numbers, one for each tile: like sets like sums. Sets that differ and
    have one sum would be found by the assertion, in one of 10 million of the largest networks.
    """
    shape = volume(layer.shape)
    fired = spikes.reshape(shape)
    rng = np.random.default_rng(0)
    mark = np.zeros(shape, dtype=np.uint64)
    tile_of = np.zeros(shape, dtype=np.int64)
    for number, tile in own:
        box = tuple(slice(a, b) for a, b in zip(tile.start, tile.stop, strict=True))
        tile_of[box] = number
        mark[box] += rng.integers(2**64, dtype=np.uint64)
    read = np.zeros(shape, dtype=np.bool_)
    for _, senders in readers:
        mark[senders.box][senders.sends] += rng.integers(2**64, dtype=np.uint64)
        read[senders.box] |= senders.sends
    active = np.flatnonzero(read & (fired > 0))
    _, first, net_of = np.unique(mark.reshape(-1)[active], return_index=True, return_inverse=True)
    total = np.zeros(first.size, dtype=np.int64)
    np.add.at(total, net_of, fired.reshape(-1)[active])
    examples = active[first]
    pins = [_pins(np.unravel_index(examples, shape), senders) for _, senders in readers]
    for (_, senders), reached in zip(readers, pins, strict=True):
        assert total[reached].sum() == fired[senders.box][senders.sends].sum(), "two sets of tiles have one mark"
    tiles = np.repeat([number for number, _ in readers], [reached.size for reached in pins]).astype(np.int64)
    pairs = np.stack([np.concatenate([np.zeros(0, np.int64), *pins]), tiles])
    (net, tile), times = np.unique(pairs, axis=1, return_counts=True)
    return _Nets(tile_of.reshape(-1)[examples], total, net, tile, times)


def _pins(examples: tuple[npt.NDArray[np.intp], ...], senders: Senders) -> Numbers:
    """Which of the `examples`, by their channels, rows and columns, are among `senders`."""
    places = [place - start for place, start in zip(examples, senders.start, strict=True)]
    sizes = senders.sends.shape
    inside = np.flatnonzero(
        np.all([(place >= 0) & (place < size) for place, size in zip(places, sizes, strict=True)], 0)
    )
    return np.asarray(inside[senders.sends[tuple(place[inside] for place in places)]], dtype=np.int64)
