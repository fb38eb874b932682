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


NETWORK = {
    "title": "three layers",
    "data": "digits",
    "steps": 2,
    "neuron": {"kind": "if"},
    "layers": [{"conv": 4}, {"pool": "average"}, {"conv": 4}],
}
ON_THE_COMMAND_LINE = {
    "loihi-sim": {
        "input_axons_per_core": (
            3,
            "axons",
            "needs .* input axons, a core of small has 3: prune the layer or pool bef",
        ),
        "synapse_words_per_core": (
            1,
            "words",
            "bits of synapse memory, a core of small has 64: prune the layer, or ch",
        ),
        "output_axons_per_core": (1, "axons", "output axons, a core of small has 1: prune the layers that read it, so"),
    },
    "speck": {
        "kernel_words_per_core": (
            [9] * 9,
            "words",
            "needs .* words of kernel memory, a core of small has 9: prune its",
        ),
        "neuron_words_per_core": ([9] * 9, "words", "needs 256 words of neuron memory, a core of small has 9: prune"),
        "bias_words_per_core": (1, "words", "needs .* words of bias memory, a core of small has 1: prune its channels"),
    },
}


@pytest.mark.parametrize(("target", "key"), [(name, key) for name, keys in ON_THE_COMMAND_LINE.items() for key in keys])
def test_the_command_line_says_it_and_exits_with_3(
    target: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value, unit, sentence = ON_THE_COMMAND_LINE[target][key]
    fact = {"value": value, "unit": unit, "source": "a test", "grade": "assumed"}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({"extends": target, key: fact}))
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(NETWORK))
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(tmp_path / "net.yaml"), "--target", str(tmp_path / "small.yaml")])
    said = capsys.readouterr()
    assert stopped.value.code == 3
    assert re.search(sentence, " ".join((said.err + said.out).split()))
