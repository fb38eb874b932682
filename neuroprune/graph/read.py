"""What each supported layer means as an operation of the float program.

One reader a layer class; the reason why a layer cannot be mapped stands beside the rule that it breaks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from neuroprune.errors import InputError
from neuroprune.frozen import frozen_array
from neuroprune.graph.nodes import (
    AvgPool,
    BatchNorm,
    Conv,
    Flatten,
    FloatArray,
    Linear,
    MaxPool,
    Neuron,
    Op,
    Pair,
    Select,
    Shape,
)
from neuroprune.selection import ChannelSelection

SUPPORTED = (
    "Conv2d, Linear, BatchNorm1d, BatchNorm2d, LIFNode, IFNode, ParametricLIFNode, CubaLIFNode, AvgPool2d, MaxPool2d, "
    "AdaptiveAvgPool2d, Flatten, Dropout, ChannelSelection"
)
Reading = tuple[Op | None, str | None]
"""An operation, or the sentence that says why there is none."""


def read_module(name: str, module: nn.Module, shape: Shape) -> Reading:
    """The operation of the layer at path `name` on inputs of `shape`, or why it has none.

    Raises InputError if one of its weights is not finite.
    """
    for kind, reader in _READERS.items():
        if _computes_as(module, kind):
            return reader(name, module, shape)
    reader_of_neuron = _NEURONS.get(f"{type(module).__module__}.{type(module).__qualname__}")
    if reader_of_neuron is not None:
        return reader_of_neuron(name, module)
    return None, f"layer {name}: {type(module).__name__} has no counterpart on the chip; use one of {SUPPORTED}"


def is_readable(module: nn.Module) -> bool:
    """Whether `module` is a layer that `read_module` knows, of whatever class."""
    return any(_computes_as(module, kind) for kind in _READERS)


def _computes_as(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether it is of this class; a subclass may compute something else, unless it leaves `forward` alone."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def _read_conv(name: str, module: Any, shape: Shape) -> Reading:
    if module.padding_mode != "zeros":
        return None, f"layer {name}: padding mode {module.padding_mode!r} cannot be mapped; use 'zeros'"
    if isinstance(module.padding, str):
        return None, f"layer {name}: padding {module.padding!r} cannot be mapped; give it in pixels"
    weight = _numbers(name, "weight", module.get_weight() if isinstance(module, layer.WSConv2d) else module.weight)
    bias = _numbers(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_channels)
    return (
        Conv(weight, bias, _pair(module.stride), _pair(module.padding), _pair(module.dilation), int(module.groups)),
        None,
    )


def _read_linear(name: str, module: Any, shape: Shape) -> Reading:
    weight = _numbers(name, "weight", module.get_weight() if isinstance(module, layer.WSLinear) else module.weight)
    bias = _numbers(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_features)
    return Linear(weight, bias), None


def _read_batch_norm(name: str, module: Any, shape: Shape) -> Reading:
    if module.running_mean is None:
        return None, f"layer {name}: it keeps no running statistics; set track_running_stats=True and train again"
    mean = _numbers(name, "running mean", module.running_mean)
    variance = _numbers(name, "running variance", module.running_var)
    gamma = _numbers(name, "weight", module.weight) if module.affine else np.ones_like(mean)
    beta = _numbers(name, "bias", module.bias) if module.affine else np.zeros_like(mean)
    gain = gamma / np.sqrt(variance + module.eps)
    return BatchNorm(frozen_array(gain, np.float64), frozen_array(beta - mean * gain, np.float64)), None


def _read_avg_pool(name: str, module: Any, shape: Shape) -> Reading:
    if module.ceil_mode:
        return None, f"layer {name}: ceil_mode=True cannot be mapped; set it to False"
    if module.divisor_override is not None:
        return None, f"layer {name}: divisor_override={module.divisor_override} cannot be mapped; leave it out"
    if _pair(module.padding) != (0, 0) and not module.count_include_pad:
        return None, f"layer {name}: count_include_pad=False with padding cannot be mapped; set it to True"
    return AvgPool(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding)), None


def _read_max_pool(name: str, module: Any, shape: Shape) -> Reading:
    if module.ceil_mode:
        return None, f"layer {name}: ceil_mode=True cannot be mapped; set it to False"
    pool = MaxPool(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding), _pair(module.dilation))
    return pool, None


def _read_global_pool(name: str, module: Any, shape: Shape) -> Reading:
    wanted = module.output_size if isinstance(module.output_size, tuple | list) else (module.output_size,) * 2
    extents = shape[1:]
    size = tuple(extent if want is None else int(want) for want, extent in zip(wanted, extents, strict=True))
    if any(extent % want for want, extent in zip(size, extents, strict=True)):
        return None, (
            f"layer {name}: adaptive pooling of {extents[0]}x{extents[1]} to {size[0]}x{size[1]} takes windows of "
            "different sizes; choose a size that divides its input"
        )
    window = (extents[0] // size[0], extents[1] // size[1])
    return AvgPool(window, window), None


def _read_flatten(name: str, module: Any, shape: Shape) -> Reading:
    return Flatten(), None


def _read_lif(name: str, module: Any) -> Reading:
    """LIFNode, IFNode and ParametricLIFNode: 1 / tau is fixed, 0, or the sigmoid of the learned w."""
    if module.v_reset is not None and float(module.v_reset) != 0.0:
        return None, f"layer {name}: hard reset to {module.v_reset} cannot be mapped; use v_reset=0.0 or None"
    if isinstance(module, neuron.ParametricLIFNode):
        decay = float(_numbers(name, "w", module.w.sigmoid()))
    else:
        decay = 1.0 / float(module.tau) if hasattr(module, "tau") else 0.0
    gain = decay if getattr(module, "decay_input", False) else 1.0
    return _neuron(
        name, Neuron(decay, float(module.v_threshold), gain, reset="zero" if module.v_reset is not None else "subtract")
    )


def _read_cuba(name: str, module: Any) -> Reading:
    """CubaLIFNode computes in steps of 1 / s_scale, which is not done here; else the equations are the same.

    It rounds the decays to 4096ths, as here, and cuts what it receives, and what the decays leave of current and
    voltage, to steps of 1 / s_scale towards zero. It fires from v_threshold + 0.01 / s_scale on, which is the first of
    its steps beyond v_threshold.
    """
    if module.norm is not None:
        return None, f"layer {name}: normalisation inside the neuron cannot be mapped; use norm=None"
    decays = []
    for kind in ("current_decay", "voltage_decay"):
        values = _numbers(name, kind, getattr(module, kind)).reshape(-1)
        if values.size != 1:
            return None, f"layer {name}: its {values.size} values of {kind} cannot be mapped; use one for all"
        decays.append(float(np.clip(np.rint(values[0]), 0, module.p_scale)) / module.p_scale)
    if decays[0] == 0.0:
        return None, f"layer {name}: a current that never decays cannot be mapped; use current_decay above 0"
    threshold = float(module.v_threshold) + module.v_threshold_eps
    return _neuron(name, Neuron(decays[1], threshold, current_decay=decays[0]))


def _neuron(name: str, found: Neuron) -> Reading:
    if not found.threshold > 0.0:
        return None, f"layer {name}: threshold {found.threshold} cannot be mapped; it must be above 0"
    if not 0.0 <= found.decay < 1.0:
        return None, f"layer {name}: voltage decay {found.decay:g} cannot be mapped; it must be at least 0 and below 1"
    return found, None


def _read_selection(name: str, module: Any, shape: Shape) -> Reading:
    return Select(frozen_array(module.channels.cpu().numpy(), np.int64)), None


_READERS: dict[type[nn.Module], Callable[[str, Any, Shape], Reading]] = {
    **dict.fromkeys((nn.Conv2d, layer.Conv2d, layer.WSConv2d), _read_conv),
    **dict.fromkeys((nn.Linear, layer.Linear, layer.WSLinear), _read_linear),
    **dict.fromkeys((nn.BatchNorm1d, layer.BatchNorm1d, nn.BatchNorm2d, layer.BatchNorm2d), _read_batch_norm),
    **dict.fromkeys((layer.ThresholdDependentBatchNorm1d, layer.ThresholdDependentBatchNorm2d), _read_batch_norm),
    **dict.fromkeys((nn.AvgPool2d, layer.AvgPool2d), _read_avg_pool),
    **dict.fromkeys((nn.MaxPool2d, layer.MaxPool2d), _read_max_pool),
    **dict.fromkeys((nn.AdaptiveAvgPool2d, layer.AdaptiveAvgPool2d), _read_global_pool),
    **dict.fromkeys((nn.Flatten, layer.Flatten), _read_flatten),
    ChannelSelection: _read_selection,
}
# Exact classes, for a subclass of a neuron has other dynamics; by name, for the module of CubaLIFNode imports lava-dl.
_NEURONS: dict[str, Callable[[str, Any], Reading]] = {
    **{
        f"{kind.__module__}.{kind.__qualname__}": _read_lif
        for kind in (
            neuron.LIFNode,
            neuron.IFNode,
            neuron.SimpleLIFNode,
            neuron.SimpleIFNode,
            neuron.ParametricLIFNode,
        )
    },
    "spikingjelly.activation_based.lava_exchange.CubaLIFNode": _read_cuba,
}


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
