"""Layers that read what they fired one step before: from a module to the chip, in every engine and file alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import onnxruntime
import pytest
import torch
from float_programs import frames_for, recurrent_program
from programs import conv, dense, joined, later, program_of, random_frames, random_weights
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.chips.load import load_chip
from neuroprune.compression.channels import channel_groups
from neuroprune.errors import UnsupportedNetwork
from neuroprune.exchange.netx.read import read_netx
from neuroprune.exchange.netx.write import write_netx
from neuroprune.exchange.nir import nir_graph
from neuroprune.exchange.onnx import onnx_model
from neuroprune.graph.float_program import FloatProgram
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Delay
from neuroprune.graph.trace import trace
from neuroprune.mapping.map import map_program
from neuroprune.networks.build import load_network
from neuroprune.networks.probing import present
from neuroprune.neurons.cuba_lif import CubaLif, IntCubaLif
from neuroprune.program.dequantize import dequantize
from neuroprune.program.frames import quantize_input
from neuroprune.program.timing import balance, depths
from neuroprune.program.types import IntProgram
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record, simulate
from neuroprune.simulation.floats import run_float, run_module
from neuroprune.simulation.lava import record_with_lava
from neuroprune.simulation.module_check import verify_module
from neuroprune.simulation.reference import reference_record, run_reference

CHIP = load_chip("loihi-sim")


def lif() -> nn.Module:
    return neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=1.0)


def summed(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return x + 0.5 * y


class Weighted(nn.Module):
    """What a layer reads of itself through weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.back = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.back(y) + x


def dense_network() -> nn.Module:
    inner = layer.LinearRecurrentContainer(lif(), 12, 12, step_mode="m")
    return nn.Sequential(
        layer.Flatten(step_mode="m"), layer.Linear(18, 12, step_mode="m"), inner, layer.Linear(12, 3, step_mode="m"),
        neuron.IFNode(step_mode="m"),
    )  # fmt: skip


def map_network(function: Callable[..., torch.Tensor]) -> nn.Module:
    inner = layer.ElementWiseRecurrentContainer(lif(), function, step_mode="m")
    return nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, step_mode="m"), inner, layer.Flatten(step_mode="m"),
        layer.Linear(36, 3, step_mode="m"), neuron.IFNode(step_mode="m"),
    )  # fmt: skip


