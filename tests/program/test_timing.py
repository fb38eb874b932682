"""Paths are balanced: what meets has waited as long as it must, and nothing that is computed changes."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st
from synapse_oracle import LOIHI, branched_programs, layer_of

from neuroprune.program.timing import balance, depths, synaptic_delay, wait
from neuroprune.program.types import IntConnection, IntConv, IntDense, IntInput, IntLayer, IntProgram
from neuroprune.program.verify import verify_program
from neuroprune.simulation.reference import NeuronState, run_reference, step, synaptic_current


def frames_of(program: IntProgram) -> npt.NDArray[np.int8]:
    return np.random.default_rng(0).integers(-128, 128, (2, *program.input.shape)).astype(np.int8)


def run_on_chip(program: IntProgram, frame: npt.NDArray[np.int8]) -> dict[str, npt.NDArray[np.int64]]:
    """Spikes [steps, *shape] of each layer when all run at once, chip step by chip step, each in its own window.

    Every spike takes one step over a synapse and what the synapse delays it; the host injects the frame when due.
    """
    depth = depths(program)
    states = {layer.name: [NeuronState(0, 0)] * int(np.prod(layer.shape)) for layer in program.layers}
    sent: dict[str, dict[int, npt.NDArray[np.int64]]] = {layer.name: {} for layer in program.layers}
    for now in range(max(depth.values()) + program.steps):
        for layer in program.layers:
            if not depth[layer.name] <= now < depth[layer.name] + program.steps:
                continue
            current = np.zeros(int(np.prod(layer.shape)), np.int64)
            for each in layer.connections:
                if each.source == "input":
                    due = now - depth[layer.name] - each.delay
                    arriving = frame.astype(np.int64) if due >= 0 else None
                else:
                    arriving = sent[each.source].get(now - 1 - synaptic_delay(each, layer, depth))
                if arriving is not None:
                    current += synaptic_current(each.synapse, arriving)[0].reshape(-1)
            biases = np.repeat(layer.bias.mantissa, np.prod(layer.shape[1:], dtype=int)).tolist()
            states[layer.name] = [
                step(state, received, layer.neuron, bias, layer.bias.exponent)
                for state, received, bias in zip(states[layer.name], current.tolist(), biases, strict=True)
            ]
            fired = np.array([state.spike for state in states[layer.name]], np.int64)
            sent[layer.name][now] = fired.reshape(layer.shape)
    return {name: np.stack([spikes[now] for now in sorted(spikes)]) for name, spikes in sent.items()}


@settings(max_examples=80, deadline=None)
@given(branched_programs(delays=True), st.integers(0, 3))
def test_balanced_programs_wait_no_longer_than_synapses_can_and_compute_the_same(
    program: IntProgram, delay_max: int
) -> None:
    balanced = balance(program, delay_max)
    verify_program(balanced, LOIHI.rules)
    depth, before = depths(balanced), depths(program)
    assert {name: depth[name] for name in before} == before
    for layer in balanced.layers:
        for each in layer.connections:
            assert wait(each, layer, depth) >= 0
            assert synaptic_delay(each, layer, depth) <= delay_max

    assert [layer.name for layer in balanced.layers if layer.role != "relay"] == [
        layer.name for layer in program.layers
    ]
    assert balanced.layers[-1].name == program.layers[-1].name
    frames = frames_of(program)
    expected, found = (
        {layer.name: layer for layer in run_reference(program, frames)[0].layers} for program in (program, balanced)
    )
    for name, record in expected.items():
        for field in ("spikes", "u", "v"):
            np.testing.assert_array_equal(getattr(found[name], field), getattr(record, field))
    for layer in (each for each in balanced.layers if each.role == "relay"):
        np.testing.assert_array_equal(found[layer.name].spikes, found[layer.connections[0].source].spikes)


@settings(max_examples=60, deadline=None)
@given(branched_programs(delays=True), st.integers(0, 3))
def test_a_balanced_program_computes_the_same_as_a_pipeline(program: IntProgram, delay_max: int) -> None:
    """Layers that run all at once, each behind those it reads, give what the program gives layer by layer."""
    balanced = balance(program, delay_max)
    frames = frames_of(program)[:1]
    pipelined = run_on_chip(balanced, frames[0])
    for record in run_reference(program, frames)[0].layers:
        np.testing.assert_array_equal(pipelined[record.name], record.spikes[0])


def skipping(shape: tuple[int, ...], delay: int = 0) -> IntProgram:
    """Four layers a, b, c, d in a chain; c also reads a, and d reads a, b and the input."""

    def to(name: str, *sources: str) -> IntLayer:
        synapse = (
            IntConv(np.full((shape[0], shape[0], 1, 1), 2, np.int16), (1, 1), (0, 0), (1, 1), 1)
            if len(shape) == 3
            else IntDense(np.full((shape[0], shape[0]), 2, np.int16))
        )
        connections = tuple(IntConnection(source, synapse, shape, delay) for source in sources)
        return replace(layer_of(synapse, shape, shape, name), connections=connections)

    layers = to("a", "input"), to("b", "a"), to("c", "a", "b"), to("d", "a", "b", "c", "input")
    return IntProgram(IntInput(shape, 1.0, 8), layers, 3)


@pytest.mark.parametrize("shape", [(2, 3, 4), (5,)])
@pytest.mark.parametrize(
    ("delay_max", "names", "read_by_c", "read_by_d"),
    [
        (0, ["a", "a relay 1", "a relay 2", "b", "b relay 1", "c", "d"], "a relay 1", ("a relay 2", "b relay 1")),
        (1, ["a", "a relay 1", "b", "c", "d"], "a", ("a relay 1", "b")),
        (2, ["a", "b", "c", "d"], "a", ("a", "b")),
    ],
)
def test_one_chain_of_relays_serves_all_readers_of_a_source(
    shape: tuple[int, ...], delay_max: int, names: list[str], read_by_c: str, read_by_d: tuple[str, str]
) -> None:
    balanced = balance(skipping(shape), delay_max)
    assert [layer.name for layer in balanced.layers] == names
    layers = {layer.name: layer for layer in balanced.layers}
    assert [each.source for each in layers["c"].connections] == [read_by_c, "b"]
    assert [each.source for each in layers["d"].connections] == [*read_by_d, "c", "input"]


def test_relays_are_neurons_without_memory_in_the_narrowest_weights() -> None:
    relay = balance(skipping((2, 3, 4)), 0).layers[1]
    assert relay.shape == (2, 3, 4)
    assert relay.weight_bits == 2
    assert relay.neuron.decay_u == 4095
    assert not relay.bias.mantissa.any()


def test_the_input_is_injected_when_due_and_never_relayed() -> None:
    program = skipping((2, 3, 4))
    last, depth = program.layers[-1], depths(program)
    from_input = last.connections[-1]
    assert wait(from_input, last, depth) == 3
    assert synaptic_delay(from_input, last, depth) == 0


def test_a_chain_needs_no_relays() -> None:
    synapse = IntDense(np.full((3, 3), 2, np.int16))
    chain = tuple(layer_of(synapse, (3,), (3,), f"{i}", f"{i - 1}" if i else "input") for i in range(3))
    program = IntProgram(IntInput((3,), 1.0, 8), chain, 3)
    assert [layer.name for layer in balance(program, 0).layers] == ["0", "1", "2"]


def test_spikes_for_a_later_step_take_relays_where_synapses_cannot_delay() -> None:
    """Each step of delay is a relay, less the step by which the reading layer computes earlier."""
    program = skipping((2, 3, 4), delay=1)
    assert depths(program) == {"input": 0, "a": 1, "b": 1, "c": 1, "d": 1}
    counts = [sum(layer.role == "relay" for layer in balance(program, delay_max).layers) for delay_max in (0, 1)]
    assert counts == [0, 0]
    late = skipping((2, 3, 4), delay=2)
    assert depths(late) == {"input": 0, "a": 1, "b": 1, "c": 1, "d": 1}
    counts = [sum(layer.role == "relay" for layer in balance(late, delay_max).layers) for delay_max in (0, 1)]
    assert counts == [3, 0]
