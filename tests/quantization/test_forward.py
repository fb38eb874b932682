"""The chip's integers in torch: the spikes of the reference, and gradients that are those of the equations."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.neurons.model import Reset
from neuroprune.quantization.forward import fire
from neuroprune.simulation.reference import NeuronState, step

STEPS = 5


def neuron(decay_u: int, decay_v: int, reset: Reset = "zero", vth: int = 300) -> IntCubaLif:
    return IntCubaLif(decay_u, decay_v, vth, reset)


@pytest.mark.parametrize("decay_u", [4095, 1500, 1, 0])
@pytest.mark.parametrize("decay_v", [0, 1, 1421, 2048, 3072, 4095])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_every_decay_and_reset_gives_the_integers_of_the_reference(decay_u: int, decay_v: int, reset: Reset) -> None:
    rng = np.random.default_rng(decay_u + decay_v)
    currents = rng.integers(-6000, 6000, (STEPS, 40))
    bias = 64 * 17
    registers = neuron(decay_u, decay_v, reset)
    spikes, voltages = fire(
        torch.from_numpy(currents).float().unsqueeze(1), torch.tensor([float(bias)]), registers, STEPS
    )
    for index in range(40):
        state, fired = NeuronState(0, 0), []
        for now in range(STEPS):
            state = step(state, int(currents[now, index]), registers, bias >> 6, 6)
            assert not state.wrapped and not state.saturated
            fired.append(float(state.spike))
        assert spikes[:, 0, index].tolist() == fired
        assert voltages[0, index] == state.v


@pytest.mark.parametrize("state_bits", [24, 20, 16])
@pytest.mark.parametrize("decay_u", [4095, 1500])
def test_overflows_are_those_of_the_reference(state_bits: int, decay_u: int) -> None:
    rng = np.random.default_rng(state_bits)
    currents = rng.integers(-(2 ** (state_bits - 6)), 2 ** (state_bits - 6), (STEPS, 40))
    registers = replace(neuron(decay_u, 1024), state_bits=state_bits)
    spikes, voltages = fire(torch.from_numpy(currents).float().unsqueeze(1), torch.tensor([640.0]), registers, STEPS)
    overflows = 0
    for index in range(40):
        state, fired = NeuronState(0, 0), []
        for now in range(STEPS):
            state = step(state, int(currents[now, index]), registers, 10, 6)
            overflows += state.wrapped + state.saturated
            fired.append(float(state.spike))
        assert spikes[:, 0, index].tolist() == fired
        assert voltages[0, index] == state.v
    assert overflows > 50


@pytest.mark.parametrize("registers", [neuron(4095, 2048), neuron(1023, 1024), neuron(4095, 0, "subtract")])
@pytest.mark.parametrize("presented", [1, STEPS])
def test_gradients_are_those_of_the_float_equations_with_a_surrogate(registers: IntCubaLif, presented: int) -> None:
    """autograd through the plain equations, the spike's arc tangent and a reset that is not differentiated."""
    torch.manual_seed(0)
    current = (torch.randn(presented, 3, 7) * 200).round().requires_grad_()
    bias = (torch.randn(7) * 64 * 50).round().requires_grad_()
    spikes, voltages = fire(current, bias, registers, STEPS)
    upstream, last = torch.randn_like(spikes), torch.randn_like(voltages) / 1e4
    got = torch.autograd.grad((spikes * upstream).sum() + (voltages * last).sum(), [current, bias])

    threshold = registers.vth * 64
    u = v = torch.zeros(3, 7)
    total = torch.zeros(())
    for now in range(STEPS):
        u = u * (4095 - registers.decay_u) / 4096 + 64 * current[now if presented > 1 else 0]
        v = v * (4096 - registers.decay_v) / 4096 + u + bias
        surrogate = torch.atan(torch.pi * (v / (threshold + 1) - 1)) / torch.pi
        spike = spikes[now].detach()
        total = total + ((surrogate - surrogate.detach() + spike) * upstream[now]).sum()
        v = v * (1 - spike) if registers.reset == "zero" else v - spike * threshold
    expected = torch.autograd.grad(total + (v * last).sum(), [current, bias])
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=1e-5)
