"""Fine-tuning in the chip's integers: what is trained is what the engine runs, and it answers better."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from float_programs import frames_for, layer, recurrent_program, residual_program

from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError
from neuroprune.graph.float_program import FloatConv, FloatDense, FloatInput, FloatProgram, verify_float_program
from neuroprune.graph.nodes import Readout
from neuroprune.graph.readout import class_scores
from neuroprune.mapping.map import map_program
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.program.frames import quantize_input
from neuroprune.program.timing import balance
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
    "recurrent": recurrent_program(LIF),
    "recurrent current": recurrent_program(CubaLif(0.3, 1.0, current_decay=0.4), sequence=True),
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


def pooled_program(sparsity: float = 0.0) -> FloatProgram:
    """Every second pixel's neurons are read through 2x2 average pools; "c" reads "a" and "b" through the same weights.

    sparsity: share of the weights, before they are spread over a pool's window, that are zero.
    """
    rng = np.random.default_rng(2)
    frames, shape, small = (2, 8, 8), (4, 8, 8), (4, 4, 4)

    def weights(*size: int) -> np.ndarray:
        gain = 2 / (np.prod(size[1:]) * (1 - sparsity)) ** 0.5
        return rng.normal(0.0, gain, size) * (rng.random(size) >= sparsity)

    pooled = FloatConv(np.kron(weights(4, 4, 3, 3), np.ones((2, 2))) / 2, (2, 2), (2, 2))
    flat = np.kron(weights(6, 4, 2, 2), np.ones((2, 2))).reshape(6, 64)
    first = FloatConv(weights(4, 2, 3, 3), padding=(1, 1)), np.full(4, 0.1)
    alike = FloatConv(weights(4, 4, 1, 1)), np.full(4, 0.1)
    program = FloatProgram(
        FloatInput(frames),
        (
            layer("a", LIF, shape, conv1=("input", frames, first)),
            layer("b", LIF, shape, conv2=("a", shape, alike)),
            layer("c", LIF, shape, sum1=("a", shape, alike), sum2=("b", shape, alike)),
            layer("d", LIF, small, pool1=("c", shape, (pooled, np.zeros(4)))),
            layer("out", LIF, (6,), pool2=("d", small, (FloatDense(flat), np.zeros(6)))),
        ),
        steps=4,
    )
    verify_float_program(program)
    return program


def memory_bits(program: IntProgram) -> int:
    cores = map_program(balance(program, CHIP.synaptic_delay_max), CHIP).cores
    memory = [resource.name for resource in CHIP.core.resources].index("synapse memory")
    return sum(core.used[memory] for core in cores)


@pytest.mark.parametrize("sparsity", [0.0, 0.6])
def test_what_is_stored_once_is_stored_once_after_training(sparsity: float) -> None:
    program, result = finetuned(pooled_program(sparsity), 8)
    for before, after in zip(program.layers, result.program.layers, strict=True):
        changed = [
            not np.array_equal(one.synapse.weight, other.synapse.weight)
            for one, other in zip(before.connections, after.connections, strict=True)
        ]
        assert all(changed)
    first, second = result.program.layers[2].connections
    np.testing.assert_array_equal(first.synapse.weight, second.synapse.weight)
    windows = result.program.layers[3].connections[0].synapse.weight.reshape(4, 4, 3, 2, 3, 2)
    np.testing.assert_array_equal(windows, np.broadcast_to(windows[:, :, :, :1, :, :1], windows.shape))
    assert memory_bits(result.program) == memory_bits(program)


def test_weights_that_pruning_holds_at_zero_stay_at_zero() -> None:
    floats = pooled_program(0.6)
    _, result = finetuned(floats, 8)
    for exact, trained, rounded in zip(floats.layers, result.floats.layers, result.program.layers, strict=True):
        for before, after, integer in zip(exact.connections, trained.connections, rounded.connections, strict=True):
            zero = before.synapse.weight == 0
            assert zero.any()
            assert not after.synapse.weight[zero].any()
            assert not integer.synapse.weight[zero].any()
            assert after.synapse.weight[~zero].all()


def test_a_synapse_of_zeros_alone_trains_to_zeros() -> None:
    floats = PROGRAMS["lif"]
    silent = floats.layers[1].connections[1]
    silent = replace(silent, synapse=replace(silent.synapse, weight=np.zeros_like(silent.synapse.weight)))
    changed = replace(floats.layers[1], connections=(floats.layers[1].connections[0], silent))
    _, result = finetuned(replace(floats, layers=(floats.layers[0], changed, floats.layers[2])), 8, epochs=1)
    assert not result.program.layers[1].connections[1].synapse.weight.any()


def test_training_that_diverges_is_reported() -> None:
    with pytest.raises(InputError, match=r"fine-tuning diverged in epoch 1: layer a holds weights that are not finite"):
        finetuned(PROGRAMS["lif"], 4, lr=np.inf)
