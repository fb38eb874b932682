"""Messages between cores, as parts of a report."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.mapping.links import heaviest_link
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.traffic import Messages, Numbers, Traffic, messages
from neuroprune.mapping.types import ChipMapping
from neuroprune.report.traffic_schema import LayerTraffic, LinkTraffic, TrafficReport
from neuroprune.simulation.types import Trace


@dataclass(frozen=True, eq=False)
class PlacedTraffic:
    """The traffic of a mapping.

    core_of: int64 [tiles]. places: int64 [cores, 3], chip, x and y. sent: from core to core.
    """

    traffic: Traffic
    core_of: Numbers
    places: Numbers
    sent: Messages
    mesh: Mesh

    @property
    def between(self) -> Messages:
        """Those that leave their core."""
        leave = self.sent.source != self.sent.target
        return Messages(*(each[leave] for each in self.sent))

    @property
    def hops(self) -> int:
        """Of all messages, over all samples."""
        between = self.between
        return int((_hops(self, between) * between.spikes).sum())


def placed(traffic: Traffic, mapping: ChipMapping, chip: Chip) -> PlacedTraffic:
    """`traffic` on the cores of `mapping`, which has the same tiles."""
    core = {use.tile: number for number, core in enumerate(mapping.cores) for use in core.tiles}
    core_of = np.array([core[tile] for tile in traffic.tiles], dtype=np.int64)
    places = np.array([(core.chip, core.x, core.y) for core in mapping.cores], dtype=np.int64)
    return PlacedTraffic(traffic, core_of, places, messages(traffic, core_of), Mesh(chip, mapping.chips))


def core_messages(found: PlacedTraffic) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Messages from other cores and to other cores, of each core: int64 [cores] each, over all samples."""
    arriving, leaving = np.zeros((2, len(found.places)), dtype=np.int64)
    between = found.between
    np.add.at(arriving, between.target, between.spikes)
    np.add.at(leaving, between.source, between.spikes)
    return arriving, leaving


def traffic_report(found: PlacedTraffic, trace: Trace) -> TrafficReport:
    """What `TrafficReport` says, of the samples of `trace`."""
    between, places = found.between, found.places
    crossing = places[between.source, 0] != places[between.target, 0]
    link = heaviest_link(found.mesh, places, between)
    total, away = int(found.sent.spikes.sum()), int(between.spikes.sum())
    return TrafficReport(
        messages_per_sample=away / trace.samples,
        local_per_sample=(total - away) / trace.samples,
        hops_per_sample=found.hops / trace.samples,
        chip_crossings_per_sample=int(between.spikes[crossing].sum()) / trace.samples,
        heaviest_link=None
        if link is None
        else LinkTraffic(
            chip=link.source[0],
            from_x=link.source[1],
            from_y=link.source[2],
            to_chip=link.target[0],
            to_x=link.target[1],
            to_y=link.target[2],
            messages_per_step=link.messages / (trace.samples * trace.steps),
        ),
        layers=_layers(found, trace),
    )


def _hops(found: PlacedTraffic, sent: Messages) -> Numbers:
    return found.mesh.hops(found.places[sent.source], found.places[sent.target])


def _layers(found: PlacedTraffic, trace: Trace) -> tuple[LayerTraffic, ...]:
    """A message to a core that tiles of several layers share counts for each layer that it is for."""
    traffic = found.traffic
    names = [layer.name for layer in trace.layers]
    layer_of = np.array([names.index(tile.layer) for tile in traffic.tiles], dtype=np.int64)
    pins = np.stack([traffic.net, found.core_of[traffic.tile], layer_of[traffic.tile]])
    times = traffic.times
    if traffic.once_a_core:
        pins = np.unique(pins, axis=1)
        times = np.ones(pins.shape[1], dtype=np.int64)
    net, core, target = pins
    sent = Messages(found.core_of[traffic.source[net]], core, traffic.spikes[net] * times)
    stays = sent.source == sent.target
    pair = (layer_of[traffic.source[net]], target)
    of_pairs = np.zeros((3, len(names), len(names)), dtype=np.int64)
    for sums, amounts in zip(
        of_pairs, (sent.spikes * ~stays, sent.spikes * stays, sent.spikes * _hops(found, sent)), strict=True
    ):
        np.add.at(sums, pair, amounts)
    away, local, hops = of_pairs / trace.samples
    return tuple(
        LayerTraffic(
            source=names[a],
            target=names[b],
            messages_per_sample=float(away[a, b]),
            local_per_sample=float(local[a, b]),
            hops_per_sample=float(hops[a, b]),
        )
        for b, a in product(range(len(names)), repeat=2)
        if away[a, b] or local[a, b]
    )