class StepByStep(nn.Module):
    """Calls the container once a step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(18, 12), nn.Linear(12, 3)
        self.inner = layer.LinearRecurrentContainer(lif(), 12, 12)
        self.out = neuron.IFNode()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.out(self.fc2(self.inner(self.fc1(frame.flatten(1))))) for frame in frames])


NETWORKS = {
    "LinearRecurrentContainer": dense_network,
    "ElementWiseRecurrentContainer, a sum": lambda: map_network(summed),
    "ElementWiseRecurrentContainer, weights": lambda: map_network(Weighted()),
    "a loop over the steps": StepByStep,
}


def made(network: Callable[[], nn.Module]) -> tuple[nn.Module, np.ndarray]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = network()
        for parameter in module.parameters():
            nn.init.normal_(parameter, 0.05, 0.6)
    return module, np.random.default_rng(0).random((6, 5, 2, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_a_network_is_read_as_it_computes(network: Callable[[], nn.Module]) -> None:
    module, frames = made(network)
    graph = trace(module, torch.from_numpy(frames))
    floats = fold(graph)
    verify_module(module, graph, floats, frames)
    (delayed,) = (node for node in graph.nodes if isinstance(node.op, Delay))
    (read,) = (each for each in floats.layers if each.is_recurrent)
    assert delayed.op == Delay(read.name) and [each.delay for each in read.connections] == [0, 1]
    functional.reset_net(module)
    expected = run_module(module, frames) * 5
    assert expected.any()
    np.testing.assert_allclose(run_float(floats, frames.astype(np.float64)).outputs, expected, atol=1e-4)


def test_spikes_of_the_last_step_alone_are_kept() -> None:
    """A network whose recurrent weights are far too large is found out, since it is run step by step."""
    module, frames = made(dense_network)
    floats = fold(trace(module, torch.from_numpy(frames)))
    with torch.no_grad():
        module[2].rc.weight[:, 12:] *= -1
    with pytest.raises(Exception, match="the network does not compute what was read from it"):
        verify_module(module, trace(made(dense_network)[0], torch.from_numpy(frames)), floats, frames)


def test_a_container_without_spikes_at_its_end_is_refused() -> None:
    inner = layer.ElementWiseRecurrentContainer(nn.Linear(18, 18), summed, step_mode="m")
    network = nn.Sequential(layer.Flatten(step_mode="m"), inner, neuron.IFNode(step_mode="m"))
    with pytest.raises(
        UnsupportedNetwork, match="hands on to the next step what its neurons did not fire just so; let"
    ):
        trace(network, torch.zeros(1, 5, 2, 3, 3))


def test_neurons_that_other_neurons_read_a_step_later_are_refused() -> None:
    within = nn.Sequential(lif(), layer.Linear(18, 18), lif())
    inner = layer.ElementWiseRecurrentContainer(within, summed, step_mode="m")
    network = nn.Sequential(layer.Flatten(step_mode="m"), layer.Linear(18, 18, step_mode="m"), inner)
    with pytest.raises(
        UnsupportedNetwork, match=r"2.sub_module.0: it reads what 2.sub_module.2 fired one step before, and"
    ):
        fold(trace(network, torch.zeros(1, 5, 2, 3, 3)))


def test_a_container_in_the_wrong_step_mode_is_refused() -> None:
    inner = layer.ElementWiseRecurrentContainer(lif(), summed, step_mode="s")
    network = nn.Sequential(layer.Flatten(step_mode="m"), inner)
    with pytest.raises(
        UnsupportedNetwork, match="is in step mode 's' but reads no single steps; set its step mode to 'm'"
    ):
        trace(network, torch.zeros(1, 5, 2, 3, 3))


def test_channels_of_a_layer_that_reads_itself_stay() -> None:
    module, frames = made(lambda: map_network(Weighted()))
    assert not channel_groups(trace(module, torch.from_numpy(frames)))


@pytest.fixture(scope="module")
def floats() -> FloatProgram:
    return recurrent_program(CubaLif(0.5, 1.0))


@pytest.fixture(scope="module")
def program(floats: FloatProgram) -> IntProgram:
    return quantize(floats, frames_for(floats, 64), CHIP)


def test_a_quantised_program_fires_as_the_floats_that_it_stands_for(floats: FloatProgram, program: IntProgram) -> None:
    """Rounding changes less than half of what leaving recurrence out does, of a network that amplifies differences."""
    frames = frames_for(floats, 64)
    assert [[each.delay for each in layer.connections] for layer in program.layers] == [[0, 1], [0, 1], [0]]
    outputs = simulate(program, quantize_input(program.input, frames)[0]).outputs
    expected = run_float(dequantize(program), quantize_input(program.input, frames)[0] * program.input.unit).outputs
    np.testing.assert_array_equal(outputs, expected)
    exact = run_float(floats, frames).outputs
    forward = [replace(each, connections=each.connections[:1]) for each in floats.layers]
    without = run_float(replace(floats, layers=tuple(forward)), frames).outputs
    assert np.abs(outputs - exact).sum() < 0.5 * np.abs(without - exact).sum()


def test_engine_reference_and_lavas_runtime_agree(program: IntProgram, floats: FloatProgram) -> None:
    spikes, _ = quantize_input(program.input, frames_for(floats, 2))
    expected, trace_of = run_reference(program, spikes)
    compare(expected, record(program, spikes))
    assert trace_of.layers[1].spikes.any()
    compare(expected, record_with_lava(balance(program, 0), spikes, models="fast"))


@pytest.mark.parametrize("seed", range(4))
def test_sums_that_wrap_on_the_way_back_are_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loud = IntCubaLif(decay_u=100, decay_v=0, vth=3)
    first = conv("a", "input", (600, 1, 1), random_weights(rng, (600, 600, 1, 1), 256), neuron=loud)
    back = conv("a", "a", (600, 1, 1), np.full((600, 600, 1, 1), 254), neuron=loud)
    program = program_of(joined(first, later(back, 1)), dense("b", "a", (600, 1, 1), np.full((1, 600), 254)), steps=3)
    frames = random_frames(rng, 1, (600, 1, 1))
    expected, counted = run_reference(program, frames)
    found = simulate(program, frames)
    compare(expected, record(program, frames))
    assert [each.current_wraps for each in found.layers] == [each.current_wraps for each in counted.layers]
    assert counted.layers[0].current_wraps


def test_recurrence_takes_no_relays_and_no_time(program: IntProgram) -> None:
    assert depths(program) == {"input": 0, "a": 1, "b": 2, "out": 3}
    assert [each.name for each in balance(program, 0).layers] == ["a", "b", "out"]


def test_a_layer_sends_to_each_of_its_own_tiles() -> None:
    rng = np.random.default_rng(0)
    layers = dense("a", "input", (8,), random_weights(rng, (1500, 8), 60))
    alone = program_of(layers, dense("b", "a", (1500,), np.full((1, 1500), 2)))
    back = later(dense("a", "a", (1500,), np.where(rng.random((1500, 1500)) < 0.02, 40, 0)), 1)
    recurrent = program_of(joined(layers, back), alone.layers[1])
    axons = [each.name for each in CHIP.core.resources].index("output axons")

    def taken(program: IntProgram) -> tuple[int, int]:
        tiles = [tile for core in map_program(program, CHIP).cores for tile in core.tiles if tile.tile.layer == "a"]
        return len(tiles), sum(tile.used[axons] for tile in tiles)

    assert taken(alone) == (2, 1500)
    tiles, slots = taken(recurrent)
    readers = 0
    for part in np.array_split(np.arange(1500), tiles):
        readers += int((back.connections[0].synapse.weight[part] != 0).any(axis=0).sum())
    assert slots == 1500 + readers


def test_onnxruntime_fires_as_the_floats(floats: FloatProgram) -> None:
    frames = frames_for(floats)
    session = onnxruntime.InferenceSession(onnx_model(floats).SerializeToString(), providers=["CPUExecutionProvider"])
    _, counts = session.run(None, {"frames": frames})
    np.testing.assert_array_equal(counts, run_float(floats, frames).outputs)


def test_a_nir_graph_has_the_edge_back_and_netx_has_none_for_convolutions(
    floats: FloatProgram, program: IntProgram, tmp_path: Path
) -> None:
    graph = nir_graph(floats)
    assert {("b", "back"), ("back", "b")} <= set(graph.edges)
    assert isinstance(graph.nodes["back"], nir.Linear | nir.Affine)
    nir.write(tmp_path / "network.nir", graph)
    network = load_network(f"{tmp_path / 'network.nir'}")
    frames = frames_for(floats, 4)
    presented = present(network, frames.shape[1:], steps=6)
    again = fold(trace(presented, torch.from_numpy(frames)))
    np.testing.assert_array_equal(run_float(again, frames).outputs, run_float(floats, frames).outputs)
    (tmp_path / "network.nir").unlink()
    said = write_netx(program, tmp_path / "program.net")
    assert said == (
        "layer 'a' reads itself, which netx has for dense layers without delays alone: no file was written",
    )
    assert not list(tmp_path.iterdir())


def test_a_dense_layer_that_reads_itself_is_a_block_of_netx(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layers = [
        dense(name, source, (5,), random_weights(rng, (5, 5), 256)) for name, source in (("a", "input"), ("a", "a"))
    ]
    program = program_of(joined(layers[0], later(layers[1], 1)), dense("b", "a", (5,), np.full((2, 5), 20)))
    assert write_netx(program, tmp_path / "program.net") == ()
    again = read_netx(tmp_path / "program.net", CHIP.rules).program
    assert [(each.source, each.delay) for each in again.layers[0].connections] == [("input", 0), ("a", 1)]
    frames = random_frames(rng, 3, (5,))
    compare(record(program, frames), record(again, frames))


def test_reference_record_has_every_step(program: IntProgram, floats: FloatProgram) -> None:
    spikes, _ = quantize_input(program.input, frames_for(floats, 1))
    assert reference_record(program, spikes).layers[0].spikes.shape == (1, 6, 4, 6, 6)
