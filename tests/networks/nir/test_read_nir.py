"""What a NIR file says is what the network computes, held against NIR's equations in numpy and torch's own layers."""

import nir
import numpy as np
import pytest
import torch
from nir_graphs import DT, chain, conv, euler, graph_of, lif, linear, read, written
from torch.nn import functional as F

from neuroprune import fold, load_network, present, trace
from neuroprune.simulation.floats import run_layers

STEPS, SAMPLES = 10, 2


def frames_of(*shape):
    return np.random.default_rng(1).random((STEPS, SAMPLES, *shape)).astype(np.float32)


def rates(network, frames):
    """Of the outputs, as the float program fires."""
    samples = np.ascontiguousarray(frames.swapaxes(0, 1))
    presented = present(network, samples.shape[2:], STEPS, sequence=True)
    program = fold(trace(presented, torch.from_numpy(samples)))
    spikes = list(run_layers(program, samples))[-1].spikes.numpy()
    with torch.no_grad():
        np.testing.assert_allclose(presented(torch.from_numpy(frames)).numpy(), spikes.mean(0).reshape(SAMPLES, -1))
    assert 0.05 < spikes.mean() < 0.95
    return spikes


def maps(function, values):
    """A function of torch on [N, ...] for [T, N, ...]."""
    merged = function(torch.from_numpy(values.astype(np.float32)).flatten(0, 1))
    return merged.unflatten(0, values.shape[:2]).numpy()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gain": 0.7, "threshold": 0.4},
        {"v_leak": 0.8},
        {"threshold": (0.5, 1.0, 1.7)},
        {"gain": (0.5, 1.0, 2.0)},
        {"gain": (0.5, 1.0, 2.0), "threshold": (0.2, 0.4, 0.9), "v_leak": (0.3, -0.2, 0.0)},
    ],
)
def test_parameters_that_differ_from_neuron_to_neuron_go_into_weights_and_biases(options, tmp_path):
    weights, neurons, frames = linear(bias=0.4), lif(3, **options), frames_of(1, 2, 2)
    current = frames.reshape(STEPS, SAMPLES, 4) @ weights.weight.T + weights.bias
    found = rates(read(tmp_path, chain(weights, neurons)), frames)
    np.testing.assert_array_equal(found, euler(neurons, current)[0])


def test_scale_of_channels_goes_into_the_convolution_before_it(tmp_path):
    scale = np.array([0.5, 1.0, 2.0], np.float32).reshape(3, 1, 1)
    layer, neurons, frames = conv(3, 2, input_shape=(5, 5)), lif(3, 3, 3), frames_of(2, 5, 5)
    current = maps(lambda x: F.conv2d(x, torch.from_numpy(layer.weight)), frames) * scale
    found = rates(read(tmp_path, chain(layer, nir.Scale(scale), neurons, shape=(2, 5, 5), outputs=(3, 3, 3))), frames)
    np.testing.assert_array_equal(found, euler(neurons, current)[0])


@pytest.mark.parametrize(
    ("pool", "function"),
    [
        (nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), lambda x: 4 * F.avg_pool2d(x, 2)),
        (nir.SumPool2d(np.array(3), np.array(2), np.array(1)), lambda x: 9 * F.avg_pool2d(x, 3, 2, 1)),
        (nir.AvgPool2d(np.array([2, 3]), np.array([2, 3]), np.array([0, 0])), lambda x: F.avg_pool2d(x, (2, 3))),
    ],
)
def test_pools_give_the_sums_and_means_of_their_windows(pool, function, tmp_path):
    frames = frames_of(1, 6, 6)
    pooled = maps(function, frames)
    neurons = lif(*pooled.shape[2:], gain=0.5)
    found = rates(read(tmp_path, chain(pool, neurons, shape=(1, 6, 6), outputs=pooled.shape[2:])), frames)
    np.testing.assert_array_equal(found, euler(neurons, pooled)[0])


def test_padding_same_and_groups_are_those_of_torch(tmp_path):
    layer, frames = conv(4, 2, padding="same", groups=2, input_shape=(5, 5)), frames_of(2, 5, 5)
    neurons = lif(4, 5, 5)
    current = maps(lambda x: F.conv2d(x, torch.from_numpy(layer.weight), padding=1, groups=2), frames)
    found = rates(read(tmp_path, chain(layer, neurons, shape=(2, 5, 5), outputs=(4, 5, 5))), frames)
    np.testing.assert_array_equal(found, euler(neurons, current)[0])


def test_convolution_over_one_axis_reads_maps_of_one_row(tmp_path):
    layer, frames = conv(3, 2, kind=nir.Conv1d, padding=1, stride=2, input_shape=8), frames_of(2, 1, 8)
    neurons = lif(3, 4, threshold=0.3)
    function = lambda x: F.conv1d(x.squeeze(2), torch.from_numpy(layer.weight), padding=1, stride=2)  # noqa: E731
    found = rates(read(tmp_path, chain(layer, neurons, shape=(2, 8), outputs=(3, 4))), frames)
    np.testing.assert_array_equal(found[:, :, :, 0], euler(neurons, maps(function, frames))[0])


