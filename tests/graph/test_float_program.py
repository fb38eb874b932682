"""The rules of a float program, each broken once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from float_programs import residual_program

from neuroprune.errors import InputError
from neuroprune.finite import finite_array
from neuroprune.graph.float_program import FloatDense, FloatLayer, FloatProgram, verify_float_program
from neuroprune.neurons.cuba_lif import CubaLif

Break = Callable[[FloatProgram], FloatProgram]


@pytest.fixture
def program() -> FloatProgram:
    """conv1 -> "a", conv2 and shortcut -> "b", fc -> "out"."""
    return residual_program(CubaLif(0.5, 1.0))


def with_layer(program: FloatProgram, which: str, /, **changes: object) -> FloatProgram:
    return replace(
        program, layers=tuple(replace(each, **changes) if each.name == which else each for each in program.layers)
    )


def with_connection(program: FloatProgram, which: str, /, **changes: object) -> FloatProgram:
    def changed(layer: FloatLayer) -> FloatLayer:
        connections = [replace(each, **changes) if each.name == which else each for each in layer.connections]
        return replace(layer, connections=tuple(connections))

    return replace(program, layers=tuple(map(changed, program.layers)))


BROKEN: dict[str, Break] = {
    "no steps": lambda p: replace(p, steps=0),
    "no layers": lambda p: replace(p, layers=()),
    "a gain that was not folded": lambda p: with_layer(p, "b", neuron=CubaLif(0.5, 1.0, gain=0.5)),
    "neurons that nothing feeds": lambda p: with_layer(p, "b", connections=()),
    "biases of other channels": lambda p: with_layer(p, "b", bias=p["b"].bias[:2]),
    "a bias a neuron": lambda p: with_layer(p, "b", bias=np.zeros(p["b"].shape)),
    "another source's shape": lambda p: with_connection(p, "conv2", in_shape=(2, 6, 6)),
    "another input's shape": lambda p: with_connection(p, "conv1", in_shape=(1, 6, 6)),
    "weights for other channels": lambda p: with_connection(p, "fc", synapse=FloatDense(np.zeros((5, 144)))),
    "two connections of a name": lambda p: with_connection(p, "shortcut", name="conv2"),
    "a connection with a layer's name": lambda p: with_connection(p, "fc", name="a"),
    "two layers of a name": lambda p: with_layer(p, "out", name="a"),
    "a layer with a connection's name": lambda p: with_layer(p, "out", name="conv1"),
    "a layer called as the input": lambda p: with_layer(p, "out", name="input"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_is_held(program: FloatProgram, rule: str) -> None:
    verify_float_program(program)
    with pytest.raises(AssertionError):
        verify_float_program(BROKEN[rule](program))


@pytest.mark.parametrize("source", ["nobody", "out"])
def test_a_layer_reads_the_input_or_an_earlier_layer(program: FloatProgram, source: str) -> None:
    with pytest.raises(KeyError):
        verify_float_program(with_connection(program, "conv2", source=source))


def test_layers_are_found_by_their_name(program: FloatProgram) -> None:
    assert program["b"] is program.layers[1]
    with pytest.raises(KeyError):
        program["conv1"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_counted_and_named(value: float) -> None:
    values = torch.ones(3, 4, requires_grad=True)
    with torch.no_grad():
        values[0, 1] = values[2, 3] = value
    with pytest.raises(InputError) as caught:
        finite_array("stem.conv", "weight", values)
    assert str(caught.value) == (
        "layer stem.conv: 2 of its 12 weight values are not finite numbers; train it again, with a lower learning rate"
    )


def test_finite_numbers_are_copied_and_cannot_be_changed() -> None:
    values = torch.tensor([1.5, -2.0], dtype=torch.float32, requires_grad=True)
    found = finite_array("a", "bias", values)
    assert found.dtype == np.float64 and found.tolist() == [1.5, -2.0] and not found.flags.writeable
    with torch.no_grad():
        values.zero_()
    assert found.tolist() == [1.5, -2.0]
