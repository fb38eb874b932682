"""The parts of a report that are about the chip: what a core has, what is used of it, and where tiles lie."""

from typing import Annotated

from pydantic import Field

from neuroprune.records import Record

Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Limit = Annotated[int, Field(ge=1)]


class ResourceLimit(Record):
    """How much one core has of a resource that its tiles share.

    name: as the chip's family calls it. unit: of the limit; memory is in bits.
    """

    name: str
    unit: str
    limit: Limit


class ResourceUse(Record):
    """How much of a resource is used, and how much there is; see `ResourceLimit`."""

    name: str
    unit: str
    used: Count
    limit: Limit

    @property
    def percent(self) -> float:
        """Of the limit."""
        return 100 * self.used / self.limit


class ResourceAmount(Record):
    """How much of a resource is used, on several cores together; see `ResourceLimit`."""

    name: str
    unit: str
    used: Count


class Taken(Record):
    """What a layer or the whole program takes of a chip: cores that hold some of it, and resources on all of them."""

    cores: Count
    resources: tuple[ResourceAmount, ...]


class ChipLimits(Record):
    """The chip that the program was compiled for, and the resources of one of its cores.

    mesh: cores of a chip along x and y; None in older reports.
    """

    name: str
    title: str
    family: str
    cores_per_chip: Count
    resources: tuple[ResourceLimit, ...]
    mesh: tuple[Limit, Limit] | None = None


class TileReport(Record):
    """A box of one layer's neurons, channels x height x width, `start` inclusive, `stop` exclusive.

    encodings: how the synapses of each connection of the layer are stored, as the chip's family calls it.
    used: of each resource of the chip's core, in its order. spikes_per_step: that its neurons send, on the mean. Older
    reports have neither.
    """

    layer: str
    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    encodings: tuple[str, ...]
    used: tuple[Count, ...] = ()
    spikes_per_step: Amount | None = None


class CoreReport(Record):
    """One core: where it lies, what is on it, and how much of each resource that takes.

    neurons: of the network. idle_neurons: further neurons that the tiles occupy, for example where shared weights
    extend beyond a tile; they send no spikes, and what they receive is not counted in the SynOps.
    resources: those of the chip's core, in its order.
    messages_in_per_step, messages_out_per_step: from and to other cores; None in older reports.
    """

    index: Count
    chip: Count
    x: Count
    y: Count
    tiles: tuple[TileReport, ...]
    neurons: Count
    idle_neurons: Count
    resources: tuple[ResourceUse, ...]
    synops_per_step: Amount
    nonzero_synops_per_step: Amount
    messages_in_per_step: Amount | None = None
    messages_out_per_step: Amount | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers on this core, each once."""
        return tuple(dict.fromkeys(tile.layer for tile in self.tiles))

    @property
    def encodings(self) -> tuple[str, ...]:
        """Synapse encodings on this core, each once."""
        return tuple(dict.fromkeys(encoding for tile in self.tiles for encoding in tile.encodings))