def test_branches_are_added_up_and_nested_graphs_are_followed(tmp_path):
    frames, first, second, last = frames_of(1, 1, 4), lif(4), lif(4), lif(4, gain=0.6)
    a, b = linear(4, 4, bias=0.5), linear(4, 4, seed=1)
    inside = chain(b, second, shape=(4,), outputs=(4,))
    graph = graph_of(
        {"a": a, "first": first, "block": inside, "last": last},
        [("input", "a"), ("a", "first"), ("first", "block"), ("first", "last"), ("block", "last"), ("last", "output")],
        outputs=(4,),
    )
    fired, _ = euler(first, frames.reshape(STEPS, SAMPLES, 4) @ a.weight.T + a.bias)
    added = fired + euler(second, fired @ b.weight.T)[0]
    np.testing.assert_array_equal(rates(read(tmp_path, graph), frames), euler(last, added)[0])


def test_integrators_at_the_end_are_read_by_their_last_voltage(tmp_path):
    frames, first, second = frames_of(1, 1, 4), linear(5, 4, bias=0.5), linear(3, 5, bias=0.1)
    hidden, neurons = lif(5), lif(3, threshold=1e9)
    leaky = nir.LI(neurons.tau, neurons.r, neurons.v_leak)
    fired, _ = euler(hidden, frames.reshape(STEPS, SAMPLES, 4) @ first.weight.T + first.bias)
    _, voltages = euler(neurons, fired @ second.weight.T + second.bias)
    network = read(tmp_path, chain(first, hidden, second, leaky))
    assert any("scores are the voltages of n3 after the last step" in remark for remark in network.remarks)
    samples = np.ascontiguousarray(frames.swapaxes(0, 1))
    program = fold(trace(present(network, (1, 1, 4), STEPS, sequence=True), torch.from_numpy(samples)))
    assert program.readout.of == "voltage"
    np.testing.assert_allclose(list(run_layers(program, samples))[-1].voltages.numpy(), voltages[-1], rtol=1e-5)


def test_integrator_without_a_leak_is_read_by_the_mean_of_what_it_receives(tmp_path):
    frames, weights = frames_of(1, 1, 4), linear(bias=0.1)
    network = read(tmp_path, chain(weights, nir.I(np.full(3, 1 / DT))))
    with torch.no_grad():
        scores = network(torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(
        scores, (frames.reshape(STEPS, SAMPLES, 4) @ weights.weight.T + weights.bias).mean(0), rtol=1e-5
    )


@pytest.mark.parametrize("stated", [(1, 2, 3, 3), (5, 1, 2, 3, 3)])
def test_axes_of_batch_and_time_that_an_exporter_left_in_are_left_out(stated, tmp_path):
    network = read(tmp_path, chain(conv(3, 2, input_shape=(3, 3)), lif(3, 1, 1), shape=stated, outputs=(3, 1, 1)))
    assert network.plan.input_shape == (2, 3, 3)


def test_maps_are_flattened_where_an_exporter_left_the_flatten_out(tmp_path):
    nodes = (conv(2, 1, input_shape=(3, 3)), lif(2, 1, 1), linear(3, 2), lif(3))
    network = read(tmp_path, chain(*nodes, shape=(1, 3, 3)))
    assert network(torch.zeros(STEPS, SAMPLES, 1, 3, 3)).shape == (SAMPLES, 3)


def test_flatten_of_some_axes_only_flattens_all_and_says_so(tmp_path):
    flat = nir.Flatten({"input": np.array([2, 2, 2])}, 1, -1)
    nodes = (conv(2, 1, kernel=2, input_shape=(3, 3)), lif(2, 2, 2), flat, linear(3, 8), lif(3))
    network = read(tmp_path, chain(*nodes, shape=(1, 3, 3)))
    assert any("node n2 flattens all of (2, 2, 2)" in remark for remark in network.remarks)
    assert network(torch.zeros(STEPS, SAMPLES, 1, 3, 3)).shape == (SAMPLES, 3)


def test_layers_are_called_as_their_nodes_whatever_those_are_called(tmp_path):
    names = {"input_1.a": linear(), "forward": lif(3)}
    edges = [("input", "input_1.a"), ("input_1.a", "forward"), ("forward", "output")]
    network = read(tmp_path, graph_of(names, edges))
    assert [name for name, _ in network.named_children()][1:] == ["input_1_a", "forward_2"]


def test_a_file_is_named_with_or_without_arguments(tmp_path):
    path = written(tmp_path, chain(linear(), lif(3)))
    by_signs = load_network(str(path))
    assert by_signs.remarks == (f"{path}: read as written by snnTorch, by the signs of its neurons",)
    told = load_network(f"{path}:network(framework=snntorch,dt=2e-4)")
    assert told.n1.tau == pytest.approx(by_signs.n1.tau / 2)
