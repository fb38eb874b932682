"""A network with neurons of one's own, and frames for it."""

import numpy as np
import torch
from own_neuron import MODEL, FloorIF
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

import neuroprune

NEURONS = (*neuroprune.neuron_models(), MODEL)
NO_LAVA = neuroprune.LavaSettings(samples=0)
FRAMES = np.random.default_rng(0).normal(0.0, 1.5, (24, 1, 6, 6)).astype(np.float32)
STEPS = 5


class Network(nn.Module):
    """Floors in all layers but the one whose neurons SpikingJelly has."""

    def __init__(self, floor: float = -0.5, first: nn.Module | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(
            layer.Conv2d(1, 8, 3, padding=1, bias=False), layer.BatchNorm2d(8), first or FloorIF(1.0, floor),
            layer.MaxPool2d(2), layer.Conv2d(8, 8, 3, bias=False), layer.BatchNorm2d(8), neuron.IFNode(),
            layer.Flatten(), layer.Linear(8, 6), FloorIF(0.75, floor), layer.Linear(6, 2), FloorIF(0.5, floor),
        )  # fmt: skip
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x.unsqueeze(0).expand(STEPS, *x.shape)).mean(0)


def network(floor: float = -0.5) -> Network:
    """Lively weights of both signs, in double precision, so that no spike flips by rounding alone."""
    torch.manual_seed(3)
    made = Network(floor)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.weight.data.uniform_(0.5, 2.0)
            module.bias.data.uniform_(0.0, 0.4)
        elif isinstance(module, nn.Linear):
            module.weight.data.normal_(0.0, 1.0)
    return made.double().eval()
