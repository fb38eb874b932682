"""What is written to the exchange file, and what is reported of it; that lava-dl reads it so is tested beside."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
from programs import NEURON, conv, dense, joined, later, program_of, with_bias

from neuroprune.errors import OutputError
from neuroprune.exchange.netx.write import write_netx
from neuroprune.graph.nodes import Readout


def test_what_the_format_has_no_place_for_is_kept_beside_it(tmp_path: Path) -> None:
    program = program_of(dense("out", "input", (1, 1, 2), np.array([[2, -4]])), steps=7)
    write_netx(program, tmp_path / "program.net")
    with h5py.File(tmp_path / "program.net") as file:
        assert (file.attrs["steps"], file.attrs["input_bits"], file.attrs["input_unit"]) == (7, 8, 1.0)
        assert [file[f"layer/{index}/type"][0] for index in range(3)] == [b"input", b"flatten", b"dense"]
        assert file["layer/2"].attrs["name"] == b"out"


def test_biases_finer_than_the_formats_are_reported(tmp_path: Path) -> None:
    neuron = with_bias(NEURON, [8, 9], 3)
    program = program_of(dense("out", "input", (1, 1, 1), np.array([[2], [4]]), neuron))
    (remark,) = write_netx(program, tmp_path / "program.net")
    assert remark == "layer 'out' has biases in units of 2**3, netx in units of 2**6: they are rounded down"
    with h5py.File(tmp_path / "program.net") as file:
        assert file["layer/2/bias"][()].tolist() == [1, 1]


def test_registers_narrower_than_the_formats_are_reported(tmp_path: Path) -> None:
    narrow = dataclasses.replace(NEURON, state_bits=20)
    program = program_of(dense("out", "input", (1, 1, 1), np.array([[2], [4]]), narrow))
    (remark,) = write_netx(program, tmp_path / "program.net")
    assert remark == (
        "layer 'out' has registers of 20 bits, netx of 24: lava-dl runs it so, which differs where they overflow"
    )


def test_other_exponents_are_rewritten_where_they_fit(tmp_path: Path) -> None:
    neuron = with_bias(NEURON, [-3, 4], 7)
    program = program_of(dense("out", "input", (1, 1, 1), np.array([[2], [4]]), neuron))
    assert write_netx(program, tmp_path / "program.net") == ()
    with h5py.File(tmp_path / "program.net") as file:
        assert file["layer/2/bias"][()].tolist() == [-6, 8]


def test_biases_that_need_another_exponent_on_a_chip_are_reported(tmp_path: Path) -> None:
    neuron = with_bias(NEURON, [-3000, 4], 7)
    program = program_of(dense("out", "input", (1, 1, 1), np.array([[2], [4]]), neuron))
    (remark,) = write_netx(program, tmp_path / "program.net")
    assert remark.startswith("layer 'out' has a bias of 6000 units of 2**6, the unit of netx, more than the 13 bits of")
    with h5py.File(tmp_path / "program.net") as file:
        assert file["layer/2/bias"][()].tolist() == [-6000, 8]


@pytest.mark.parametrize("least", [-256, -64, -2])
def test_dense_weights_that_lava_dl_changes_are_reported(tmp_path: Path, least: int) -> None:
    program = program_of(dense("out", "input", (1, 1, 2), np.array([[least, 0]])))
    (remark,) = write_netx(program, tmp_path / "program.net")
    assert remark.startswith(f"dense layer 'out' has no positive weight and {least} as its least: lava-dl 0.6 stores")


def test_a_dense_layer_of_zeros_is_reported(tmp_path: Path) -> None:
    program = program_of(dense("out", "input", (1, 1, 2), np.zeros((3, 2))))
    (remark,) = write_netx(program, tmp_path / "program.net")
    assert remark.startswith("dense layer 'out' has no weight but 0, on which lava-dl 0.6 fails to load")


def test_branches_are_refused_layer_by_layer(tmp_path: Path) -> None:
    first, second = (dense(name, "input", (1, 1, 2), np.array([[2, 4]])) for name in ("a", "b"))
    assert write_netx(program_of(first, second), tmp_path / "program.net") == (
        "layer 'b' reads 'input', but netx connects every layer to the one before it: no file was written",
    )
    assert not (tmp_path / "program.net").exists()


def test_synapses_that_share_weights_are_no_chain(tmp_path: Path) -> None:
    twice = [dense("out", "input", (1, 1, 2), np.array([[2, 4]])) for _ in range(2)]
    assert write_netx(program_of(joined(*twice)), tmp_path / "program.net") == (
        "layer 'out' reads 'input' by 2 synapses at once, but netx has one for every layer: no file was written",
    )
    plane = conv("plane", "input", (1, 2, 2), np.full((1, 1, 1, 1), 2))
    wider = conv("plane", "input", (1, 2, 2), np.full((1, 1, 3, 3), 2), padding=(1, 1))
    assert len(write_netx(program_of(joined(plane, wider)), tmp_path / "program.net")) == 1
    assert not (tmp_path / "program.net").exists()


def test_the_nearest_that_the_format_has_is_reported_layer_by_layer(tmp_path: Path) -> None:
    plane = later(conv("plane", "input", (1, 2, 2), np.full((1, 1, 1, 1), 2)), 3)
    soft = dense("soft", "plane", (1, 2, 2), np.full((2, 4), 2), dataclasses.replace(NEURON, reset="subtract"))
    late = later(dense("late", "soft", (2,), np.full((1, 2), 2)), 70)
    program = dataclasses.replace(program_of(plane, soft, late), readout=Readout("voltage"))
    assert write_netx(program, tmp_path / "program.net") == (
        "layer 'plane' is a convolution with a delay of 3 steps, which lava-dl's loader drops",
        "layer 'soft' resets by subtraction, netx to zero only: lava-dl runs it so",
        "layer 'late' has a delay of 70 steps, netx of 62 at most: lava-dl shortens it",
        "the scores are the voltages of layer 'late', which netx has no output for: read them from the last layer's "
        "neurons after the last step",
    )


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    program = program_of(dense("out", "input", (1, 1, 2), np.array([[2, 4]])))
    with pytest.raises(OutputError, match=r"program.net could not be written"):
        write_netx(program, tmp_path / "file" / "program.net")
