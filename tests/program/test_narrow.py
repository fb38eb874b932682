"""Programs without some channels compute what is left of them, and channels that can only go together are found."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import conv, dense, joined, later, program_of, random_program

from neuroprune.arrays import frozen_array
from neuroprune.program.narrow import Coupled, Mask, coupled_layers, narrowed
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConnection, IntConv, IntProgram
from neuroprune.simulation.engine import simulate


def unheard(program: IntProgram, kept: Mapping[str, Mask]) -> IntProgram:
    """`program` in which no layer reads the channels that are not `kept`, weight by weight."""

    def deaf(connection: IntConnection) -> IntConnection:
        if connection.source not in kept:
            return connection
        stays, synapse = kept[connection.source], connection.synapse
        weight = synapse.weight.copy()
        if isinstance(synapse, IntConv):
            per_group = weight.shape[1]
            for output in range(len(weight)):
                group = output // (len(weight) // synapse.groups)
                for number in range(per_group):
                    weight[output, number] *= stays[group * per_group + number]
        else:
            block = weight.shape[1] // len(stays)
            for number in range(weight.shape[1]):
                weight[:, number] *= stays[number // block]
        return replace(connection, synapse=replace(synapse, weight=frozen_array(weight, np.int16)))

    layers = (replace(layer, connections=tuple(map(deaf, layer.connections))) for layer in program.layers)
    return replace(program, layers=tuple(layers))


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1))
def test_what_is_left_computes_as_if_the_channels_that_go_had_never_fired(seed: int) -> None:
    program, frames = random_program(seed)
    random = np.random.default_rng(seed)
    kept = {layer.name: random.random(layer.shape[0]) < 0.6 for layer in program.layers[:-1] if random.random() < 0.8}
    for mask in kept.values():
        mask[int(random.integers(len(mask)))] = True
    narrow, whole = simulate(narrowed(program, kept), frames), simulate(unheard(program, kept), frames)
    assert np.array_equal(narrow.outputs, whole.outputs)
    for left, all_of, layer in zip(narrow.layers, whole.layers, program.layers, strict=True):
        mask = kept.get(layer.name, np.ones(layer.shape[0], dtype=np.bool_))
        assert np.array_equal(left.spikes, all_of.spikes[mask])


def test_layers_that_lose_nothing_stay_the_same_objects() -> None:
    program = chain()
    narrow = narrowed(program, {"a": np.array([True, False, True, True])})
    assert narrow.layers[2] is program.layers[2]
    assert [layer.shape for layer in narrow.layers] == [(3, 4, 4), (6, 4, 4), (5,)]
    assert narrow.layers[1].connections[0].synapse.weight.shape == (6, 3, 3, 3)


def ones(*shape: int) -> np.ndarray:
    return np.full(shape, 2)


def chain() -> IntProgram:
    return program_of(
        conv("a", "input", (1, 4, 4), ones(4, 1, 3, 3), padding=(1, 1)),
        conv("b", "a", (4, 4, 4), ones(6, 4, 3, 3), padding=(1, 1)),
        dense("out", "b", (6, 4, 4), ones(5, 96)),
    )


def shortcut(name: str, source: str) -> IntProgram:
    return conv(name, source, (4, 4, 4), ones(4, 1, 1, 1), groups=4)


def test_in_a_chain_each_hidden_layer_stands_alone() -> None:
    assert coupled_layers(chain()) == (Coupled(("a",), 4), Coupled(("b",), 6))


def test_layers_of_a_residual_stream_lose_the_same_channels_with_their_pools_and_relays() -> None:
    a = conv("a", "input", (1, 4, 4), ones(4, 1, 3, 3), padding=(1, 1))
    inner = conv("inner", "a", (4, 4, 4), ones(9, 4, 1, 1))
    b = joined(conv("b", "inner", (9, 4, 4), ones(4, 9, 1, 1)), shortcut("b", "a"))
    pool = conv("pool", "b", (4, 4, 4), ones(4, 1, 2, 2), stride=(2, 2), groups=4)
    program = balance(program_of(a, inner, b, pool, dense("out", "pool", (4, 2, 2), ones(5, 16))), delay_max=0)
    assert coupled_layers(program) == (Coupled(("a", "a relay 1", "b", "pool"), 4), Coupled(("inner",), 9))


@pytest.mark.parametrize(("same", "found"), [(True, [("a", "b")]), (False, [("a",), ("b",)])])
def test_layers_that_are_read_through_equal_weights_are_a_sum(same: bool, found: list[tuple[str, ...]]) -> None:
    a, b = (conv(name, "input", (1, 4, 4), ones(4, 1, 3, 3)) for name in "ab")
    weight = np.arange(40).reshape(5, 8) * 2 + 2
    out = joined(
        dense("out", "a", (4, 2, 2), np.tile(weight, 2)),
        dense("out", "b", (4, 2, 2), np.tile(weight, 2) + 2 * (not same)),
    )
    assert [each.layers for each in coupled_layers(program_of(a, b, out))] == found


def test_features_that_are_read_one_by_one_and_parts_of_a_larger_map_are_coupled() -> None:
    a = dense("a", "input", (3,), ones(4, 3))
    b = later(dense("b", "a", (4,), np.diag([2] * 4)), 0)
    assert coupled_layers(program_of(a, b, dense("out", "b", (4,), ones(2, 4)))) == (Coupled(("a", "b"), 4),)
    parts = [conv(f"up[{y}::2,0::2]", "input", (1, 4, 4), ones(4, 1, 3, 3)) for y in (0, 1)]
    ends = joined(*(dense("out", part.name, (4, 2, 2), ones(2, 16) * (n + 1)) for n, part in enumerate(parts)))
    assert coupled_layers(program_of(*parts, ends)) == (Coupled(("up[0::2,0::2]", "up[1::2,0::2]"), 4),)


def test_what_is_grouped_or_selected_or_comes_from_the_input_stays_whole() -> None:
    grouped = program_of(
        conv("a", "input", (1, 4, 4), ones(4, 1, 3, 3)),
        conv("b", "a", (4, 2, 2), ones(4, 2, 1, 1), groups=2),
        dense("out", "b", (4, 2, 2), ones(5, 16)),
    )
    assert coupled_layers(grouped) == ()
    selected = np.zeros((6, 4, 1, 1))
    selected[[0, 3], [1, 2]] = 2
    b = conv("b", "a", (4, 2, 2), selected)
    picked = program_of(grouped.layers[0], b, dense("out", "b", (6, 2, 2), ones(5, 24)))
    assert coupled_layers(picked) == ()
    pooled = program_of(
        conv("pool", "input", (3, 4, 4), ones(3, 1, 2, 2), groups=3), dense("out", "pool", (3, 3, 3), ones(5, 27))
    )
    assert coupled_layers(pooled) == ()
