"""The slopes of surrogate functions, each over that at the threshold, so 1 there."""

from collections.abc import Callable
from typing import Any

import torch
from spikingjelly.activation_based.neuron import BaseNode
from spikingjelly.activation_based.surrogate import (
    ATan,
    Erf,
    PiecewiseQuadratic,
    Sigmoid,
    SoftSign,
    SurrogateFunctionBase,
)
from torch import nn

from neuroprune.compression.neuron_layers import Response
from neuroprune.errors import InputError

Slope = Callable[[torch.Tensor], torch.Tensor]
"""Of potentials, u = 0 being the threshold."""


def atan_slope(u: torch.Tensor, alpha: float = 2.0) -> torch.Tensor:
    """Of ATan: 1 / (1 + (pi alpha u / 2)^2); with alpha 2 it is the criticality paper's (Eq 4b)."""
    return u.mul(torch.pi * alpha / 2).square_().add_(1.0).reciprocal_()


def _sigmoid_slope(u: torch.Tensor, alpha: float) -> torch.Tensor:
    """4 s (1 - s) with s = 1 / (1 + exp(-alpha u))."""
    return u.mul(alpha / 2).tanh_().square_().neg_().add_(1.0)


def _erf_slope(u: torch.Tensor, alpha: float) -> torch.Tensor:
    return u.mul(alpha).square_().neg_().exp_()


def _soft_sign_slope(u: torch.Tensor, alpha: float) -> torch.Tensor:
    return u.mul(alpha).abs_().add_(1.0).square_().reciprocal_()


def _piecewise_quadratic_slope(u: torch.Tensor, alpha: float) -> torch.Tensor:
    return u.mul(alpha).abs_().neg_().add_(1.0).clamp_(min=0.0)


_SLOPES: dict[type, Callable[[torch.Tensor, float], torch.Tensor]] = {
    ATan: atan_slope,
    Sigmoid: _sigmoid_slope,
    Erf: _erf_slope,
    SoftSign: _soft_sign_slope,
    PiecewiseQuadratic: _piecewise_quadratic_slope,
}
"""Of the functions that recipes offer; torch's way, which all others go, takes several times as long."""


def trained_slope(name: str, layer: nn.Module, response: Callable[[], Response] | None = None) -> Slope:
    """That of the surrogate function which the neurons `layer`, called `name`, are trained with.

    response: of neurons of a class of the user's, which call their function in code of their own. Where they hold none
    of SpikingJelly's, it is the derivative of what they give in their first step.
    Raises InputError where neither is found, or its derivative at 0 is not above 0.
    """
    remedy = "score by the paper's surrogate function (--surrogate paper)"
    function = _surrogate_of(layer, response is not None)
    slope = _SLOPES.get(type(function))
    if slope is not None and function.alpha > 0.0:
        return lambda u: slope(u, function.alpha)
    if function is not None:
        owner = getattr(function, "__self__", function)  # of the `apply` of a torch.autograd.Function
        what, at = f"its surrogate function {getattr(owner, '__name__', type(owner).__name__)}", torch.zeros(1).double()
    elif response is not None:
        function = response()
        what, at = f"what {type(layer).__name__} gives", function.at_threshold()
    else:
        raise InputError(
            f"layer {name}: {type(layer).__name__} has no surrogate function to score by; call it surrogate_function, "
            f"or {remedy}"
        )
    peak = float(_derivative(function, at).flatten()[0])
    if not 0.0 < peak < float("inf"):
        raise InputError(
            f"layer {name}: the derivative of {what} is {peak:g} at the threshold, but scores are in units of that; "
            f"{remedy}"
        )
    return lambda u: _derivative(function, u, 1.0 / peak)


def _surrogate_of(layer: Any, is_own: bool) -> Any:
    """The function that neurons hold, if it is plain how they use it; else None.

    SpikingJelly's neurons and models that are passed to `compress` have it in `surrogate_function`; others, and classes
    of the user's own, one of SpikingJelly's by any name if it is their only one.
    """
    function = getattr(layer, "surrogate_function", None)
    if function is not None and (not is_own or isinstance(layer, BaseNode)):
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
