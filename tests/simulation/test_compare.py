"""The first difference is named: layer, neuron, sample, step and both values."""

import numpy as np
import pytest

from neuroprune.errors import VerificationError
from neuroprune.simulation.compare import compare
from neuroprune.simulation.types import LayerRecord, Record


def blank() -> tuple[LayerRecord, LayerRecord]:
    return (
        LayerRecord("conv1", np.zeros((2, 4, 3, 5, 6), bool), np.zeros((2, 3, 5, 6), np.int32)),
        LayerRecord("out", np.zeros((2, 4, 10), bool), np.zeros((2, 10), np.int32)),
    )


def test_equal_records_pass() -> None:
    compare(Record(blank()), Record(blank()))


def test_a_spike_too_many_is_named() -> None:
    layers = blank()
    layers[0].spikes[1, 2, 0, 4, 3] = True
    layers[0].spikes[1, 3, 0, 0, 0] = True
    layers[1].spikes[0, 0, 0] = True
    with pytest.raises(
        VerificationError,
        match=r"layer 'conv1', neuron \(0, 4, 3\), sample 1, step 2: a spike where none was expected \(2 of 720 ",
    ):
        compare(Record(blank()), Record(layers))


def test_a_missing_spike_is_named() -> None:
    layers = blank()
    layers[1].spikes[0, 3, 7] = True
    with pytest.raises(VerificationError, match=r"layer 'out', neuron 7, sample 0, step 3: no spike where one was"):
        compare(Record(layers), Record(blank()))


def test_a_voltage_is_named_with_both_values() -> None:
    layers = blank()
    layers[1].voltages[1, 9] = -64
    with pytest.raises(
        VerificationError,
        match=r"layer 'out', neuron 9, sample 1, after the last step \(step 3\): voltage -64 where 0 was expected "
        r"\(1 of 20 voltages",
    ):
        compare(Record(blank()), Record(layers))


def with_states(layer: LayerRecord) -> LayerRecord:
    states = np.zeros(layer.spikes.shape, np.int32)
    return LayerRecord(layer.name, layer.spikes, layer.voltages, states, states.copy())


@pytest.mark.parametrize("what", ["u", "v"])
def test_a_state_in_between_is_named_with_its_step_and_both_values(what: str) -> None:
    expected, found = (Record(tuple(with_states(layer) for layer in blank())) for _ in "ab")
    getattr(expected.layers[0], what)[0, 1, 2, 4, 5] = 2**23
    getattr(found.layers[0], what)[0, 1, 2, 4, 5] = -7
    with pytest.raises(
        VerificationError,
        match=rf"layer 'conv1', neuron \(2, 4, 5\), sample 0, step 1: {what} is -7 where 8388608 was expected "
        rf"\(1 of 720 values of {what} of this layer differ\): the integer program does not run as verified",
    ):
        compare(expected, found)


def test_states_are_compared_only_where_both_records_have_them() -> None:
    compare(Record(blank()), Record(tuple(with_states(layer) for layer in blank())))
    compare(Record(tuple(with_states(layer) for layer in blank())), Record(blank()))
