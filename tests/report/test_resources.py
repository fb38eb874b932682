"""What tables call a resource follows from its name and unit alone."""

import pytest

from neuroprune.report.chip_schema import ResourceLimit
from neuroprune.report.resources import column, heading, shown, shown_unit


@pytest.mark.parametrize(
    ("name", "unit", "in_csv", "on_terminal"),
    [
        ("neurons", "neurons", "neurons", "neurons"),
        ("input axons", "axons", "input_axons", "input\naxons"),
        ("synapse memory", "bits", "synapse_memory_bits", "synapse\nmemory KiB"),
        ("memory", "words", "memory_words", "memory words"),
        ("axon map entries", "entries", "axon_map_entries", "axon map\nentries"),
    ],
)
def test_a_unit_is_said_where_the_name_does_not(name: str, unit: str, in_csv: str, on_terminal: str) -> None:
    resource = ResourceLimit(name=name, unit=unit, limit=1)
    assert column(resource) == in_csv
    assert heading(resource) == on_terminal


def test_memory_is_shown_in_kib_and_counts_as_they_are() -> None:
    memory, axons = (ResourceLimit(name=unit, unit=unit, limit=1) for unit in ("bits", "axons"))
    assert (shown(8192 * 1500.25, memory), shown_unit(memory)) == ("1,500.2", "KiB")
    assert (shown(1500.25, axons), shown_unit(axons)) == ("1500", "axons")
