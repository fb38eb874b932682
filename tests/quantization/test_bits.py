"""`--bits`: what users write, and what the error says when it does not fit."""

from dataclasses import replace

import pytest
from float_programs import residual_program

from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError
from neuroprune.graph.float_program import FloatProgram
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.quantization.bits import Bits, bits_of_layers, parse_bits

CHIP = load_chip("loihi-sim")
PROGRAM = residual_program(CubaLif(0.5, 1.0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv1=8,default=4", Bits(4, {"conv1": 8})),
        (" 3 ", Bits(3)),
        ("a = 2 , fc=5", Bits(None, {"a": 2, "fc": 5})),
        ("body.0=x=6", Bits(None, {"body.0=x": 6})),
    ],
)
def test_layers_and_a_default_are_read(text: str, expected: Bits) -> None:
    assert parse_bits(text) == expected


@pytest.mark.parametrize("text", ["", "conv1", "conv1=", "=4", "conv1=4.5", "conv1=-4", "4,", "conv1=²"])
def test_what_is_not_a_layer_and_a_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"are not a layer and a number: write for example conv1=8,default=4"):
        parse_bits(text)


@pytest.mark.parametrize("text", ["a=4,a=4", "4,default=4"])
def test_a_layer_given_twice_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"the bits of '(a|default)' are given twice: name each layer once"):
        parse_bits(text)


def test_a_layer_answers_to_its_neurons_and_to_each_of_its_synapses() -> None:
    assert bits_of_layers(Bits(), PROGRAM, CHIP.rules) == {"a": 8, "b": 8, "out": 8}
    assert bits_of_layers(Bits(4, {"conv1": 8, "b": 3}), PROGRAM, CHIP.rules) == {"a": 8, "b": 3, "out": 4}
    assert bits_of_layers(Bits(None, {"shortcut": 5, "conv2": 5}), PROGRAM, CHIP.rules) == {"a": 8, "b": 5, "out": 8}


def renamed(names: dict[str, str]) -> FloatProgram:
    def called(part):
        return replace(part, name=names.get(part.name, part.name))

    layers = (replace(called(layer), connections=tuple(map(called, layer.connections))) for layer in PROGRAM.layers)
    return replace(PROGRAM, layers=tuple(layers))


def test_the_last_part_of_a_name_will_do_where_it_is_the_only_one() -> None:
    program = renamed({"conv1": "one.conv", "conv2": "two.conv", "b": "two.neuron", "fc": "head.fc"})
    assert bits_of_layers(Bits(None, {"fc": 4, "neuron": 3}), program, CHIP.rules) == {
        "a": 8,
        "two.neuron": 3,
        "out": 4,
    }
    with pytest.raises(InputError, match=r"^bits are given for conv, which may be one.conv or two.conv: name one of t"):
        bits_of_layers(Bits(None, {"conv": 4}), program, CHIP.rules)
    with pytest.raises(InputError, match=r"^bits are given for c, onv, but the layers are one.conv, a, two.conv, "):
        bits_of_layers(Bits(None, {"onv": 4, "c": 4}), program, CHIP.rules)


@pytest.mark.parametrize("name", ["block.conv", "conv"])
def test_a_module_stands_for_all_synapses_that_folding_made_of_it(name: str) -> None:
    program = renamed({"conv1": "block.conv@input:a", "conv2": "block.conv@a", "shortcut": "block.conv@input:b"})
    assert bits_of_layers(Bits(None, {name: 3}), program, CHIP.rules) == {"a": 3, "b": 3, "out": 8}
    assert bits_of_layers(Bits(None, {"block.conv@a": 3}), program, CHIP.rules) == {"a": 8, "b": 3, "out": 8}
    with pytest.raises(InputError, match=r"but the layers are block.conv, a, b, fc, out: name one of these"):
        bits_of_layers(Bits(None, {"cnv": 3}), program, CHIP.rules)


def test_a_layer_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        InputError, match=r"bits are given for c, d, but the layers are conv1, a, conv2, shortcut, b, fc, out: name one"
    ):
        bits_of_layers(Bits(None, {"d": 4, "c": 4}), PROGRAM, CHIP.rules)


def test_two_widths_for_the_synapses_of_the_same_neurons_are_refused() -> None:
    with pytest.raises(InputError, match=r"conv2=4 and shortcut=5 name weights of the same neurons, b: give them one"):
        bits_of_layers(Bits(None, {"conv2": 4, "shortcut": 5}), PROGRAM, CHIP.rules)


@pytest.mark.parametrize(
    ("bits", "name"),
    [(Bits(9), "default=9"), (Bits(7), "default=7"), (Bits(1), "default=1"), (Bits(4, {"a": 0}), "a=0")],
)
def test_a_width_that_the_target_does_not_have_is_refused(bits: Bits, name: str) -> None:
    said = rf"{name} is not a width that loihi-sim stores weights in: choose one of 2, 3, 4, 5, 6, 8 bits"
    with pytest.raises(InputError, match=said):
        bits_of_layers(bits, PROGRAM, CHIP.rules)
