"""Networks of several makes, with BatchNorm statistics as training would leave them."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from sample_networks import MergedTime, Unusual, stir
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe

torch.set_num_threads(1)


class MultiStep(nn.Module):
    """The stem once a sample, the rest in multi-step mode; both kinds of pools, LIF and IF, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.body = nn.Sequential(
            neuron.LIFNode(tau=4 / 3),
            layer.MaxPool2d(2),
            layer.Conv2d(8, 12, 3, padding=1),
            layer.BatchNorm2d(12),
            neuron.IFNode(),
            layer.AvgPool2d(2),
            layer.Dropout(0.1),
            layer.Flatten(),
            layer.Linear(12 * 2 * 2, 14),
            neuron.LIFNode(tau=2.0, decay_input=False),
            layer.Linear(14, 5),
            neuron.IFNode(v_threshold=0.5),
        )
        functional.set_step_mode(self.body, "m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.body(self.stem(frames).unsqueeze(0).repeat(4, 1, 1, 1, 1)).mean(0)


class SingleStep(nn.Module):
    """A loop over time of single-step layers; odd kernels and strides, dilation, a pool before neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = layer.Conv2d(1, 6, (5, 3), stride=(2, 1), padding=(2, 1))
        self.norm1 = layer.BatchNorm2d(6)
        self.fire1 = neuron.LIFNode(tau=2.0)
        self.conv2 = layer.Conv2d(6, 10, 3, padding=2, dilation=2, bias=False)
        self.norm2 = layer.BatchNorm2d(10)
        self.pool2 = layer.AvgPool2d(2)
        self.fire2 = neuron.IFNode()
        self.conv3 = layer.Conv2d(10, 7, 1)
        self.norm3 = layer.BatchNorm2d(7)
        self.fire3 = neuron.LIFNode(tau=1.5, v_threshold=0.6)
        self.classifier = layer.Linear(7 * 2 * 4, 5)
        self.output = neuron.IFNode(v_threshold=0.4)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        total = 0.0
        for _ in range(3):
            spikes = self.fire1(self.norm1(self.conv1(frames)))
            spikes = self.fire2(self.pool2(self.norm2(self.conv2(spikes))))
            spikes = self.fire3(self.norm3(self.conv3(spikes)))
            total = total + self.output(self.classifier(spikes.flatten(1)))
        return total / 3


def residual(kind: str) -> nn.Module:
    """A recipe's network whose blocks pass their input on, change its width, and halve the map."""
    blocks = [{"block": kind, "channels": 8}, {"block": kind, "channels": 12, "stride": 2}]
    layers = [{"conv": 8}, *blocks, {"block": kind, "channels": 12}, {"pool": "global"}, {"linear": 6}]
    return recipe(layers, **KINDS[kind])


def depthwise() -> nn.Module:
    """A recipe's network of depthwise and pointwise convolutions, two depthwise ones in a row among them."""
    pointwise = [{"conv": 12, "kernel": 1}, {"depthwise": 3, "stride": 2}, {"pool": "max"}, {"depthwise": 3}]
    return recipe([{"conv": 8}, {"depthwise": 3}, *pointwise, {"linear": 6}])


def recipe(layers: list[dict[str, object]], **changes: object) -> nn.Module:
    values = {"name": "r", "title": "t", "data": "digits", "steps": 4, "layers": layers, **FIRING, **changes}
    return build(parse_recipe(values, "recipe r"), (1, 8, 8), 5)


FIRING = {"neuron": {"v_threshold": 0.3}}
KINDS: dict[str, dict[str, object]] = {
    "td": {"readout": "voltage"},
    "sew": {"votes": 2},
    "ms": {"neuron": {"v_threshold": 0.3, "reset": "subtract"}},
    "preact": {"neuron": {"v_threshold": 0.3, "kind": "plif", "tau": 1.5}},
}
"""Kinds of blocks, each with something else that recipes can ask for."""

MAKES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "multi-step": (MultiStep, 8),
    "single-step": (SingleStep, 8),
    **{kind: (partial(residual, kind), 8) for kind in KINDS},
    "depthwise": (depthwise, 8),
    "unusual": (Unusual, 28),
    "merged-time": (MergedTime, 28),
}
"""How each is made, and the height and width of the frames it takes."""

SEEDS = {make: (0,) if make in (*KINDS, "depthwise") else (0, 1) for make in MAKES}


@pytest.fixture(params=[(make, seed) for make in MAKES for seed in SEEDS[make]], ids=lambda it: f"{it[0]}-{it[1]}")
def made(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor]:
    """A network in evaluation mode whose layers all fire, and frames for it [6, 1, H, W], some pixels 0; float64."""
    make, seed = request.param
    kind, size = MAKES[make]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = stir(kind(), seed)
        noise = torch.randn(6, 1, size, size, dtype=torch.float64)
    return network, noise * (noise.abs() > 0.3)


@pytest.fixture
def network(made: tuple[nn.Module, torch.Tensor]) -> nn.Module:
    return made[0]


@pytest.fixture
def frames(made: tuple[nn.Module, torch.Tensor]) -> torch.Tensor:
    return made[1]
