"""Neurons of SpikingJelly and Eq 6 in NumPy, from the equations: what recorders and scores are held against."""

import math
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import functional, neuron
from torch import nn

DERIVATIVES = {
    "ATan": lambda x, alpha: alpha / 2 / (1 + (math.pi / 2 * alpha * x) ** 2),
    "Sigmoid": lambda x, alpha: alpha / (np.exp(alpha * x / 2) + np.exp(-alpha * x / 2)) ** 2,
    "Erf": lambda x, alpha: alpha / math.sqrt(math.pi) * np.exp(-((alpha * x) ** 2)),
    "SoftSign": lambda x, alpha: 1 / (2 * alpha * (1 / alpha + np.abs(x)) ** 2),
    "PiecewiseQuadratic": lambda x, alpha: np.maximum(alpha - alpha**2 * np.abs(x), 0),
}
"""g'(x) of surrogate functions by the name of their class, as SpikingJelly's documentation has them."""


def currents_of(network: nn.Module, name: str, frames: torch.Tensor) -> np.ndarray:
    """What the neurons of a layer receive from `frames`: [T, N, channels, positions]."""
    seen: list[torch.Tensor] = []
    layer = network.get_submodule(name)
    hook = layer.register_forward_hook(lambda module, args, output: seen.append(args[0].detach()))
    functional.reset_net(network)
    with torch.no_grad():
        network(frames)
    functional.reset_net(network)
    hook.remove()
    found = seen[0] if len(seen) == 1 else torch.stack(seen)
    return found.flatten(3).numpy() if found.ndim > 3 else found.unsqueeze(-1).numpy()


def run(layer: Any, currents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Potential before reset, spikes and potential after reset of IF, LIF and ParametricLIF nodes: [T, ...] each."""
    tau = 1 + math.exp(-layer.w.item()) if hasattr(layer, "w") else getattr(layer, "tau", None)
    v = np.zeros(currents.shape[1:])
    before, spikes, after = [], [], []
    for x in currents:
        if isinstance(layer, neuron.IFNode):
            h = v + x
        elif layer.decay_input:
            h = v + (x - v) / tau
        else:
            h = v - v / tau + x
        fired = h >= layer.v_threshold
        v = np.where(fired, h - layer.v_threshold if layer.v_reset is None else 0.0, h)
        for kept, value in zip((before, spikes, after), (h, fired, v), strict=True):
            kept.append(value)
    return np.array(before), np.array(spikes), np.array(after)


def eq_6(layer: Any, currents: np.ndarray, aggregation: str = "max", surrogate: str = "trained") -> np.ndarray:
    """The criticality of every channel for currents [T, N, channels, positions]."""
    u = (run(layer, currents)[0] - layer.v_threshold) / layer.v_threshold
    function = layer.surrogate_function
    derivative = DERIVATIVES[type(function).__name__ if surrogate == "trained" else "ATan"]
    alpha = function.alpha if surrogate == "trained" else 2.0
    over_time = (derivative(u, alpha) / derivative(0.0, alpha)).mean(0)
    over_map = over_time.max(-1) if aggregation == "max" else over_time.mean(-1)
    return over_map.mean(0)
