"""Cores whose time in a step is limited: what a time model says that tiles take adds up like any other resource.

A core receives spikes, each with its SynOps, while it updates neurons and sends what they fire, so the longer of the
two is its time: two resources with one limit. Tiles that keep it are packed, and cut where one alone exceeds it, as for
all others; the least limit for which cores are enough is found by halving (MULTIFIT: Coffman, Garey and Johnson, "An
application of bin-packing to multiprocessor scheduling", SIAM Journal on Computing 7, 1978).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.chips.cost_model import CostModel, EncodingFigure, Figure
from neuroprune.chips.family import Family
from neuroprune.chips.senders import Senders
from neuroprune.chips.types import Reader, Resource, Tile, TileCounter, TileResources, volume
from neuroprune.errors import InputError
from neuroprune.fixed_point import IntegerRules
from neuroprune.mapping.hops import Spikes
from neuroprune.mapping.types import Packing
from neuroprune.program.types import IntConnection, IntLayer

PS = 1000
"""Picoseconds of a nanosecond: amounts are whole numbers."""
TIMES = 2
"""Resources that a `TimedCore` has more: receiving and updating."""
UNLIMITED = 2**62
"""Picoseconds, more than anything takes."""


class Operations(Protocol):
    """SynOps at each neuron of a layer, int64 [layer shape]: over all synapses, and over those that are not zero."""

    @property
    def all(self) -> npt.NDArray[np.int64]: ...

    @property
    def nonzero(self) -> npt.NDArray[np.int64]: ...


@dataclass(frozen=True, eq=False)
class Work:
    """What neurons did, over all `steps` of all samples that ran, and what that takes by `model`.

    spikes: of each layer by its name. operations: of each connection, by its layer's name and its number there.
    """

    model: CostModel
    spikes: Spikes
    operations: Mapping[tuple[str, int], Operations]
    steps: int


@dataclass(frozen=True, eq=False)
class TimedCore(Family):
    """`core` with two resources more, the time of receiving and that of updating: `most` picoseconds of all steps."""

    name: ClassVar[str] = "timed"
    core: Family
    work: Work
    most: int

    def __post_init__(self) -> None:
        """`core` has checked its numbers."""

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Those of the core, and its time."""
        times = (Resource(f"time of {what}", "ps", self.most, "prune the layer") for what in ("receiving", "updating"))
        return (*self.core.resources, *times)

    @property
    def most_neurons(self) -> int:
        return self.core.most_neurons

    def cost(self, tiles: Sequence[TileResources]) -> tuple[float, ...]:
        """As the core's family has it."""
        return self.core.cost([untimed(each) for each in tiles])

    def tile_counter(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[Reader], rules: IntegerRules
    ) -> TileCounter:
        """Counts as the core does, and how long each tile keeps it busy."""
        bare = [replace(each, tiles=[untimed(use) for use in each.tiles]) for each in readers]
        counter = self.core.tile_counter(layer, delays, bare, rules)
        sent = self._sent(layer, bare)

        def count(tile: Tile) -> TileResources:
            use = counter(tile)
            return replace(use, used=(*use.used, self._receiving(layer, use), self._updating(layer, use, sent)))

        return count

    def _receiving(self, layer: IntLayer, use: TileResources) -> int:
        """SynOps, and the messages that bring them; frames of the host are no messages."""
        model, time = self.work.model, 0.0
        for number, connection in enumerate(layer.connections):
            encoding = use.encodings[number] if use.encodings else ""
            found = self.work.operations[layer.name, number]
            operations = found.nonzero if encoding in self.core.skips_zeros else found.all
            each = model.synop_time.of(encoding) if model.synop_time else None
            time += (each or 0.0) * int(operations.reshape(volume(layer.shape))[_box(use.tile)].sum())
            if model.message_in_time and connection.source in self.work.spikes:
                time += model.message_in_time.value * int(self._copied(connection, number, use).sum())
        return ceil(PS * time)

    def _updating(self, layer: IntLayer, use: TileResources, sent: npt.NDArray[np.int64]) -> int:
        """Neurons in all steps, their spikes, and the messages that are `sent` of these."""
        model, box = self.work.model, _box(use.tile)
        neurons = _of(use.tile.neurons, model.active_neuron_time) + _of(use.idle_neurons, model.inactive_neuron_time)
        fired = _of(int(self.work.spikes[layer.name].reshape(volume(layer.shape))[box].sum()), model.spike_time)
        return ceil(PS * (neurons * self.work.steps + fired + _of(int(sent[box].sum()), model.message_out_time)))

    def _sent(self, layer: IntLayer, readers: Sequence[Reader]) -> npt.NDArray[np.int64]:
        """Messages of each neuron of `layer` to the tiles that read it."""
        sent = np.zeros(volume(layer.shape), dtype=np.int64)
        for reader in readers if self.work.model.message_out_time else ():
            for use in reader.tiles:
                senders = self._senders(reader.connection, reader.number, use)
                sent[senders.box] += self._copied(reader.connection, reader.number, use)
        return sent

    def _copied(self, connection: IntConnection, number: int, use: TileResources) -> npt.NDArray[np.int64]:
        """Spikes of the box of the source from which `use` reads, of those neurons that send."""
        senders = self._senders(connection, number, use)
        fired = self.work.spikes[connection.source].reshape(volume(connection.in_shape))[senders.box]
        return np.asarray(fired * senders.sends, dtype=np.int64)

    def _senders(self, connection: IntConnection, number: int, use: TileResources) -> Senders:
        return self.core.senders(connection, use.tile, use.encodings[number] if use.encodings else None)


