"""The protocol of formats: a suffix tells the format, and what cannot be read or written is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from programs import dense, program_of

from neuroprune.arrays import Frames
from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError
from neuroprune.exchange.catalog import FORMATS, FormatInfo, readable_suffixes
from neuroprune.exchange.format import (
    ExchangeFormat,
    Programs,
    ReadProgram,
    exchange_formats,
    format_of,
    read_program,
    write_program,
)
from neuroprune.fixed_point import IntegerRules
from neuroprune.graph.nodes import Readout
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.pipeline import deploy_program
from neuroprune.program.dequantize import dequantize
from neuroprune.program.types import IntProgram
from neuroprune.simulation.verification import LavaSettings

RULES = load_chip("loihi-sim").rules
FRAMES: Frames = np.ones((2, 3), np.float32)


class Listing(ExchangeFormat):
    """The names of the layers, one a line; only written."""

    info = FormatInfo("listing", "names of layers", ".txt", "layers.txt", "integer program", False)

    def write(self, programs: Programs, path: Path) -> tuple[str, ...]:
        path.write_text("".join(f"{layer.name}\n" for layer in programs.integers.layers), encoding="utf-8")
        return ("weights are not listed", "neither are neurons")


@pytest.fixture
def program() -> IntProgram:
    layers = dense("first", "input", (3,), np.full((4, 3), 40)), dense("last", "first", (4,), np.full((2, 4), 60))
    return program_of(*layers)


@pytest.mark.parametrize("info", FORMATS, ids=lambda info: info.name)
def test_the_suffix_tells_the_format(info: FormatInfo) -> None:
    assert format_of(Path(f"a.b/some.thing{info.suffix}")).info is info


@pytest.mark.parametrize("name", ["program.nett", "program", ".net", "program.NET", "program.net.gz"])
def test_a_suffix_of_no_format_is_answered_with_those_there_are(name: str, program: IntProgram) -> None:
    expected = f"{name} has a suffix of no known format: name a file that ends in one of .net, .onnx, .nir"
    for attempt in (
        lambda: format_of(Path(name)),
        lambda: read_program(Path(name), RULES),
        lambda: write_program(Programs(program), Path(name)),
        lambda: deploy_program(Path(name), FRAMES, lava=LavaSettings(0)),
    ):
        with pytest.raises(InputError) as caught:
            attempt()
        assert str(caught.value) == expected


def test_formats_that_are_passed_are_the_only_ones_known(program: IntProgram, tmp_path: Path) -> None:
    assert write_program(Programs(program), tmp_path / "a.txt", [Listing()]) == (
        "weights are not listed",
        "neither are neurons",
    )
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "first\nlast\n"
    with pytest.raises(InputError, match=r"b\.net has a suffix of no known format: .* one of \.txt$"):
        write_program(Programs(program), tmp_path / "b.net", [Listing()])
    assert not (tmp_path / "b.net").exists()


def test_a_format_that_is_only_written_says_so_when_it_is_read(program: IntProgram, tmp_path: Path) -> None:
    for path, formats, name in ((tmp_path / "a.txt", [Listing()], "listing"), (tmp_path / "a.onnx", None, "ONNX")):
        for attempt in (
            lambda path=path, formats=formats: read_program(path, RULES, formats=formats),
            lambda path=path, formats=formats: deploy_program(path, FRAMES, formats=formats),
        ):
            with pytest.raises(InputError) as caught:
                attempt()
            assert str(caught.value) == f"{path} cannot be read, since {name} is only written: name another file"
    assert readable_suffixes() == (".net",)


def test_a_program_that_breaks_the_rules_of_the_chip_does_not_pass_a_reader_of_ones_own(
    program: IntProgram, tmp_path: Path
) -> None:
    first, last = program.layers
    assert isinstance(first.neuron, IntCubaLif)
    broken = replace(program, layers=(replace(first, neuron=replace(first.neuron, vth=1 << 20)), last))

    class Careless(Listing):
        def read(
            self, path: Path, rules: IntegerRules, steps: int | None = None, frames: Frames | None = None
        ) -> ReadProgram:
            return ReadProgram(broken)

    with pytest.raises(AssertionError):
        read_program(tmp_path / "a.txt", RULES, formats=[Careless()])


def test_a_format_of_floats_is_not_written_where_only_the_integers_are_known(
    program: IntProgram, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(InputError) as caught:
        write_program(Programs(program), path)
    assert str(caught.value) == (
        f"{path} cannot be written, since ONNX holds the float program, which is not known here: choose another format"
    )
    assert not path.exists()
    assert write_program(Programs(program, dequantize(program)), path) == ()
    assert path.exists()


def test_a_file_states_its_steps_or_none(program: IntProgram, tmp_path: Path) -> None:
    path = tmp_path / "program.net"
    write_program(Programs(program), path)
    assert format_of(path).stated_steps(path) == program.steps == 4
    assert Listing().stated_steps(tmp_path / "nothing.txt") is None
    assert read_program(path, RULES, steps=4).program.steps == 4
    with pytest.raises(InputError, match=r"was compiled for 4 steps, not 5: leave out --steps, or deploy the netw"):
        read_program(path, RULES, steps=5)


def test_remarks_of_a_deployment_name_the_file(program: IntProgram, tmp_path: Path) -> None:
    source, folder = tmp_path / "voltages.net", tmp_path / "out"
    written = write_program(Programs(replace(program, readout=Readout(of="voltage"))), source)
    formats = (*exchange_formats(), Listing())
    done = deploy_program(source, FRAMES, lava=LavaSettings(0), folder=folder, formats=formats)
    assert [(each.file, each.text) for each in done.report.exchange_remarks] == [
        *(("program.net", text) for text in written),
        ("layers.txt", "weights are not listed"),
        ("layers.txt", "neither are neurons"),
    ]
    assert (folder / "layers.txt").exists() and not (folder / "model.onnx").exists()
