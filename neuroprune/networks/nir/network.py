"""The network of a NIR file as a module of SpikingJelly's layers."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import nn

PRESENTED = ""
"""The name of what is presented to the network."""


@dataclass(frozen=True)
class Step:
    """A value of the network: the sum of its sources, times `factor`, through `layer`; as it is where that is None."""

    name: str
    sources: tuple[str, ...]
    layer: str | None = None
    factor: float = 1.0


@dataclass(frozen=True)
class Plan:
    """What is computed, in this order, of samples of `input_shape`, which are the value PRESENTED.

    voltage_of: the layer whose last voltage is the score; None where scores are the mean over time of the last value.
    """

    input_shape: tuple[int, ...]
    steps: tuple[Step, ...]
    voltage_of: str | None = None


class WithOwnSpikes(nn.Module):
    """What neurons receive: x, and through `synapses` the spikes y of the step before."""

    def __init__(self, synapses: Iterable[nn.Module]) -> None:
        super().__init__()
        self.synapses = nn.ModuleList(synapses)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        for synapse in self.synapses:
            x = x + synapse(y)
        return x


class NirNetwork(nn.Module):
    """Takes sequences [T, N, C, H, W] and returns scores [N, K].

    remarks: a sentence for all that was assumed or repaired when the file was read.
    """

    def __init__(self, plan: Plan, layers: dict[str, nn.Module], remarks: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.plan = plan
        self.remarks = remarks
        for name, layer in layers.items():
            self.add_module(name, layer)
        functional.set_step_mode(self, "m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        shape = tuple(frames.shape[-3:])
        if prod(shape) != prod(self.plan.input_shape):
            raise ValueError(f"the file is for samples of {self.plan.input_shape}, and these are of {shape}")
        values = {PRESENTED: frames}
        value = frames
        for step in self.plan.steps:
            value = values[step.sources[0]]
            for other in step.sources[1:]:
                value = value + values[other]
            if step.factor != 1.0:
                value = value * step.factor
            if step.layer is not None:
                value = self.get_submodule(step.layer)(value)
            values[step.name] = value
        if self.plan.voltage_of is not None:
            neurons: Any = self.get_submodule(self.plan.voltage_of)
            return neurons.v
        return value.mean(0)