def timed(chip: Chip, work: Work, most: int = UNLIMITED) -> Chip:
    """`chip` with cores that are busy for at most so many picoseconds of all steps of `work`."""
    return replace(chip, core=TimedCore(chip.core, work, most))


def untimed(use: TileResources) -> TileResources:
    """What a tile of a `TimedCore` takes of the core itself."""
    return replace(use, used=use.used[:-TIMES])


def busiest(packing: Packing) -> int:
    """Picoseconds of all steps that the core of a packing of timed tiles takes that works longest."""
    return max(max(map(sum, zip(*(use.used[-TIMES:] for use in core), strict=True))) for core in packing.cores)


def least_busy(packing: Packing, cores: int) -> int:
    """Picoseconds that the busiest of so many cores takes at least, if all tiles take as much however they are cut."""
    used = np.array([use.used[-TIMES:] for core in packing.cores for use in core], dtype=np.int64)
    return int((-(-used.sum(axis=0) // cores)).max())


def time_model(chip: Chip) -> CostModel:
    """The first of the models of `chip`, in the order of reports, that says how long a step takes.

    That is how long neurons take, or SynOps in all encodings.
    Raises InputError where there is none.
    """
    kinds = chip.core.encodings or ("",)
    found = next((each for each in chip.costs if each.active_neuron_time or _knows(each.synop_time, kinds)), None)
    if found is None or chip.core.layer_per_core:
        known = ", ".join(each.name for each in chip.costs) or "none"
        raise InputError(
            f"the time of a step is not known of {chip.name}: its cost models are {known}, and one with synop_time "
            "of all encodings or active_neuron_time is needed, such as davies-2018 of loihi1; take such "
            "a chip, or name a model in its YAML"
        )
    return found


def _knows(figure: EncodingFigure | None, kinds: Sequence[str]) -> bool:
    return figure is not None and all(figure.of(each) is not None for each in kinds)


def _of(count: int, figure: Figure | None) -> float:
    return count * figure.value if figure else 0.0


def _box(tile: Tile) -> tuple[slice, slice, slice]:
    c, y, x = (slice(first, last) for first, last in zip(tile.start, tile.stop, strict=True))
    return c, y, x
