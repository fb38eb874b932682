"""Every resource of both families exceeded on purpose: one sentence with object, actual, limit, remedy; exit 3."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from synapse_oracle import LOIHI, chain, layer_of, resized

from neuroprune.chips.catalog import FAMILIES
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import list_chips, load_chip
from neuroprune.cli.main import main
from neuroprune.errors import CapacityError
from neuroprune.mapping.map import map_program
from neuroprune.program.types import IntBias, IntConv, IntDense, IntLayer, IntProgram

SPECK = load_chip("speck")


def dense(outputs: int, inputs: int, name: str = "fc", source: str = "input") -> IntLayer:
    return layer_of(IntDense(np.full((outputs, inputs), 2, np.int16)), (inputs,), (outputs,), name, source)


def conv(channels: int, inputs: int, size: int, kernel: int = 1) -> IntLayer:
    weight = (np.arange(channels * inputs * kernel**2) % 99 * 2).reshape(channels, inputs, kernel, kernel)
    synapse = IntConv(weight.astype(np.int16), (1, 1), (0, 0), (1, 1), 1)
    shape = (channels, size - kernel + 1, size - kernel + 1)
    return layer_of(synapse, (inputs, size, size), shape, "conv")


def soft(layer: IntLayer) -> IntLayer:
    return replace(layer, neuron=replace(layer.neuron, reset="subtract"))


def skipping() -> IntProgram:
    first, second, last = (dense(4, 4, name, source) for name, source in (("a", "input"), ("b", "a"), ("c", "b")))
    return chain(
        first, second, replace(last, connections=(*last.connections, replace(last.connections[0], source="a")))
    )


def fan_out(readers: int) -> IntProgram:
    names = [f"reader{number}" for number in range(readers)]
    last = dense(1, 1, "last", names[0])
    joined = tuple(replace(last.connections[0], source=name) for name in names)
    return chain(dense(1, 1, "a"), *(dense(1, 1, name, "a") for name in names), replace(last, connections=joined))


@dataclass(frozen=True)
class Broken:
    """A chip and a program that asks a core for `needs` of which it has `limit`."""

    chip: Chip
    program: Callable[[], IntProgram]
    part: str
    needs: str
    limit: int


TINY = replace(LOIHI, name="tiny")
BROKEN = {
    ("loihi", "neurons"): Broken(
        resized(replace(load_chip("loihi1"), name="tiny"), neurons_per_core=1),
        lambda: chain(soft(dense(1, 1))),
        "layer fc: one neuron",
        "2 neurons",
        1,
    ),
    ("loihi", "input axons"): Broken(
        TINY, lambda: chain(dense(3, 5000)), "layer fc: one neuron", "5000 input axons", 4096
    ),
    ("loihi", "output axons"): Broken(
        resized(TINY, neurons_per_core=1, output_axons_per_core=5),
        lambda: chain(dense(1, 1, "fc"), dense(6, 1, "after", "fc")),
        "layer fc: one neuron",
        "6 output axons",
        5,
    ),
    ("loihi", "synapse memory"): Broken(
        resized(TINY, synapse_words_per_core=4),
        lambda: chain(dense(3, 5)),
        "layer fc: one neuron",
        "320 bits of synapse memory",
        256,
    ),
    ("loihi", "synapse formats"): Broken(
        resized(TINY, synapse_formats_per_core=1), skipping, "layer c: one neuron", "2 synapse formats", 1
    ),
    ("dynapcnn", "kernel memory"): Broken(
        SPECK, lambda: chain(conv(128, 600, 1)), "layer conv", "76800 words of kernel memory", 65536
    ),
    ("dynapcnn", "neuron memory"): Broken(
        SPECK, lambda: chain(conv(17, 1, 64)), "layer conv", "69632 words of neuron memory", 65536
    ),
    ("dynapcnn", "bias memory"): Broken(
        replace(SPECK, core=replace(SPECK.core, bias_words_per_core=3)),  # type: ignore[call-arg]
        lambda: chain(replace(dense(4, 1), bias=IntBias(np.ones(4, np.int32), 6))),
        "layer fc",
        "4 words of bias memory",
        3,
    ),
    ("dynapcnn", "destinations"): Broken(SPECK, lambda: fan_out(3), "layer a", "3 destinations", 2),
}


def test_every_resource_of_every_family_has_a_case() -> None:
    chips = {chip.core.name: chip for chip in map(load_chip, list_chips())}
    assert set(chips) == {family.name for family in FAMILIES}
    assert set(BROKEN) == {(name, each.name) for name, chip in chips.items() for each in chip.core.resources}


@pytest.mark.parametrize(("family", "name"), BROKEN)
def test_a_resource_that_is_exceeded_is_named_with_actual_limit_and_remedy(family: str, name: str) -> None:
    broken = BROKEN[family, name]
    (resource,) = [each for each in broken.chip.core.resources if each.name == name]
    with pytest.raises(CapacityError) as refused:
        map_program(broken.program(), broken.chip)
    assert refused.value.exit_code == 3
    assert str(refused.value) == (
        f"{broken.part} needs {broken.needs}, a core of {broken.chip.name} has {broken.limit}: {resource.remedy}, or "
        "choose a target with larger cores"
    )


NETWORK = """
from spikingjelly.activation_based import neuron
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        soft = {"v_reset": None}
        self.a = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), neuron.IFNode(**soft))
        self.b = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), neuron.IFNode(**soft))
        self.c = nn.Sequential(nn.Flatten(), nn.Linear(256, 10), neuron.IFNode(**soft))

    def forward(self, frames):
        a = self.a(frames)
        return self.c(a + self.b(a))
