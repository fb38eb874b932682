"""No number of a chip is decoration: any other value changes what is computed or counted, everywhere alike, or is
refused by a sentence.

A new number of a family or of `IntegerRules` is walked without a change here.
"""

import contextlib
import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from float_programs import conv, dense, frames_for, layer

from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip, units_of
from neuroprune.chips.loihi.family import Loihi
from neuroprune.errors import CapacityError, InputError
from neuroprune.fixed_point import COMPUTED_RANGES, IntegerRules
from neuroprune.graph.float_program import FloatInput, FloatProgram, verify_float_program
from neuroprune.graph.nodes import Readout
from neuroprune.mapping.map import map_program
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.program.bounds import layer_bounds
from neuroprune.program.frames import quantize_input
from neuroprune.program.timing import balance
from neuroprune.program.types import IntProgram
from neuroprune.quantization.bits import parse_bits
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record, simulate
from neuroprune.simulation.lava import record_all_with_lava
from neuroprune.simulation.reference import run_reference

UNITS = units_of(Loihi)
BEYOND = (-1, 10**10, 2**62, 1.5, True, "8", None, datetime.date(2020, 1, 1), [[]], {"a": 1})
"""Values that no number of a chip can have."""
LOIHI = load_chip("loihi-sim")
BASE = replace(LOIHI, core=replace(LOIHI.core, neurons_per_core=100))  # type: ignore[call-arg]
"""Small cores, so that the program takes several."""


@cache
def network() -> FloatProgram:
    """ "a" and "b" are convolutions in a row, and the dense "out" reads both, so that the spikes of "a" must wait.

    No decay, threshold or bias is a round number; the neurons of "b" keep what exceeds the threshold.
    """
    rng = np.random.default_rng(0)
    frames, shape = (2, 5, 5), (9, 5, 5)
    hidden = CubaLif(0.3, 0.9, current_decay=0.7)
    layers = (
        layer("a", hidden, shape, conv1=("input", frames, conv(rng, 9, 2))),
        layer("b", replace(hidden, reset="subtract"), shape, conv2=("a", shape, conv(rng, 9, 9))),
        layer("out", hidden, (6,), fc=("b", shape, dense(rng, 6, 225)), skip=("a", shape, dense(rng, 6, 225))),
    )
    found = FloatProgram(FloatInput(frames, False), layers, 3, Readout())
    verify_float_program(found)
    return found


def described(folder: Path, **values: Any) -> str:
    """A chip that extends loihi-sim by small cores and these values, as the path of its YAML."""
    facts = {
        key: {"value": value, "unit": UNITS[key], "source": "this test", "grade": "assumed"}
        for key, value in ({"neurons_per_core": 100} | values).items()
    }
    path = folder / "other.yaml"
    path.write_text(yaml.safe_dump({"extends": "loihi-sim", **facts}), encoding="utf-8")
    return str(path)


