"""Verified against lava-dl: files of ours in its loader, and networks that it made itself, in every spike."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from lava_dl import SUPPORT, record_with_lava_dl, run_script
from programs import NEURON, conv, dense, joined, later, program_of, random_frames, random_weights, with_bias

from neuroprune.chips.load import load_chip
from neuroprune.exchange.netx.format import FORMAT
from neuroprune.exchange.netx.read import read_netx
from neuroprune.exchange.netx.write import write_netx
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntProgram
from neuroprune.simulation.compare import compare
from neuroprune.simulation.reference import reference_record
from neuroprune.simulation.types import Record

Case = tuple[IntProgram, npt.NDArray[np.int8]]
STEPS = 16


def chain() -> Case:
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
    return program_of(tall, grouped, wide, quarter, rising, last, steps=5), random_frames(rng, 3, (2, 9, 8))


def dense_first() -> Case:
    rng = np.random.default_rng(1)
    first = dense("first", "input", (2, 3, 4), random_weights(rng, (6, 24), 256))
    program = program_of(first, dense("out", "first", (6,), random_weights(rng, (3, 6), 120)))
    return program, random_frames(rng, 2, (2, 3, 4))


def many_groups() -> Case:
    """More than Lava's convolution counts."""
    rng = np.random.default_rng(2)
    pool = conv("pool", "input", (130, 2, 2), random_weights(rng, (130, 1, 2, 2), 256), groups=130)
    return program_of(pool, steps=1), random_frames(rng, 1, (130, 2, 2))


def delays() -> Case:
    """Of every synapse on its own, and one for all; a sequence of spikes without a value.

    One sample, for in lava-dl late spikes reach the next one.
    """
    rng = np.random.default_rng(3)
    neuron = with_bias(dataclasses.replace(NEURON, decay_u=900, vth=60), [40, 0, -8, 13, 0])
    weight, each = random_weights(rng, (5, 12), 200), rng.integers(0, 4, (5, 12))
    parts = [
        later(dense("first", "input", (2, 3, 2), np.where(each == delay, weight, 0), neuron), delay)
        for delay in range(4)
    ]
    out = later(dense("out", "first", (5,), random_weights(rng, (3, 5), 256), dataclasses.replace(NEURON, vth=80)), 2)
    frames = (rng.random((1, 9, 2, 3, 2)) < 0.4).astype(np.int8)
    return program_of(joined(*parts), out, steps=9, bits=0, sequence=True), frames


WRITTEN: tuple[Callable[[], Case], ...] = (chain, dense_first, many_groups, delays)
MADE_BY_LAVA_DL = ("mlp", "conv", "affine", "recurrent", "driven", "driven_flat")


@pytest.fixture(scope="module")
def slayer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that lava-dl made, and what its torch simulation does with them."""
    folder = tmp_path_factory.mktemp("slayer")
    run_script([str(SUPPORT / "slayer_nets.py"), str(folder)])
    return folder


def made(folder: Path, name: str) -> Case:
    program = read_netx(folder / f"{name}.net", load_chip("loihi-sim").rules, steps=STEPS).program
    frames = np.load(folder / f"{name}-frames.npy")
    return program, frames.reshape(*frames.shape[:2], *program.input.shape)


def values_that_drive(file: Path) -> Case:
    """Samples of any numbers, which input neurons take in steps."""
    values = np.random.default_rng(0).normal(size=(2, 2, 7, 6)).astype(np.float32)
    program = FORMAT.read(file, load_chip("loihi-sim").rules, STEPS, values).program
    return program, quantize_input(program.input, values)[0]


@pytest.fixture(scope="module")
def by_lava_dl(slayer: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Case, Record]]:
    """All files through lava-dl's loader, in one process."""
    folder = tmp_path_factory.mktemp("by_lava_dl")
    cases, files = {}, []
    for make in WRITTEN:
        program, frames = cases[make.__name__] = make()
        files.append(folder / f"{make.__name__}.net")
        assert write_netx(program, files[-1]) == ()
    for name in MADE_BY_LAVA_DL:
        program, frames = made(slayer, name)
        cases[f"slayer {name}"] = program, frames[:1]
        files.append(slayer / f"{name}.net")
    cases["values that drive"] = values_that_drive(slayer / "driven.net")
    files.append(slayer / "driven.net")
    jobs = [(program, file, frames) for (program, frames), file in zip(cases.values(), files, strict=True)]
    records = record_with_lava_dl(jobs, folder / "lava-dl")
    return {name: (case, found) for (name, case), found in zip(cases.items(), records, strict=True)}


@pytest.mark.parametrize(
    "name",
    [*(make.__name__ for make in WRITTEN), *(f"slayer {name}" for name in MADE_BY_LAVA_DL), "values that drive"],
)
def test_lava_dl_loads_the_same_spikes_and_voltages(by_lava_dl: Mapping[str, tuple[Case, Record]], name: str) -> None:
    (program, frames), found = by_lava_dl[name]
    expected = reference_record(program, frames)
    assert any(layer.spikes.any() for layer in expected.layers)
    compare(expected, found)


@pytest.mark.parametrize("name", ["mlp", "conv", "pool", "recurrent", "driven"])
def test_networks_do_what_they_did_in_lava_dls_training(slayer: Path, name: str) -> None:
    """Biases of the normalisation, weight norm, delays and pooling, which lava-dl's loader does not have."""
    program, frames = made(slayer, name)
    for layer in reference_record(program, frames).layers:
        number = int("".join(filter(str.isdigit, layer.name)))
        trained = np.load(slayer / f"{name}-{number}.npy")
        assert trained.any() and not trained.all()
        np.testing.assert_array_equal(layer.spikes, trained.astype(bool), layer.name)


def test_what_integrators_hold_is_the_voltage_of_training(slayer: Path) -> None:
    program, frames = made(slayer, "affine")
    assert program.readout.of == "voltage"
    voltages = reference_record(program, frames).layers[-1].voltages
    np.testing.assert_array_equal(voltages / program.layers[-1].scale, np.load(slayer / "affine-1.npy")[:, -1])
