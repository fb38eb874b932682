"""What neurons are scored by: criticality, and the activity of spiking channels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from spikingjelly.activation_based.surrogate import ATan, SurrogateFunctionBase
from torch import nn

from neuroprune.compression.catalog import Aggregation, SurrogateOf
from neuroprune.compression.potentials import Measure, Moment
from neuroprune.errors import InputError
from neuroprune.neurons.model import FloatNeuron


@dataclass(frozen=True)
class Criticality(Measure):
    """Eq 6 of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks".

    The mean over samples of the maximum (or mean) over the feature map of the mean over time of g'(u), where
    u = (h - threshold) / threshold, h is the potential before reset, and g' the derivative of a surrogate function over
    that at the threshold, so 1 there; of the usual surrogates it falls to 0 on both sides.

    surrogate: "trained", the function that the layer is trained with; "paper", ATan with alpha 2 for all. The paper
    has thresholds of 1 and trains with the latter, where all of this is the same.
    """

    aggregation: Aggregation = "max"
    surrogate: SurrogateOf = "trained"

    def begin(self, name: str, layer: nn.Module, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
        """Raises InputError where the surrogate function of `layer` is not found or has no peak at the threshold."""
        derivative = atan_derivative if self.surrogate == "paper" else trained_derivative(name, layer)
        return lambda moment: derivative(moment.potential.div(neurons.threshold).sub_(1.0))

    def of_map(self, means: torch.Tensor) -> torch.Tensor:
        return means.amax(2) if self.aggregation == "max" else means.mean(2)


@dataclass(frozen=True)
class Activity(Measure):
    """The importance of "Towards Efficient Deep Spiking Neural Networks Construction with Spiking Activity based
    Pruning" (SCA): the mean over time, map and samples of spike + |v|, with v the potential after reset.

    spikes: whether the spikes count; without them it is the other published reading, |v| alone.
    """

    spikes: bool = True

    def begin(self, name: str, layer: nn.Module, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
        return lambda moment: moment.left.abs().add_(moment.fired) if self.spikes else moment.left.abs()

    def of_map(self, means: torch.Tensor) -> torch.Tensor:
        return means.mean(2)


def atan_derivative(u: torch.Tensor, alpha: float = 2.0) -> torch.Tensor:
    """g'(u) / g'(0) of the ATan surrogate: 1 / (1 + (pi alpha u / 2)^2); with alpha 2 it is the paper's (Eq 4b)."""
    return u.mul(torch.pi * alpha / 2).square_().add_(1.0).reciprocal_()


def trained_derivative(name: str, layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The derivative of the surrogate function of the neurons `layer`, at path `name`, over that at 0.

    Raises InputError where no such function is found, or its derivative at 0 is not above 0.
    """
    function = _surrogate_of(layer)
    remedy = "score by the paper's surrogate function (--surrogate paper)"
    if function is None:
        raise InputError(
            f"layer {name}: {type(layer).__name__} has no surrogate function to score by; call it surrogate_function, "
            f"or {remedy}"
        )
    if type(function) is ATan:  # what recipes take unless told otherwise; torch's way takes several times as long
        return partial(atan_derivative, alpha=function.alpha)
    peak = float(_derivative(function, torch.zeros(1, dtype=torch.float64)))
    if not 0.0 < peak < float("inf"):
        owner = getattr(function, "__self__", function)  # of the `apply` of a torch.autograd.Function
        kind = getattr(owner, "__name__", type(owner).__name__)
        raise InputError(
            f"layer {name}: the derivative of its surrogate function {kind} is {peak:g} at the threshold, but scores "
            f"are in units of that; {remedy}"
        )
    return lambda u: _derivative(function, u, 1.0 / peak)


def _surrogate_of(layer: Any) -> Any:
    """SpikingJelly's neurons have it in `surrogate_function`, others by any name if it is their only one; else None."""
    function = getattr(layer, "surrogate_function", None)
    if function is not None:
        return function
    known = [each for each in layer.modules() if isinstance(each, SurrogateFunctionBase)]
    return known[0] if len(known) == 1 else None


def _derivative(function: Callable[[torch.Tensor], torch.Tensor], u: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """`scale` times g'(u) by torch, as training takes it, so of the user's functions as well; 0 where it has none."""
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        spikes = function(u)
        if not spikes.requires_grad:
            return torch.zeros_like(u)
        (gradient,) = torch.autograd.grad(spikes, u, spikes.new_tensor(scale).expand_as(spikes), allow_unused=True)
    return torch.zeros_like(u) if gradient is None else gradient.detach()