def others(key: str) -> Sequence[dict[str, Any]]:
    """Values beside that of the base, with what must agree with them."""
    value = next(getattr(part, key) for part in (BASE, BASE.core, BASE.rules) if hasattr(part, key))
    if key == "mesh":
        return [{"mesh": pair} for pair in ([8, 16], [1, 128], [128, 1], [2, 64])]
    if key == "weight_bits_offered":
        return [{key: widths} for widths in ([8], [4, 8], [2, 8], [5, 8], [4, 6], [9])]
    numbers = dict.fromkeys((0, 1, value // 4, value // 2, value - 1, value + 1, 2 * value, 8 * value))
    if key == "weight_bits":
        return [{key: bits, "weight_bits_offered": [*range(2, bits), bits]} for bits in numbers]
    if key == "cores_per_chip":
        return [{key: cores, "mesh": [cores, 1]} for cores in numbers]
    return [{key: number} for number in numbers]


@dataclass(frozen=True, eq=False)
class Run:
    """The integer program, and all that it computes, as values that can be compared."""

    program: IntProgram
    computed: object


def computed_and_counted(chip: Chip) -> object:
    """All that follows from the numbers of `chip`: what is computed, and where it runs; or the sentence why not."""
    try:
        run = compiled(chip.rules, chip.synaptic_delay_max)
        mapping = map_program(run.program, chip)
    except (CapacityError, InputError) as error:
        return str(error).replace(chip.name, "the chip")
    return run.computed, mapping.chips, [(core.chip, core.x, core.y, core.used) for core in mapping.cores]


@cache
def compiled(rules: IntegerRules, delay_max: int) -> Run:
    """The network in the integers of `rules`, of which engine, reference and bounds agree.

    The width of u and v alone is no effect, so it is not among what is computed.
    """
    floats = network()
    frames = frames_for(floats, 4)
    made = quantize(floats, frames, replace(BASE, rules=rules), parse_bits("out=4"))
    balanced = balance(made, delay_max)
    spikes, _ = quantize_input(made.input, frames)
    found, (expected, trace) = record(balanced, spikes[:1], every_step=True), run_reference(balanced, spikes[:1])
    compare(expected, found)
    bounds, integers = layer_bounds(balanced), []
    for each, states, activity in zip(balanced.layers, found.layers, trace.layers, strict=True):
        bound, largest = bounds[each.name], 2 ** (rules.state_bits - 1) - 1
        assert states.u is not None and states.v is not None and abs(states.v).max() <= largest
        assert bound.limit == largest and (rules.state_bits == 24 or abs(states.u).max() <= largest + 1)
        assert not (bound.safe and activity.current_wraps + activity.voltage_saturations)
        integers.append([connection.synapse.weight.tolist() for connection in each.connections])
        neuron = vars(each.neuron) | {"state_bits": None}
        integers.append([each.bias.mantissa.tolist(), each.bias.exponent, neuron, bound.safe])
    outputs = simulate(balanced, spikes).outputs.tolist()
    return Run(balanced, (vars(made.input), integers, outputs))


@cache
def accepted(key: str) -> list[Chip]:
    """The chips with other values that are not refused; those that are, are by a sentence that names the file."""
    chips = []
    with TemporaryDirectory() as folder:
        for values in others(key):
            path = described(Path(folder), **values)
            try:
                chips.append(load_chip(path))
            except InputError as error:
                refused = str(error)
                if not refused.startswith(f"{path}: "):
                    raise
    return chips


@pytest.mark.parametrize("key", UNITS)
def test_another_value_changes_what_is_computed_or_counted_or_is_refused(key: str) -> None:
    usual = computed_and_counted(BASE)
    assert any(computed_and_counted(chip) != usual for chip in accepted(key)), f"no other {key} has an effect"


def test_lava_agrees_on_every_chip_that_is_accepted() -> None:
    rules = dict.fromkeys(chip.rules for key in UNITS for chip in accepted(key))
    assert len(rules) > 10
    frames = frames_for(network(), 1)
    programs = []
    for each in rules:
        with contextlib.suppress(InputError):  # weights of 4 bits are not offered
            programs.append(compiled(each, BASE.synaptic_delay_max).program)
    cases = [(each, quantize_input(each.input, frames)[0]) for each in programs]
    assert {each.layers[0].neuron.state_bits for each in programs} == {23, 24}
    for case, found in zip(cases, record_all_with_lava(cases, every_step=True, runtime=False), strict=True):
        compare(record(*case, every_step=True), found)


@pytest.mark.parametrize("key", UNITS)
def test_what_is_no_number_of_a_chip_is_refused_by_its_name(key: str, tmp_path: Path) -> None:
    for value in BEYOND:
        path = described(tmp_path, **{key: value})
        with pytest.raises(
            InputError, match=rf"^{path}: {key} is .{{1,160}}, but (must be|a synapse stores) .+"
        ) as refused:
            load_chip(path)
        assert len(str(refused.value)) < len(path) + 400


def test_a_number_of_more_digits_than_python_writes(tmp_path: Path) -> None:
    path = Path(described(tmp_path, state_bits=1))
    path.write_text(path.read_text().replace("value: 1\n", f"value: 0x{'f' * 5000}\n"))
    with pytest.raises(
        InputError, match=r"is not valid YAML \(it holds a whole number of 20000 bits, and at most 64 are"
    ):
        load_chip(str(path))


@pytest.mark.parametrize("key", COMPUTED_RANGES)
def test_rules_made_in_python_are_held_to_the_same(key: str) -> None:
    least, most, reason = COMPUTED_RANGES[key]
    for value in (least - 1, most + 1, float(most)):
        with pytest.raises(InputError, match=rf"^{key} is {value}, but must be a whole number from {least} to {most}:"):
            replace(BASE.rules, **{key: value})
    assert reason


def test_chips_and_cores_made_in_python_are_held_to_the_same() -> None:
    with pytest.raises(InputError, match=r"^neurons_per_core is 0, but must be a whole number from 1 to 2147483647$"):
        replace(BASE.core, neurons_per_core=0)  # type: ignore[call-arg]
    with pytest.raises(
        InputError, match=r"^index_bits_min is 13, but index_bits_max is 12: lower the one or raise the"
    ):
        replace(BASE.core, index_bits_min=13)  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"^mesh is \(16,\), but must be two whole numbers above 0, as in \[16, 8\]$"):
        replace(BASE, mesh=(16,))
    with pytest.raises(InputError, match=r"^mesh has 4 x 8 = 32 cores, but cores_per_chip is 128: make the two agree$"):
        replace(BASE, mesh=(4, 8))
    with pytest.raises(
        InputError, match=r"^synaptic_delay_max is -1, but must be a whole number from 0 to 2147483647$"
    ):
        replace(BASE, synaptic_delay_max=-1)
    expected = (
        "^synaptic_delay_max is 64, but a synapse stores delays up to 63: lower it, or raise the bits of a stored"
    )
    with pytest.raises(InputError, match=expected):
        replace(BASE, synaptic_delay_max=64)


def test_a_bias_is_within_the_potential_of_lava() -> None:
    assert replace(BASE.rules, bias_bits=17).bias_bits == 17
    expected = (
        "^bias_bits is 18 and bias_exponent_max 7, which makes biases of 25 bits, but Lava's potential has 24: lower "
        "one of the two$"
    )
    with pytest.raises(InputError, match=expected):
        replace(BASE.rules, bias_bits=18)


def test_the_page_of_chips_says_what_can_be_computed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "chips.md").read_text(encoding="utf-8")
    for key, (least, most, _) in COMPUTED_RANGES.items():
        assert f"| `{key}` | {least} to {most} |" in page
