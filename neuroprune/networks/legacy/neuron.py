"""Neurons with the classes, arguments and methods that releases of SpikingJelly before 2 had."""

import math
from collections.abc import Callable
from typing import Any

import torch
from spikingjelly.activation_based import base, surrogate
from torch import nn

Surrogate = Callable[[torch.Tensor], torch.Tensor]


class BaseNode(base.MemoryModule):
    """Neurons that charge, fire and are reset; subclasses charge in `neuronal_charge`.

    Everything behind detach_reset, which differed from release to release, is accepted and plays no part but step_mode.
    """

    def __init__(
        self,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: Surrogate | None = None,
        detach_reset: bool = False,
        *unused: Any,
        step_mode: str = "s",
        **also_unused: Any,
    ) -> None:
        super().__init__()
        self.v: Any
        self.register_memory("v", 0.0 if v_reset is None else v_reset)
        self.v_threshold = v_threshold
        self.v_reset = v_reset
        self.surrogate_function = surrogate_function or surrogate.Sigmoid()
        self.detach_reset = detach_reset
        self.step_mode = step_mode

    def neuronal_charge(self, x: torch.Tensor) -> None:
        """Add the input x, [N, ...], to the potential v."""
        raise NotImplementedError

    def neuronal_fire(self) -> torch.Tensor:
        """The spikes of the potential v."""
        return self.surrogate_function(self.v - self.v_threshold)

    def neuronal_reset(self, spike: torch.Tensor | None = None) -> None:
        """Set v after the spikes: to v_reset, or lower by v_threshold where that is None."""
        spike = self.spike if spike is None else spike
        spike = spike.detach() if self.detach_reset else spike
        if self.v_reset is None:
            self.v = self.v - spike * self.v_threshold
        else:
            self.v = (1.0 - spike) * self.v + spike * self.v_reset

    def spiking(self) -> torch.Tensor:
        """Fire and be reset."""
        self.spike = self.neuronal_fire()
        self.neuronal_reset(self.spike)
        return self.spike

    def single_step_forward(self, x: torch.Tensor) -> torch.Tensor:
        """One step, [N, ...]."""
        if isinstance(self.v, float):
            self.v = torch.full_like(x, self.v)
        self.neuronal_charge(x)
        return self.spiking()

    def multi_step_forward(self, x_seq: torch.Tensor) -> torch.Tensor:
        """All steps, [T, N, ...]."""
        return torch.stack([self.single_step_forward(x) for x in x_seq])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One step or all, by the step mode."""
        return self.multi_step_forward(x) if self.step_mode == "m" else self.single_step_forward(x)


class IFNode(BaseNode):
    """v = v + x."""

    def neuronal_charge(self, x: torch.Tensor) -> None:
        self.v = self.v + x


class LIFNode(BaseNode):
    """v = v + (x - (v - v_reset)) / tau, or v = v + x - (v - v_reset) / tau where the input does not decay."""

    def __init__(self, tau: float = 2.0, decay_input: bool = True, *others: Any, **named: Any) -> None:
        super().__init__(*others, **named)
        self.tau = tau
        self.decay_input = decay_input

    def neuronal_charge(self, x: torch.Tensor) -> None:
        leak = (self.v - (self.v_reset or 0.0)) / self.tau
        self.v = self.v - leak + (x / self.tau if self.decay_input else x)


class ParametricLIFNode(BaseNode):
    """LIFNode whose 1 / tau is the sigmoid of a learned w."""

    def __init__(self, init_tau: float = 2.0, decay_input: bool = True, *others: Any, **named: Any) -> None:
        super().__init__(*others, **named)
        self.decay_input = decay_input
        self.w = nn.Parameter(torch.as_tensor(-math.log(init_tau - 1.0)))

    def neuronal_charge(self, x: torch.Tensor) -> None:
        share = self.w.sigmoid()
        leak = (self.v - (self.v_reset or 0.0)) * share
        self.v = self.v - leak + (x * share if self.decay_input else x)


class _MultiStep(BaseNode):
    """All steps in a call."""

    def __init__(self, *others: Any, backend: str = "torch", **named: Any) -> None:
        super().__init__(*others, **named, step_mode="m")


class MultiStepIFNode(_MultiStep, IFNode):
    """IFNode on [T, N, ...]."""


class MultiStepLIFNode(_MultiStep, LIFNode):
    """LIFNode on [T, N, ...]."""


class MultiStepParametricLIFNode(_MultiStep, ParametricLIFNode):
    """ParametricLIFNode on [T, N, ...]."""
