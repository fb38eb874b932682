"""Synapses in bytes and in floats against sums of integers, over shapes that oneDNN has special code for."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from programs import NEURON, conv, dense, random_weights

from neuroprune.program.types import IntConnection, IntInput
from neuroprune.simulation import kernels
from neuroprune.simulation.byte_kernels import byte_kernel, product_of_windows
from neuroprune.simulation.kernels import make_kernel
from neuroprune.simulation.map_layout import Kernel
from neuroprune.simulation.reference import synaptic_current

SPIKES = IntInput((1, 1, 1), 1.0, 0)
CPU = torch.device("cpu")


def expect(connection: IntConnection, batch: torch.Tensor, found: torch.Tensor, bias: np.ndarray | None = None) -> None:
    """batch and found lie channels last; sums of the reference, channels first, times 64."""
    first = batch.numpy() if batch.ndim == 2 else np.moveaxis(batch.numpy(), -1, 1)
    sums = np.stack([synaptic_current(connection.synapse, row.astype(np.int64))[0] for row in first]) * 64
    sums = np.moveaxis(sums, 1, -1) + (0 if bias is None else bias)
    np.testing.assert_array_equal(found.numpy(), sums)


@st.composite
def convolutions(draw: st.DrawFn) -> IntConnection:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = draw(st.sampled_from([1, 1, 2, 3, 4]))
    inputs = draw(st.sampled_from([1, 1, 2, 3, 5, 16, 17]))
    outputs = draw(st.sampled_from([1, 1, 2, 3, 16, 17]))
    kernel = (draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 5])))
    padding = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    least = [max(gap * (size - 1) + 1 - 2 * pad, 1) for gap, size, pad in zip(dilation, kernel, padding, strict=True)]
    size = (least[0] + draw(st.integers(0, 5)), least[1] + draw(st.integers(0, 9)))
    weight = random_weights(rng, (groups * outputs, inputs, *kernel), draw(st.sampled_from([4, 256])))
    layer = conv("a", "input", (groups * inputs, *size), weight, stride, padding, dilation, groups)
    return layer.connections[0]


@settings(max_examples=100, deadline=None)
@given(convolutions(), st.sampled_from([1, 2, 5]))
def test_convolutions_of_spikes_add_up(connection: IntConnection, count: int) -> None:
    rng = np.random.default_rng(count)
    channels, height, width = connection.in_shape
    batch = torch.tensor(rng.integers(0, 2, (count, height, width, channels)), dtype=torch.uint8)
    bias = rng.integers(-4096, 4096, len(connection.synapse.weight)) * 64
    expect(connection, batch, make_kernel(connection, SPIKES, torch.float32, CPU, bias)(batch), bias)


@pytest.mark.parametrize("in_shape", [(300,), (5, 4, 3)])
def test_dense_layers_of_spikes_add_up(in_shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    size = int(np.prod(in_shape))
    (connection,) = dense("a", "input", in_shape, random_weights(rng, (7, size), 256), NEURON).connections
    batch = torch.tensor(rng.integers(0, 2, (6, *in_shape[1:], in_shape[0])), dtype=torch.uint8)
    expect(connection, batch, make_kernel(connection, SPIKES, torch.float32, CPU)(batch))


@pytest.mark.parametrize("weight", [-256, 254])
def test_the_largest_sums_of_bytes_do_not_saturate(weight: int) -> None:
    (connection,) = dense("a", "input", (4096,), np.full((3, 4096), weight)).connections
    batch = torch.ones(5, 4096, dtype=torch.uint8)
    expect(connection, batch, make_kernel(connection, SPIKES, torch.float32, CPU)(batch))


@settings(max_examples=100, deadline=None)
@given(convolutions(), st.sampled_from([0, 7]))
def test_the_product_of_bytes_for_gpus_adds_up(connection: IntConnection, bits: int) -> None:
    """torch has that product on CPUs, too."""
    rng = np.random.default_rng(bits)
    synapse, (channels, height, width) = connection.synapse, connection.in_shape
    least, most = (0, 2) if bits == 0 else (-128, 128)
    batch = torch.tensor(rng.integers(least, most, (2, height, width, channels)), dtype=torch.int8)
    halves = torch.tensor(synapse.weight // 2, dtype=torch.int8)
    synapse = dataclasses.replace(synapse, weight=(synapse.weight // 2 * 2).astype(np.int16))
    bias = rng.integers(-4096, 4096, len(halves)) * 64
    tensors = torch.full((len(halves),), 128.0), torch.tensor(bias, dtype=torch.float32)
    multiply = product_of_windows(synapse, halves, *tensors)
    if synapse.groups > 1:
        assert multiply is None
        return
    assert multiply is not None
    expect(dataclasses.replace(connection, synapse=synapse), batch, multiply(batch), bias)


def test_odd_weights_that_do_not_fit_bytes_are_computed_in_floats() -> None:
    (connection,) = dense("a", "input", (2,), np.array([[255, 254]])).connections
    assert byte_kernel(connection, SPIKES, CPU, None) is None
    batch = torch.ones(1, 2, dtype=torch.uint8)
    expect(connection, batch, make_kernel(connection, SPIKES, torch.float32, CPU)(batch))


def failing(_: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("no such kernel")


@pytest.mark.parametrize("wrong", [lambda batch: batch.sum(1, keepdim=True) + (batch.shape[0] == 3), failing])
def test_a_kernel_of_bytes_that_fails_its_check_is_not_used(wrong: Kernel) -> None:
    """The first one is right except for batches of three."""
    checked = kernels._CheckedKernel(wrong, lambda batch: batch.sum(1, keepdim=True))
    for count in (2, 3, 4):
        batch = torch.ones(count, 4, dtype=torch.uint8)
        assert torch.equal(checked(batch), torch.full((count, 1), 4))


def test_a_torch_without_kernels_of_bytes_computes_in_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "onednn", object())
    for layer in (
        dense("a", "input", (3,), np.full((2, 3), 8)),
        conv("a", "input", (2, 3, 3), np.full((2, 2, 3, 3), 8)),
    ):
        assert byte_kernel(layer.connections[0], SPIKES, CPU, None) is None


def test_kernels_of_bytes_are_exact_on_a_cpu_without_vnni() -> None:
    """The largest sums, in another process: oneDNN reads the limit of its instructions once."""
    script = """
import numpy as np, torch
from neuroprune.program.types import IntConnection, IntConv, IntDense, IntInput
from neuroprune.simulation.byte_kernels import byte_kernel
spikes = IntInput((1, 1, 1), 1.0, 0)
def conv(*shape, groups=1):
    return IntConv(np.full(shape, -256, np.int16), (1, 1), (0, 0), (1, 1), groups), (shape[1] * groups, 5, 6)
for synapse, in_shape in (conv(8, 34, 3, 3), conv(8, 1, 3, 3, groups=8), (IntDense(np.full((4, 999), -256)), (999,))):
    # without it all weights had 256 in common
    synapse.weight[0].flat[0] = 254
    batch = torch.ones(3, *in_shape[1:], in_shape[0], dtype=torch.uint8)
    kernel = byte_kernel(IntConnection("input", synapse, in_shape), spikes, batch.device, None)
    sums = kernel(batch)[0].reshape(-1, len(synapse.weight))
    expected = 64.0 * synapse.weight.reshape(len(synapse.weight), -1).sum(1)
    assert (sums.numpy() == expected).all(), (synapse, sums, expected)
"""
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=300)
