"""The part of a report that says how far the mapping is from the best there can be, and what would make it smaller."""

from neuroprune.records import Record
from neuroprune.report.chip_schema import Amount, Count


class ResourceBound(Record):
    """Cores that one resource alone asks for, whatever the tiles: no mapping takes fewer."""

    name: str
    cores: Count


class MappingBound(Record):
    """The least number of cores that any mapping of the program takes, as far as it is proved, and how it is.

    cores: that this mapping takes. bound: proved to be needed, the largest of `resources`. gap: by how much `cores` may
    be above the least, as a share of `bound`. effort: of the search, one of `EFFORTS`.
    """

    cores: Count
    bound: Count
    gap: Amount
    resources: tuple[ResourceBound, ...]
    effort: str


class Advice(Record):
    """A change of the network, and what the mapper found when it was made.

    text: one sentence that says all. layer: that changes; coupled: layers that lose the same channels, since they are
    added to it, read it channel by channel, or are a part of its map. removed: channels or features that go.
    cores_before, cores_after: as mapped; the first is None where the network does not fit as it is. resource: that
    binds where it helps; None where the network does not fit, since why not says it.
    """

    text: str
    layer: str
    removed: Count
    resource: str | None
    cores_before: Count | None
    cores_after: Count
    coupled: tuple[str, ...] = ()
