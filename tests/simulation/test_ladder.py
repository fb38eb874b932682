"""Accuracy and changed spikes, level by level, against counts made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from float_programs import frames_for, residual_program
from torch import nn

from neuroprune.arrays import frozen_array
from neuroprune.chips.load import load_chip
from neuroprune.graph.nodes import Readout
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.program.frames import quantize_input
from neuroprune.quantization.bits import Bits
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation import ladder
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.floats import run_float
from neuroprune.simulation.ladder import accuracy_ladder, changed_spikes
from neuroprune.simulation.reference import reference_record

CHIP = load_chip("loihi-sim")
LIF = CubaLif(0.5, 1.0)


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(ladder, "COMPARED_SAMPLES", 5)
    monkeypatch.setattr(ladder, "CHUNK", 2)
    return 5


@pytest.mark.parametrize("sequence", [False, True])
def test_spikes_that_changed_are_those_that_the_reference_has_otherwise(few_samples: int, sequence: bool) -> None:
    floats = residual_program(LIF, sequence=sequence)
    frames = frames_for(floats, 8)
    program = quantize(floats, frames, CHIP, Bits(3))
    spikes, _ = quantize_input(program.input, frames)
    changed = changed_spikes(floats, program, frames)
    assert list(changed) == ["a", "b", "out"]
    exact = reference_record(program, spikes[:few_samples])
    floats = {layer.name: layer.spikes.numpy() for layer in ladder.run_layers(floats, frames[:few_samples])}
    for layer in exact.layers:
        expected = np.mean(layer.spikes.swapaxes(0, 1) != floats[layer.name])
        assert changed[layer.name].bit_accurate == pytest.approx(expected)
        assert changed[layer.name].quantised == pytest.approx(expected, abs=0.01)
        assert 0 < expected < 0.3


def test_a_mistake_in_the_chips_registers_alone_shows_on_the_chip_alone(few_samples: int) -> None:
    """v saturates where no float does: the integers part, the rounded floats do not."""
    floats = residual_program(CubaLif(0.0, 1.0))
    frames = frames_for(floats, 8)
    program = quantize(floats, frames, CHIP)
    layer = program.layers[1]
    huge = replace(
        layer,
        scale=layer.scale * 2.0**10,
        neuron=replace(layer.neuron, vth=2**17 - 1),
        bias=replace(layer.bias, mantissa=frozen_array(layer.bias.mantissa * 0, np.int32)),
    )
    changed = changed_spikes(floats, replace(program, layers=(program.layers[0], huge, program.layers[2])), frames)
    assert changed["b"].bit_accurate > changed["a"].bit_accurate


@pytest.mark.parametrize(
    ("output", "readout"),
    [(LIF, Readout(votes=2)), (CubaLif(0.0, np.inf), Readout("voltage"))],
    ids=["votes", "voltage"],
)
def test_every_level_is_measured_by_the_same_scores(output: CubaLif, readout: Readout) -> None:
    floats = residual_program(LIF, output, readout)
    frames = frames_for(floats, 24)
    program = quantize(floats, frames, CHIP, Bits(3))
    trace = simulate(program, frames)
    classes = 6 // readout.votes

    def answers(outputs: np.ndarray) -> np.ndarray:
        votes = [outputs[:, [c * readout.votes + vote for vote in range(readout.votes)]].sum(1) for c in range(classes)]
        return np.stack(votes, 1).argmax(1)

    labels = answers(run_float(floats, frames).outputs)
    labels[:6] = (labels[:6] + 1) % classes
    constant = nn.Sequential(nn.Flatten(), nn.Linear(72, classes)).requires_grad_(False)
    nn.init.zeros_(constant[1].weight)
    constant[1].bias.copy_(constant[1].bias.new_tensor([1.0] + [0.0] * (classes - 1)))
    result = accuracy_ladder(constant, floats, program, frames, trace, labels)
    assert result.float == np.mean(labels == 0)
    assert result.folded == 0.75
    assert result.bit_accurate == np.mean(answers(trace.outputs) == labels)
    assert result.quantised == pytest.approx(result.bit_accurate, abs=0.1)
    by_module, on_chip = labels == 0, answers(trace.outputs) == labels
    assert (result.gained, result.lost) == (np.sum(on_chip & ~by_module), np.sum(by_module & ~on_chip))
    assert result.most_frequent == np.unique(labels, return_counts=True)[1].max() / 24