"""
ON_THE_COMMAND_LINE = {
    ("loihi", "neurons"): ("loihi1", "neurons_per_core", 1, 1),
    ("loihi", "input axons"): ("loihi-sim", "input_axons_per_core", 3, 3),
    ("loihi", "output axons"): ("loihi-sim", "output_axons_per_core", 1, 1),
    ("loihi", "synapse memory"): ("loihi-sim", "synapse_words_per_core", 1, 64),
    ("loihi", "synapse formats"): ("loihi1", "synapse_formats_per_core", 1, 1),
    ("dynapcnn", "kernel memory"): ("speck", "kernel_words_per_core", [9] * 9, 9),
    ("dynapcnn", "neuron memory"): ("speck", "neuron_words_per_core", [9] * 9, 9),
    ("dynapcnn", "bias memory"): ("speck", "bias_words_per_core", 1, 1),
    ("dynapcnn", "destinations"): ("speck", "destinations_per_core", 1, 1),
}
"""By family and resource: a target, and the number of it that is too small in a file of one's own; and the limit."""


def test_every_resource_of_every_family_has_a_case_on_the_command_line() -> None:
    assert set(ON_THE_COMMAND_LINE) == set(BROKEN)


@pytest.mark.parametrize(("family", "name"), ON_THE_COMMAND_LINE)
def test_the_command_line_says_it_and_exits_with_3(
    family: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Object, actual, limit and remedy, of a network of one's own on a chip of one's own."""
    target, key, value, limit = ON_THE_COMMAND_LINE[family, name]
    chip = load_chip(target)
    fact = {"value": value, "unit": chip.core.units()[key], "source": "a test", "grade": "assumed"}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({"extends": target, key: fact}))
    (tmp_path / "net.py").write_text(NETWORK)
    with pytest.raises(SystemExit) as stopped:
        network, small = f"{tmp_path / 'net.py'}:Net", str(tmp_path / "small.yaml")
        main(["check", network, "--shape", "1,8,8", "--steps", "2", "--target", small])
    said = " ".join(capsys.readouterr().err.split())
    assert stopped.value.code == 3, said
    (resource,) = [each for each in chip.core.resources if each.name == name]
    part = "one neuron " if family == "loihi" else ""
    amount = resource.in_words(r"(\d+)")
    needed = re.search(
        rf"Error: layer [abc][.\d]*:? {part}needs {amount}, a core of small has {limit}: "
        rf"{re.escape(resource.remedy)}, or choose a target with larger cores$",
        said,
    )
    assert needed and int(needed[1]) > limit, said
