"""The exchange file as lava-dl's own loader sees it."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from programs import NEURON, conv, dense, program, random_frames, random_weights, with_bias

from neuroprune.errors import OutputError
from neuroprune.quantize.netx import write_netx
from neuroprune.quantize.types import QuantGraph
from neuroprune.simulate.engine import record

SUPPORT = Path(__file__).parents[1] / "support"
ROOT = SUPPORT.parents[1]


def run_in_lava_dl(graph: QuantGraph, frames: npt.NDArray[np.int8], folder: Path) -> None:
    """Run the written file in lava-dl and compare every layer with the engine."""
    assert write_netx(graph, folder / "program.net") == ()
    np.save(folder / "frames.npy", frames)
    script = [str(SUPPORT / "run_netx.py"), "program.net", "frames.npy", str(folder)]
    done = subprocess.run(
        [sys.executable, *script],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for index, layer in enumerate(record(graph, frames).layers):
        spikes, voltages = (np.load(folder / f"{kind}-{index}.npy") for kind in ("spikes", "voltages"))
        turned = (0, *range(spikes.ndim - 1, 0, -1))
        np.testing.assert_array_equal(spikes.transpose(turned), layer.spikes.reshape(-1, *layer.spikes.shape[2:]))
        np.testing.assert_array_equal(voltages.transpose(turned), layer.voltages)


def test_lava_dl_gives_the_same_spikes(tmp_path: Path) -> None:
    """Non-square kernels, strides, dilation, groups; dense weights from the rails down to where they are rescaled."""
    rng = np.random.default_rng(0)
    neuron = with_bias(dataclasses.replace(NEURON, vth=1500), rng.integers(-4096, 4096, 4))
    tall = conv("tall", "input", (2, 9, 8), random_weights(rng, (4, 2, 5, 3), 256), (2, 1), (2, 0), neuron=neuron)
    grouped = conv("grouped", "tall", tall.shape, random_weights(rng, (6, 2, 2, 2), 256), groups=2, dilation=(1, 2))
    size = int(np.prod(grouped.shape))
    wide = dense(
        "wide", "grouped", grouped.shape, random_weights(rng, (9, size), 256), dataclasses.replace(NEURON, vth=90)
    )
    quarter = dense("quarter", "wide", (9,), random_weights(rng, (8, 9), 60), dataclasses.replace(NEURON, decay_u=2000))
    rising = dense(
        "rising", "quarter", (8,), np.abs(random_weights(rng, (7, 8), 24)), dataclasses.replace(NEURON, vth=9)
    )
    falling = with_bias(dataclasses.replace(NEURON, vth=50), rng.integers(100, 200, 5))
    last = dense("falling", "rising", (7,), -np.abs(random_weights(rng, (5, 7), 24)) - 2, falling)
    graph = program(tall, grouped, wide, quarter, rising, last, steps=5)
    run_in_lava_dl(graph, random_frames(rng, 3, (2, 9, 8)), tmp_path)


def test_a_dense_layer_may_be_the_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    first = dense("first", "input", (2, 3, 4), random_weights(rng, (6, 24), 256))
    graph = program(first, dense("out", "first", (6,), random_weights(rng, (3, 6), 120)))
    run_in_lava_dl(graph, random_frames(rng, 2, (2, 3, 4)), tmp_path)


def test_many_groups_are_written_as_fewer(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    pool = conv("pool", "input", (130, 2, 2), random_weights(rng, (130, 1, 2, 2), 256), groups=130)
    run_in_lava_dl(program(pool, steps=1), random_frames(rng, 1, (130, 2, 2)), tmp_path)


def test_what_the_format_has_no_place_for_is_kept_beside_it(tmp_path: Path) -> None:
    graph = program(dense("out", "input", (1, 1, 2), np.array([[2, -4]])), steps=7)
    write_netx(graph, tmp_path / "program.net")
    with h5py.File(tmp_path / "program.net") as file:
        assert (file.attrs["steps"], file.attrs["input_bits"], file.attrs["input_unit"]) == (7, 8, 1.0)
        assert [file[f"layer/{index}/type"][0] for index in range(3)] == [b"input", b"flatten", b"dense"]
        assert file["layer/2"].attrs["name"] == "out"


def test_biases_finer_than_the_formats_are_told(tmp_path: Path) -> None:
    neuron = with_bias(dataclasses.replace(NEURON, bias_exp=3), [8, 9])
    graph = program(dense("out", "input", (1, 1, 1), np.array([[2], [4]]), neuron))
    (remark,) = write_netx(graph, tmp_path / "program.net")
    assert remark == "layer 'out' has biases in units of 2**3, netx in units of 2**6: they are rounded down"
    with h5py.File(tmp_path / "program.net") as file:
        assert file["layer/2/bias"][()].tolist() == [1, 1]


def test_other_exponents_are_rewritten_where_they_fit(tmp_path: Path) -> None:
    neuron = with_bias(dataclasses.replace(NEURON, bias_exp=7), [-3, 4])
    graph = program(dense("out", "input", (1, 1, 1), np.array([[2], [4]]), neuron))
    assert write_netx(graph, tmp_path / "program.net") == ()
    with h5py.File(tmp_path / "program.net") as file:
        assert file["layer/2/bias"][()].tolist() == [-6, 8]


def test_biases_that_need_another_exponent_on_a_chip_are_told(tmp_path: Path) -> None:
    neuron = with_bias(dataclasses.replace(NEURON, bias_exp=7), [-3000, 4])
    graph = program(dense("out", "input", (1, 1, 1), np.array([[2], [4]]), neuron))
    (remark,) = write_netx(graph, tmp_path / "program.net")
    assert remark.startswith("layer 'out' has a bias of 6000 units of 2**6, the unit of netx, more than the 13 bits of")
    with h5py.File(tmp_path / "program.net") as file:
        assert file["layer/2/bias"][()].tolist() == [-6000, 8]


@pytest.mark.parametrize("least", [-256, -64, -2])
def test_dense_weights_that_lava_dl_changes_are_told(tmp_path: Path, least: int) -> None:
    graph = program(dense("out", "input", (1, 1, 2), np.array([[least, 0]])))
    (remark,) = write_netx(graph, tmp_path / "program.net")
    assert remark.startswith(f"dense layer 'out' has no positive weight and {least} as its least: lava-dl 0.6 stores")


def test_a_dense_layer_of_zeros_is_told(tmp_path: Path) -> None:
    graph = program(dense("out", "input", (1, 1, 2), np.zeros((3, 2))))
    (remark,) = write_netx(graph, tmp_path / "program.net")
    assert remark.startswith("dense layer 'out' has no weight but 0, on which lava-dl 0.6 fails to load")


def test_branches_are_refused_layer_by_layer(tmp_path: Path) -> None:
    first, second = (dense(name, "input", (1, 1, 2), np.array([[2, 4]])) for name in ("a", "b"))
    assert write_netx(program(first, second), tmp_path / "program.net") == (
        "layer 'b' reads 'input', but netx connects every layer to the one before it: no file was written",
    )
    assert not (tmp_path / "program.net").exists()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    graph = program(dense("out", "input", (1, 1, 2), np.array([[2, 4]])))
    with pytest.raises(OutputError, match=r"program.net could not be written"):
        write_netx(graph, tmp_path / "file" / "program.net")
