"""A family of one's own: one resource, from Python or a YAML file, mapped, measured and shown without a change here."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml
from rich.console import Console
from synapse_oracle import chain, layer_of

from neuroprune.chips.catalog import FAMILIES
from neuroprune.chips.chip import Chip
from neuroprune.chips.family import Family, number
from neuroprune.chips.load import list_chips, load_chip
from neuroprune.chips.synapse_counts import count_synapses
from neuroprune.chips.types import Reader, Resource, Tile, TileCounter, TileResources
from neuroprune.errors import CapacityError, InputError
from neuroprune.fixed_point import IntegerRules
from neuroprune.mapping.map import map_program
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntDense, IntLayer, IntProgram
from neuroprune.report.measure import measure
from neuroprune.report.schema import LavaCheck, Report
from neuroprune.report.tables import cores_csv
from neuroprune.report.terminal import render
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.ladder import Accuracies


@dataclass(frozen=True)
class NeuronsOnly(Family):
    """Cores that are limited by nothing but neurons."""

    name: ClassVar[str] = "neurons-only"
    neurons_per_core: int = number("neurons")

    @property
    def resources(self) -> tuple[Resource, ...]:
        return (Resource("neurons", "neurons", self.neurons_per_core, "prune the layer"),)

    @property
    def most_neurons(self) -> int:
        return self.neurons_per_core

    def tile_counter(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[Reader], rules: IntegerRules
    ) -> TileCounter:
        def count(tile: Tile) -> TileResources:
            synapses = sum(count_synapses(connection, tile) for connection in layer.connections)
            return TileResources(tile, used=(tile.neurons,), synapses=synapses)

        return count


RULES = replace(load_chip("loihi-sim").rules, chip="toy")


@pytest.fixture
def made() -> Chip:
    """A chip without a file."""
    return Chip("toy", "four cores of ten neurons", 4, (2, 2), 0, RULES, NeuronsOnly(10))


def described(folder: Path, **changes: object) -> str:
    """The same chip as YAML."""
    numbers: dict[str, tuple[object, str]] = {
        "cores_per_chip": (4, "cores"),
        "mesh": ([2, 2], "cores"),
        "neurons_per_core": (10, "neurons"),
        "synaptic_delay_max": (0, "steps"),
        **{
            key: (list(value) if isinstance(value, tuple) else value, "bits")
            for key, value in vars(RULES).items()
            if key != "chip"
        },
    }
    facts = {
        key: {"value": value, "unit": unit, "source": "this test", "grade": "assumed"}
        for key, (value, unit) in numbers.items()
    }
    path = folder / "toy.yaml"
    path.write_text(
        yaml.safe_dump({"title": "four cores of ten neurons", "family": "neurons-only", **facts, **changes})
    )
    return str(path)


@pytest.fixture
def program() -> IntProgram:
    """25 neurons that read 6 values, and 4 that read these."""

    def dense(name: str, source: str, inputs: int, outputs: int) -> IntLayer:
        return layer_of(IntDense(np.full((outputs, inputs), 20, np.int16)), (inputs,), (outputs,), name, source)

    return chain(dense("wide", "input", 6, 25), dense("last", "wide", 25, 4))


def deployed(program: IntProgram, chip: Chip) -> Report:
    spikes, _ = quantize_input(program.input, np.full((2, 6), 3, np.float32))
    return measure(
        program,
        map_program(program, chip, effort="layers"),
        simulate(program, spikes),
        chip,
        network="a toy",
        data=None,
        accuracy=Accuracies(),
        lava=LavaCheck(samples=0, not_run="it is a toy"),
    )


def test_a_program_is_mapped_by_the_one_resource_there_is(program: IntProgram, made: Chip) -> None:
    mapping = map_program(program, made, effort="layers")
    assert [[(use.tile.layer, use.tile.neurons, use.synapses) for use in core.tiles] for core in mapping.cores] == [
        [("wide", 8, 48)],
        [("wide", 8, 48)],
        [("wide", 9, 54)],
        [("last", 4, 100)],
    ]
    assert [core.used for core in mapping.cores] == [(8,), (8,), (9,), (4,)]
    assert [(core.x, core.y) for core in mapping.cores] == [(0, 0), (1, 0), (1, 1), (0, 1)]
    roomy = replace(made, core=NeuronsOnly(13))
    assert [core.used for core in map_program(program, roomy, effort="layers").cores] == [(12,), (13,), (4,)]


@dataclass(frozen=True)
class ByRows(NeuronsOnly):
    """A second resource, of which a tile takes one for each of its rows: wide tiles are cheaper than high ones."""

    name: ClassVar[str] = "by-rows"

    @property
    def resources(self) -> tuple[Resource, ...]:
        return (*super().resources, Resource("rows", "rows", 100, "pool before it"))

    def tile_counter(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[Reader], rules: IntegerRules
    ) -> TileCounter:
        def count(tile: Tile) -> TileResources:
            return TileResources(tile, used=(tile.neurons, tile.stop[1] - tile.start[1]), synapses=0)

        return count


@dataclass(frozen=True)
class ByColumns(ByRows):
    """The same counts, but high tiles are said to be cheaper."""

    name: ClassVar[str] = "by-columns"

    def cost(self, tiles: Sequence[TileResources]) -> tuple[float, ...]:
        return (sum(each.tile.stop[2] - each.tile.start[2] for each in tiles),)


def test_of_equally_many_tiles_those_of_the_least_shares_are_taken_or_what_the_family_says(made: Chip) -> None:
    plane = layer_of(IntDense(np.full((16, 1), 20, np.int16)), (1,), (1, 4, 4))
    for family, shapes in ((ByRows, [(2, 4), (2, 4)]), (ByColumns, [(4, 2), (4, 2)])):
        mapping = map_program(chain(plane), replace(made, core=family(8)))
        tiles = [use.tile for core in mapping.cores for use in core.tiles]
        assert [(tile.stop[1] - tile.start[1], tile.stop[2] - tile.start[2]) for tile in tiles] == shapes


def test_a_yaml_of_the_family_makes_the_same_chip(tmp_path: Path, program: IntProgram, made: Chip) -> None:
    chip = load_chip(described(tmp_path), families=(*FAMILIES, NeuronsOnly))
    assert (chip.name, chip.core, chip.rules, chip.mesh) == (made.name, made.core, made.rules, made.mesh)
    assert chip.facts["neurons_per_core"].unit == "neurons"
    assert map_program(program, chip) == map_program(program, made)


def test_report_csv_and_terminal_show_the_one_resource(program: IntProgram, made: Chip) -> None:
    report = deployed(program, made)
    assert (report.target.family, [each.name for each in report.target.resources]) == ("neurons-only", ["neurons"])
    assert [each.percent for core in report.cores for each in core.resources] == [80, 80, 90, 40]
    assert [(each.used, each.limit) for each in report.totals.resources] == [(29, 40)]
    rows = list(csv.DictReader(io.StringIO(cores_csv(report))))
    assert [(row["neurons"], row["neurons_used"], row["neurons_percent"]) for row in rows] == [
        ("8", "8", "80.0"), ("8", "8", "80.0"), ("9", "9", "90.0"), ("4", "4", "40.0"),
    ]  # fmt: skip
    assert not any("axons" in name or "memory" in name for name in rows[0])
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render(report, 80))
    text = capture.get()
    assert "load      neurons 72%" in text
    assert not any(word in text for word in ("axons", "memory", "formats"))
    assert next(line for line in text.splitlines() if "0 0 0,0" in line).split()[3:6] == ["wide", "8", "80%"]
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_resource_that_one_neuron_exceeds_is_named_with_its_remedy(program: IntProgram, made: Chip) -> None:
    @dataclass(frozen=True)
    class Memory(NeuronsOnly):
        name: ClassVar[str] = "memory"

        @property
        def resources(self) -> tuple[Resource, ...]:
            return (*super().resources, Resource("kernel memory", "words", 5, "take smaller kernels"))

        def tile_counter(self, *arguments: object) -> TileCounter:
            count = super().tile_counter(*arguments)  # type: ignore[arg-type]
            return lambda tile: replace(count(tile), used=(tile.neurons, count(tile).synapses))

    expected = (
        r"^layer last: one neuron needs 25 words of kernel memory, a core of toy has 5: take smaller kernels, "
        r"or choose a target with larger cores$"
    )
    with pytest.raises(CapacityError, match=expected):
        map_program(program, replace(made, core=Memory(10)))


def test_a_family_that_was_not_passed_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"toy\.yaml: family is 'neurons-only', but must be one of loihi, dynapcnn$"):
        load_chip(described(tmp_path))


def test_a_file_has_the_numbers_of_its_own_family_only(tmp_path: Path) -> None:
    axons = {"value": 5, "unit": "axons", "source": "this test", "grade": "assumed"}
    expected = (
        r"toy\.yaml has the unknown key 'input_axons_per_core'; the nearest that a chip of family neurons-only has are "
        r"neurons_per_core, cores_per_chip, .*: correct or remove it$"
    )
    with pytest.raises(InputError, match=expected):
        load_chip(described(tmp_path, input_axons_per_core=axons), families=(NeuronsOnly,))


def test_a_chip_cannot_extend_one_of_another_family(tmp_path: Path) -> None:
    path = described(tmp_path, extends="loihi-sim")
    expected = r"toy\.yaml is of family neurons-only, but extends a chip of family loihi: remove one of the two$"
    with pytest.raises(InputError, match=expected):
        load_chip(path, families=(*FAMILIES, NeuronsOnly))


def test_families_have_names_of_their_own_and_every_bundled_chip_is_of_one() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    assert {load_chip(name).core.name for name in list_chips()} <= set(names)
