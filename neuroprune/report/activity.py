"""What a deployment did on each core, counted exactly: all that estimates of time and energy are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.graph.nodes import INPUT
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.types import ChipMapping
from neuroprune.program.timing import depths
from neuroprune.program.types import IntProgram
from neuroprune.report.placement import in_tile
from neuroprune.report.synops import Arriving, synops
from neuroprune.report.traffic import PlacedTraffic
from neuroprune.simulation.types import Trace

ONE_ENCODING = ""
"""What a family's only way to store synapses is called here."""

PerCore = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Messages:
    """Messages of spikes in a chip step, without those of the input, which come from off-chip.

    source, target: int64 [n], numbers of cores, the same where a spike stays. count: float64 [n], messages between
    them, as the chip's family sends them.
    """

    source: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    count: PerCore

    def sent(self, cores: int) -> PerCore:
        """By each of so many cores, to itself included."""
        return np.bincount(self.source, self.count, cores).astype(np.float64)

    def received(self, cores: int) -> PerCore:
        """By each of so many cores, from itself included."""
        return np.bincount(self.target, self.count, cores).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Activity:
    """What cost models count, in a chip step: the mean over all steps of all samples.

    steps: of a sample. depth: steps by which the last layer is late.
    places: int64 [cores, 3], chip, x and y of each core. mesh: in which they lie.
    synops: float64 [cores] by encoding; deliveries over a zero weight are among them where the encoding stores it.
    neurons, idle: float64 [cores], neurons of the network, and others that are there beside them.
    spikes: float64 [cores], fired. messages: None where they were not counted.
    """

    steps: int
    depth: int
    places: npt.NDArray[np.int64]
    mesh: Mesh
    synops: Mapping[str, PerCore]
    neurons: PerCore
    idle: PerCore
    spikes: PerCore
    messages: Messages | None = None

    def tiles(self, size: tuple[int, int]) -> npt.NDArray[np.int64]:
        """int64 [cores, 2], column and row of the tile of `size` cores along x and y that each core is part of."""
        return replace(self.mesh, block=size).position(self.places).T


def activity_of(
    program: IntProgram, mapping: ChipMapping, trace: Trace, chip: Chip, traffic: PlacedTraffic | None = None
) -> Activity:
    """What `program` did as mapped, over all samples of `trace`. traffic: of the same, where it was counted.

    Sources all of whose weights to a tile are zero count as if the tile stored them, as the SynOps of a report do.
    """
    taken = trace.samples * trace.steps
    fired = {layer.name: layer.spikes for layer in trace.layers}
    arriving = arriving_by_connection(program, trace)
    kinds = len(next(iter(mapping.cores)).tiles[0].encodings) > 0
    count = len(mapping.cores)
    by_encoding: dict[str, PerCore] = {}
    spikes = np.zeros(count)
    connections = {layer.name: len(layer.connections) for layer in program.layers}
    for index, core in enumerate(mapping.cores):
        for use in core.tiles:
            spikes[index] += in_tile(fired[use.tile.layer], use.tile) / taken
            encodings = use.encodings if kinds else (ONE_ENCODING,) * connections[use.tile.layer]
            for number, encoding in enumerate(encodings):
                found = arriving[use.tile.layer, number]
                operations = found.nonzero if encoding in chip.core.skips_zeros else found.all
                counted = by_encoding.setdefault(encoding, np.zeros(count))
                counted[index] += in_tile(operations, use.tile) / taken
    return Activity(
        steps=trace.steps,
        depth=depths(program)[program.layers[-1].name],
        places=np.array([(core.chip, core.x, core.y) for core in mapping.cores]),
        mesh=Mesh(chip, mapping.chips),
        synops=by_encoding,
        neurons=np.array([core.neurons for core in mapping.cores], dtype=np.float64),
        idle=np.array([core.idle_neurons for core in mapping.cores], dtype=np.float64),
        spikes=spikes,
        messages=_messages(traffic, taken) if traffic is not None else None,
    )


def arriving_by_connection(program: IntProgram, trace: Trace) -> dict[tuple[str, int], Arriving]:
    """SynOps at each neuron through each connection, by the name of its layer and its number there, over all of
    `trace`."""
    events = {INPUT: trace.input_events} | {layer.name: layer.spikes for layer in trace.layers}
    return {
        (layer.name, number): synops(replace(layer, connections=(connection,)), events)
        for layer in program.layers
        for number, connection in enumerate(layer.connections)
    }


def _messages(traffic: PlacedTraffic, steps: int) -> Messages:
    """`steps`: over which it was counted."""
    sent = traffic.sent
    return Messages(sent.source, sent.target, sent.spikes / steps)
