"""Layers that make maps larger become synapses of their phases, and nothing of what the network computes changes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sample_networks import stir
from spikingjelly.activation_based import layer, neuron
from torch import nn
from torch.nn import functional as F

from neuroprune.chips.load import load_chip
from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.polyphase import Window
from neuroprune.graph.trace import trace
from neuroprune.program.frames import quantize_input
from neuroprune.program.timing import balance
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record
from neuroprune.simulation.module_check import verify_module
from neuroprune.simulation.reference import reference_record


def _neurons(step_mode: str = "s") -> nn.Module:
    return neuron.LIFNode(tau=2.0, v_threshold=0.25, step_mode=step_mode)


def _network(*layers: nn.Module) -> nn.Sequential:
    """Frames 2x8x8, of which the first layer makes maps 4x4x4."""
    return nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), _neurons(), *layers)


def _end(features: int) -> tuple[nn.Module, ...]:
    return nn.Flatten(), nn.Linear(features, 5), _neurons()


class Decoder(nn.Module):
    """Spikes and currents of maps that were always large join those of maps that were made so, as in a U-Net."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), _neurons()
        self.down, self.lif2 = nn.Conv2d(4, 4, 3, 2, 1), _neurons()
        self.up, self.lif3 = nn.ConvTranspose2d(4, 4, 2, 2), _neurons()
        self.last, self.lif4 = nn.Conv2d(8, 4, 3, padding=1), _neurons()
        self.head, self.lif5 = nn.Linear(256, 5), _neurons()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = self.lif1(self.first(x))
        joined = self.lif3(self.up(self.lif2(self.down(large))) + self.first(x))
        return self.lif5(self.head(self.lif4(self.last(torch.cat([large, joined], 1))).flatten(1)))


