"""What each supported layer means as an operation of the float program.

One reader a layer class; the reason why a layer cannot be mapped stands beside the rule that it breaks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import neuron
from torch import nn

from neuroprune.errors import InputError
from neuroprune.frozen import frozen_array
from neuroprune.graph.nodes import AvgPool, BatchNorm, Conv, Flatten, FloatArray, Linear, MaxPool, Neuron, Op, Pair

SUPPORTED = "Conv2d, Linear, BatchNorm2d, LIFNode, IFNode, AvgPool2d, MaxPool2d, Flatten, Dropout"
Reading = tuple[Op | None, str | None]
"""An operation, or the sentence that says why there is none."""


def read_module(name: str, module: nn.Module) -> Reading:
    """The operation of the layer at path `name`, or why it has none.

    Raises InputError if one of its weights is not finite.
    """
    for kind, reader in _READERS.items():
        if isinstance(module, kind):
            return reader(name, module)
    if type(module) in _NEURONS:
        return _read_neuron(name, module)
    return None, (f"layer {name}: {type(module).__name__} has no counterpart on the chip; use one of {SUPPORTED}")


def _read_conv(name: str, module: Any) -> Reading:
    if module.padding_mode != "zeros":
        return None, f"layer {name}: padding mode {module.padding_mode!r} cannot be mapped; use 'zeros'"
    if isinstance(module.padding, str):
        return None, f"layer {name}: padding {module.padding!r} cannot be mapped; give it in pixels"
    weight = _numbers(name, "weight", module.weight)
    bias = _numbers(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_channels)
    return (
        Conv(weight, bias, _pair(module.stride), _pair(module.padding), _pair(module.dilation), int(module.groups)),
        None,
    )


def _read_linear(name: str, module: Any) -> Reading:
    weight = _numbers(name, "weight", module.weight)
    bias = _numbers(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_features)
    return Linear(weight, bias), None


def _read_batch_norm(name: str, module: Any) -> Reading:
    if module.running_mean is None:
        return None, f"layer {name}: it keeps no running statistics; set track_running_stats=True and train again"
    mean = _numbers(name, "running mean", module.running_mean)
    variance = _numbers(name, "running variance", module.running_var)
    gamma = _numbers(name, "weight", module.weight) if module.affine else np.ones_like(mean)
    beta = _numbers(name, "bias", module.bias) if module.affine else np.zeros_like(mean)
    gain = gamma / np.sqrt(variance + module.eps)
    return BatchNorm(frozen_array(gain, np.float64), frozen_array(beta - mean * gain, np.float64)), None


def _read_avg_pool(name: str, module: Any) -> Reading:
    if module.ceil_mode:
        return None, f"layer {name}: ceil_mode=True cannot be mapped; set it to False"
    if module.divisor_override is not None:
        return None, f"layer {name}: divisor_override={module.divisor_override} cannot be mapped; leave it out"
    if _pair(module.padding) != (0, 0) and not module.count_include_pad:
        return None, f"layer {name}: count_include_pad=False with padding cannot be mapped; set it to True"
    return AvgPool(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding)), None


def _read_max_pool(name: str, module: Any) -> Reading:
    if module.ceil_mode:
        return None, f"layer {name}: ceil_mode=True cannot be mapped; set it to False"
    pool = MaxPool(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding), _pair(module.dilation))
    return pool, None


def _read_flatten(name: str, module: Any) -> Reading:
    return Flatten(), None


def _read_neuron(name: str, module: Any) -> Reading:
    if module.v_reset is None:
        return None, f"layer {name}: soft reset (v_reset=None) cannot be mapped; use v_reset=0.0"
    if float(module.v_reset) != 0.0:
        return None, f"layer {name}: hard reset to {module.v_reset} cannot be mapped; use v_reset=0.0"
    threshold = float(module.v_threshold)
    if not threshold > 0.0:
        return None, f"layer {name}: threshold {threshold} cannot be mapped; it must be above 0"
    tau = getattr(module, "tau", None)
    if tau is None:
        return Neuron(0.0, threshold), None
    return Neuron(1.0 / float(tau), threshold, 1.0 / float(tau) if module.decay_input else 1.0), None


_READERS: dict[type[nn.Module], Callable[[str, Any], Reading]] = {
    nn.Conv2d: _read_conv,
    nn.Linear: _read_linear,
    nn.BatchNorm2d: _read_batch_norm,
    nn.AvgPool2d: _read_avg_pool,
    nn.MaxPool2d: _read_max_pool,
    nn.Flatten: _read_flatten,
}
# Exact classes: a subclass of a neuron has other dynamics.
_NEURONS = (neuron.LIFNode, neuron.IFNode, neuron.SimpleLIFNode, neuron.SimpleIFNode)


def _pair(value: Any) -> Pair:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple | list) else (int(value), int(value))


def _zeros(count: int) -> FloatArray:
    return frozen_array(np.zeros(count), np.float64)


def _numbers(name: str, what: str, tensor: torch.Tensor) -> FloatArray:
    array = frozen_array(tensor.detach().cpu().double().numpy(), np.float64)
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise InputError(
            f"layer {name}: {bad} of its {array.size} {what} values are not finite numbers; train it again, "
            "with a lower learning rate"
        )
    return array
