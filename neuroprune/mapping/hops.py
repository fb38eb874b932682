"""How far spikes go, estimated from the cuts of all layers before cores have places."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Box, TileResources, volume
from neuroprune.program.types import IntLayer, IntProgram

ACROSS = 2 / 3
"""Hops between two random places of a square, in its sides."""
NEARER = 0.25
"""Power of the share of tiles that are joined to one with which hops grow: 0.5 would be a square of these alone, but
they are joined to others, too. Fitted to the hops measured of 15 ways to cut vgg16 (RESULTS.md)."""

Cuts = tuple[Box, ...]
"""For each layer the number of parts along channels, height and width."""
Spikes = Mapping[str, npt.NDArray[np.int64]]
"""Of each layer by its name, int64 [layer shape], over all samples that ran."""


Numbers = npt.NDArray[np.float64]


def expected(copies: Numbers | float, joined: Numbers | float, cores: Numbers | float) -> Numbers:
    """Hops of so many copies of spikes between two layers; see `Hops`.

    joined: the share of their tiles that are joined to one. cores: that the tiles of both lie on.
    """
    return np.asarray(copies * ACROSS * np.sqrt(cores) * joined**NEARER)


def spread(shares: Numbers) -> Numbers:
    """Cores that tiles lie on, for each of one kind; shares: of a core that one takes, above 0 and at most 1."""
    return np.asarray(1 / np.floor(1 / shares))


class Sent(NamedTuple):
    """What the tiles of a layer get through one connection. copies: spikes, each as often as it is sent to one of them.

    source: number of the layer that sends. start, stop: int64 [tiles, 3], the box of its neurons that send to each.
    """

    source: int
    copies: int
    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]


class Hops:
    """Hops of the spikes of a program; what was counted once is kept.

    A spike is taken to go as far as from one random place to another in a square that holds the tiles of its layer and
    of the reader; less far where few of them are joined to one, as windows of a plane are.
    """

    def __init__(
        self,
        program: IntProgram,
        chip: Chip,
        spikes: Spikes,
        tiles: Callable[[int, Box], Sequence[TileResources]],
    ) -> None:
        """spikes: of those layers of which they are known. tiles: of a layer, by its number, in so many parts."""
        self._chip, self._spikes, self._tiles, self._layers = chip, spikes, tiles, program.layers
        self._numbers = {layer.name: number for number, layer in enumerate(program.layers)}
        self._sent: dict[tuple[int, Box], tuple[Sent, ...]] = {}
        self._joined: dict[tuple[int, Box, int, Box], float] = {}

    def of(self, cuts: Cuts, cores: Sequence[float]) -> float:
        """Of all spikes, over all samples; 0 where none are known. cores: that the tiles of each layer lie on."""
        hops = 0.0
        for number, cut in enumerate(cuts) if self._spikes else ():
            if (number, cut) not in self._sent:
                self._sent[number, cut] = self.sent_to(self._layers[number], self._tiles(number, cut))
            for sent in self._sent[number, cut]:
                joined = self._share_joined(number, cut, sent, cuts[sent.source])
                hops += float(expected(sent.copies, joined, cores[number] + cores[sent.source]))
        return hops

    def sent_to(self, layer: IntLayer, tiles: Sequence[TileResources]) -> tuple[Sent, ...]:
        """What `tiles` of a layer get from others, a connection each through which known spikes arrive."""
        return tuple(
            self._through(layer, at, tiles)
            for at, connection in enumerate(layer.connections)
            if connection.source in self._spikes
        )

    def _through(self, layer: IntLayer, at: int, tiles: Sequence[TileResources]) -> Sent:
        connection = layer.connections[at]
        senders = [
            self._chip.core.senders(connection, use.tile, use.encodings[at] if use.encodings else None) for use in tiles
        ]
        fired = self._spikes[connection.source].reshape(volume(connection.in_shape))
        start = np.array([each.start for each in senders])
        stop = start + np.array([each.sends.shape for each in senders])
        copies = sum(int(fired[each.box][each.sends].sum()) for each in senders)
        return Sent(self._numbers[connection.source], copies, start, stop)

    def _share_joined(self, number: int, cut: Box, sent: Sent, of_source: Box) -> float:
        """The share of all pairs of tiles of a layer and of one of its sources in which the one sends to the other."""
        key = (number, cut, sent.source, of_source)
        if key not in self._joined:
            size, parts = np.array(volume(self._layers[sent.source].shape)), np.array(of_source)
            first, last = (((at + 1) * parts - 1) // size for at in (sent.start, sent.stop - 1))
            pairs = (last - first + 1).prod(axis=1).sum()
            self._joined[key] = float(pairs / (parts.prod() * len(sent.start)))
        return self._joined[key]