class PooledSum(nn.Module):
    """The maximum over windows of a sum of spikes, one of which was upsampled."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), _neurons()
        self.down, self.lif2 = nn.Conv2d(4, 4, 3, 2, 1), _neurons()
        self.end = nn.Sequential(nn.MaxPool2d(3, 2, 1), *_end(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = self.lif1(self.first(x))
        output: torch.Tensor = self.end(large + F.interpolate(self.lif2(self.down(large)), scale_factor=2))
        return output


class Functions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 2, generator=torch.Generator().manual_seed(0)))
        self.first, self.lif1, self.lif2 = nn.Conv2d(2, 4, 3, 2, 1), _neurons(), _neurons()
        self.head = nn.Sequential(*_end(1728))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = F.interpolate(self.lif1(self.first(x)), size=(8, 8))
        output: torch.Tensor = self.head(self.lif2(F.conv_transpose2d(large, self.weight, None, 2, 1, 1, 2, 2)))
        return output


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "upsampling before a convolution": lambda: _network(
        nn.Upsample(scale_factor=2), nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), _neurons(), *_end(384)
    ),
    "upsampling by other factors": lambda: _network(
        nn.UpsamplingNearest2d((12, 4)), nn.Conv2d(4, 6, 3, 2, 1), _neurons(), nn.AdaptiveAvgPool2d(1), *_end(6)
    ),
    "upsampling before neurons": lambda: _network(
        nn.Conv2d(4, 4, 3), nn.Upsample(scale_factor=2), _neurons(), nn.MaxPool2d(3, 1, 1), *_end(64)
    ),
    "upsampling before a linear layer": lambda: _network(nn.Upsample(scale_factor=2), *_end(256)),
    "transposed": lambda: _network(
        nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), nn.BatchNorm2d(6), _neurons(), nn.Conv2d(6, 3, 3, 2, 1), _neurons(),
        *_end(48)
    ),
    "transposed with gaps": lambda: _network(nn.ConvTranspose2d(4, 6, 1, 2), _neurons(), *_end(294)),
    "transposed, grouped and dilated": lambda: _network(
        nn.ConvTranspose2d(4, 6, 4, 3, 2, groups=2, dilation=2), _neurons(), nn.MaxPool2d(3, 2, 1), *_end(216)
    ),
    "transposed by one": lambda: _network(nn.ConvTranspose2d(4, 6, 3), _neurons(), *_end(216)),
    "transposed twice": lambda: _network(
        nn.ConvTranspose2d(4, 4, 2, 2), _neurons(), nn.Conv2d(4, 4, 3, padding=1), _neurons(),
        nn.ConvTranspose2d(4, 4, 4, 2, 1), _neurons(), nn.Conv2d(4, 3, 5, padding=2), _neurons(), nn.AvgPool2d(2),
        *_end(192)
    ),
    "pixel shuffle": lambda: _network(
        nn.Conv2d(4, 8, 1), _neurons(), nn.PixelShuffle(2), nn.Conv2d(2, 4, 3, padding=1), _neurons(),
        nn.AdaptiveAvgPool2d(3), *_end(36)
    ),
    "sequence": lambda: nn.Sequential(
        layer.Conv2d(2, 4, 3, 2, 1, step_mode="m"), _neurons("m"), layer.Upsample(scale_factor=2, step_mode="m"),
        layer.ConvTranspose2d(4, 4, 3, step_mode="m"), _neurons("m"), layer.Flatten(step_mode="m"),
        layer.Linear(400, 5, step_mode="m"), _neurons("m"),
    ),
    "joins": Decoder,
    "pooled sum": PooledSum,
    "functions": Functions,
}  # fmt: skip


def _frames(name: str) -> np.ndarray:
    shape = (3, 4, 2, 8, 8) if name == "sequence" else (3, 2, 8, 8)
    return np.random.default_rng(1).normal(0, 2, shape).astype(np.float32)


def _lively(name: str) -> nn.Module:
    torch.manual_seed(0)
    return stir(NETWORKS[name]()).float()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_program_computes_what_the_network_does(name: str) -> None:
    network, frames = _lively(name), _frames(name)
    graph = trace(network, torch.from_numpy(frames))
    verify_module(network, graph, fold(graph), frames)


@pytest.mark.parametrize("name", ["transposed, grouped and dilated", "transposed with gaps", "sequence", "pooled sum"])
def test_its_integers_are_those_of_the_reference(name: str) -> None:
    network, frames = _lively(name), _frames(name)
    chip = load_chip("loihi-sim")
    program = balance(quantize(fold(trace(network, torch.from_numpy(frames))), frames, chip), chip.synaptic_delay_max)
    spikes, _ = quantize_input(program.input, frames)
    recorded = record(program, spikes)
    assert recorded.layers[-1].spikes.any()
    compare(reference_record(program, spikes), recorded)


def test_parts_are_named_by_their_rows_and_columns() -> None:
    program = fold(trace(_lively("transposed"), torch.zeros(1, 2, 8, 8)))
    parts = [layer for layer in program.layers if layer.part]
    assert [layer.name for layer in parts][:2] == ["4[0::2,0::2]", "4[0::2,1::2]"]
    assert sum(layer.shape[1] * layer.shape[2] for layer in parts[:4]) == 64


def test_neurons_that_would_do_the_same_are_there_once() -> None:
    program = fold(trace(_lively("upsampling before neurons"), torch.zeros(1, 2, 8, 8)))
    assert [layer.name for layer in program.layers if layer.name.startswith("4")] == ["4[0::2,0::2]"]


@pytest.mark.parametrize("transposed", [False, True])
def test_offsets_are_where_the_taps_of_torch_lie(transposed: bool) -> None:
    """Each tap alone, on a map with one element other than 0."""
    window = Window(taps=3, stride=2, padding=1, dilation=1, transposed=transposed)
    function = F.conv_transpose1d if transposed else F.conv1d
    for tap in range(3):
        kernel = torch.zeros(1, 1, 3)
        kernel[0, 0, tap] = 1.0
        for place in range(6):
            lit = torch.zeros(1, 1, 6)
            lit[0, 0, place] = 1.0
            seen = function(lit, kernel, None, 2, 1).flatten().nonzero().flatten().tolist()
            rate = 2 if transposed else 1
            read = [m for m in range(function(lit, kernel, None, 2, 1).shape[-1])
                    if (first := window.offset(tap, 0, 1, m % rate)) is not None
                    and first + m // rate * window.step(1, rate, 9) == place]  # fmt: skip
            assert read == seen


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "bilinear": (
        lambda: _network(nn.Upsample(scale_factor=2, mode="bilinear"), *_end(256)),
        "layer 2: mode 'bilinear' repeats what lies at the edge beyond it, which zero padding does not; use mode='near",
    ),
    "uneven": (
        lambda: _network(nn.Upsample(size=(6, 6)), *_end(144)),
        "layer 2: it makes maps of 6x6 of those of 4x4, and only whole multiples are read; use a factor of 2, 3, ...",
    ),
    "smaller": (
        lambda: _network(nn.Upsample(scale_factor=0.5), *_end(16)),
        "layer 2: it makes maps of 2x2 of those of 4x4, and only whole multiples are read",
    ),
    "an output in parts": (
        lambda: _network(nn.ConvTranspose2d(4, 6, 2, 2), _neurons(), nn.Flatten()),
        "layer 3: it gives maps in 2x2 parts, since layers before it made them larger, and scores are those of one",
    ),
    "too many parts": (
        lambda: _network(nn.Upsample(scale_factor=32), nn.AvgPool2d(8), *_end(1024)),
        "layer 2: maps of (4, 4, 4) become (4, 128, 128), in 1024 parts of which each is a layer on the chip, and 256",
    ),
    "an offset": (
        lambda: _network(nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 2, 2), _neurons(), *_end(256)),
        "layer 3: it puts zeros between the outputs of 2, but a bias or an offset was added there; leave that bias out",
    ),
    "weights upon weights": (
        lambda: _network(nn.Conv2d(4, 4, 1), nn.ConvTranspose2d(4, 4, 2, 2), _neurons(), *_end(256)),
        "layer 3: it follows 2 without neurons between; put an IFNode or LIFNode there",
    ),
    "weights that are the input": (
        lambda: nn.Sequential(_OwnWeights(), _neurons(), nn.Flatten(), nn.LazyLinear(5), _neurons()),
        "its weights depend on the input; use a layer with parameters",
    ),
}


class _OwnWeights(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv_transpose2d(x, x.transpose(0, 1))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_made_larger_is_refused_with_the_reason(name: str) -> None:
    make, sentence = REFUSED[name]
    network = make()
    network(torch.zeros(2, 2, 8, 8))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.bias)
    with pytest.raises(UnsupportedNetwork) as caught:
        fold(trace(network, torch.zeros(1, 2, 8, 8)))
    assert any(sentence in problem for problem in caught.value.problems), caught.value.problems
