"""The part of a report that is about spikes between cores."""

from neuroprune.records import Record
from neuroprune.report.chip_schema import Amount, Count


class LayerTraffic(Record):
    """Messages that the spikes of one layer cause at one of its readers, which may be itself.

    Where a chip sends a spike once to each core, one to a core with tiles of several readers counts for each reader.
    messages_per_sample: copies of spikes that go to other cores. local_per_sample: to the core that they come from.
    hops_per_sample: steps from core to core that the messages take, 0 for those that stay.
    """

    source: str
    target: str
    messages_per_sample: Amount
    local_per_sample: Amount
    hops_per_sample: Amount


class LinkTraffic(Record):
    """Messages on one link of the mesh, from a router to the next in one direction, which may be of another chip."""

    chip: Count
    from_x: Count
    from_y: Count
    to_chip: Count
    to_x: Count
    to_y: Count
    messages_per_step: Amount


class TrafficReport(Record):
    """Messages between cores, measured over all samples that ran: each spike counts once for each place it is sent to.

    What a place is, a tile or a core, is the chip family's way of multicasting. Frames that are injected from off-chip
    and outputs that leave it are not among them.
    messages_per_sample: copies that go to other cores. local_per_sample: that stay on their core.
    hops_per_sample: steps from core to core along the mesh that they take, first along x, then along y; one from chip
    to chip counts like any other. That chips lie in a row is assumed: see `neuroprune.mapping.mesh`.
    chip_crossings_per_sample: messages that go to another chip.
    heaviest_link: on average over all steps; None where no message takes a hop.
    layers: by pairs of layers, in the order of the readers.
    """

    messages_per_sample: Amount
    local_per_sample: Amount
    hops_per_sample: Amount
    chip_crossings_per_sample: Amount
    heaviest_link: LinkTraffic | None
    layers: tuple[LayerTraffic, ...]
