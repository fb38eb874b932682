"""Fine-tuning in the chip's integers: what is trained is what the engine runs, and it answers better."""

import numpy as np
import pytest
import torch
from float_programs import frames_for, residual_program

from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError
from neuroprune.graph.float_program import FloatProgram
from neuroprune.graph.nodes import Readout
from neuroprune.graph.readout import class_scores
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntProgram
from neuroprune.program.verify import verify_program
from neuroprune.quantization import qat
from neuroprune.quantization.bits import Bits
from neuroprune.quantization.qat import Finetuned, QatSettings, finetune_quantised, round_like
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.floats import run_float

CHIP = load_chip("loihi-sim")
LIF = CubaLif(0.5, 1.0)
PROGRAMS = {
    "lif": residual_program(LIF),
    "soft reset, two votes": residual_program(CubaLif(0.0, 1.0, reset="subtract"), readout=Readout(votes=2)),
    "current": residual_program(CubaLif(0.3, 1.0, current_decay=0.4)),
    "sequence": residual_program(LIF, sequence=True),
    "voltage": residual_program(LIF, CubaLif(0.0, np.inf), Readout("voltage", "sum")),
}


def scores_of(program: IntProgram, frames: np.ndarray) -> np.ndarray:
    outputs = simulate(program, quantize_input(program.input, frames)[0]).outputs
    return class_scores(program.readout, outputs)


def assert_same_integers(one: IntProgram, other: IntProgram) -> None:
    for left, right in zip(one.layers, other.layers, strict=True):
        np.testing.assert_array_equal(left.bias.mantissa, right.bias.mantissa)
        for first, second in zip(left.connections, right.connections, strict=True):
            np.testing.assert_array_equal(first.synapse.weight, second.synapse.weight)


def finetuned(
    floats: FloatProgram, bits: int, epochs: int = 2, lr: float = 0.02, seed: int = 0
) -> tuple[IntProgram, Finetuned]:
    """Trained to answer as the float network does, the teacher of its own labels."""
    frames = frames_for(floats, 96)
    labels = class_scores(floats.readout, run_float(floats, frames).outputs).argmax(1)
    program = quantize(floats, frames[:32], CHIP, Bits(bits))
    settings = QatSettings(epochs, 5.0, batch=16, lr=lr, seed=seed)
    return program, finetune_quantised(floats, program, lambda chosen: frames[chosen], labels, CHIP, settings)


@pytest.mark.parametrize("floats", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_the_forward_pass_computes_the_scores_of_the_engine(floats: FloatProgram) -> None:
    program, result = finetuned(floats, 4, epochs=1)
    frames = frames_for(floats, 24)
    spikes, _ = quantize_input(program.input, frames)
    layers = [
        qat._TrainedLayer(layer, exact, program.input.unit, CHIP.rules)
        for layer, exact in zip(result.program.layers, result.floats.layers, strict=True)
    ]
    with torch.no_grad():
        scores = qat._scores(result.program, layers, spikes)
    scale = result.program.layers[-1].scale if floats.readout.of == "voltage" else 1.0
    scale *= floats.steps if floats.readout.over_time == "mean" else 1
    np.testing.assert_allclose(scores.numpy() * scale, scores_of(result.program, frames), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("floats", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_the_trained_graph_rounds_to_the_trained_program(floats: FloatProgram) -> None:
    program, result = finetuned(floats, 4, epochs=1)
    verify_program(result.program, CHIP.rules)
    assert_same_integers(round_like(result.floats, program, CHIP.rules), result.program)
    assert_same_integers(round_like(floats, program, CHIP.rules), program)
    assert [layer.scale for layer in result.program.layers] == [layer.scale for layer in program.layers]
    with pytest.raises(AssertionError):
        assert_same_integers(result.program, program)


def test_answers_that_rounding_has_changed_are_won_back() -> None:
    floats = PROGRAMS["lif"]
    frames = frames_for(floats, 96)
    labels = run_float(floats, frames).outputs.argmax(1)
    program, result = finetuned(floats, 2, epochs=8)
    before, after = (np.mean(scores_of(each, frames).argmax(1) == labels) for each in (program, result.program))
    assert after > before + 0.1


def test_the_same_seed_gives_the_same_integers_and_another_one_others() -> None:
    floats = PROGRAMS["lif"]
    one, same, other = (finetuned(floats, 3, epochs=1, seed=seed)[1].program for seed in (0, 0, 1))
    assert_same_integers(one, same)
    with pytest.raises(AssertionError):
        assert_same_integers(one, other)


def test_training_that_diverges_is_reported() -> None:
    with pytest.raises(InputError, match=r"fine-tuning diverged in epoch 1: layer a holds weights that are not finite"):
        finetuned(PROGRAMS["lif"], 4, lr=np.inf)
