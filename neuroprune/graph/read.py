"""Reads layers as operations of the traced graph.

There is one reader for each kind of layer; it also gives the reason why a layer cannot be mapped.
"""

import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from spikingjelly.activation_based import layer
from torch import nn

from neuroprune.arrays import FloatArray, frozen_array
from neuroprune.finite import finite_array
from neuroprune.graph.catalog import LAYERS, supported_layers
from neuroprune.graph.nodes import AvgPool, BatchNorm, Conv, Flatten, Linear, MaxPool, Op, Pair, Select, Shape
from neuroprune.graph.overrides import added, overridden
from neuroprune.neurons.model import FloatNeuron, NeuronModel

Reading = tuple[Op | None, str | None]
"""An operation, or the sentence that says why there is none."""


class Readers:
    """The readers of a network's layers: those of this file, and those of the given neuron models."""

    def __init__(self, neurons: Sequence[NeuronModel]) -> None:
        self._neurons = tuple(neurons)

    def know(self, module: nn.Module) -> bool:
        """Whether `read` knows a layer of the class of `module`."""
        return _known_class(module) is not None or self._neuron_reader(module) is not None

    def read(self, name: str, module: nn.Module, shape: Shape) -> Reading:
        """The operation of the layer at path `name` on inputs of `shape`, or why it has none.

        Raises InputError if one of its weights is not finite.
        """
        of_neurons = self._neuron_reader(module)
        if of_neurons is not None:
            found = of_neurons(name, module)
            return (None, found) if isinstance(found, str) else (found, None)
        base = next((each for each in type(module).__mro__ if self._is_neuron(each)), None)
        if base is not None and (names := added(module, base)):  # some releases of SpikingJelly call what others do not
            return None, (
                f"layer {name}: {type(module).__name__} is a {base.__name__} with {' and '.join(names)} of its own, so "
                f"its dynamics may be others; use {base.__name__} as it is"
            )
        return read_layer(name, module, shape)

    def _is_neuron(self, kind: type[nn.Module]) -> bool:
        return any(model.reader_of_class(kind) for model in self._neurons)

    def _neuron_reader(self, module: nn.Module) -> Callable[[str, nn.Module], FloatNeuron | str] | None:
        return next((reader for model in self._neurons if (reader := model.reader_of(module))), None)


def read_layer(name: str, module: nn.Module, shape: Shape) -> Reading:
    """As `Readers.read`, of layers other than neurons."""
    kind = _known_class(module)
    if kind is not None:
        if names := overridden(module, kind):
            return None, (
                f"layer {name}: {type(module).__name__} overrides {' and '.join(names)} of {kind.__name__}, so it may "
                f"compute something else; use {kind.__name__} as it is"
            )
        return _READERS[kind](name, module, shape)
    known = ", ".join(supported_layers())
    return None, f"layer {name}: {type(module).__name__} has no counterpart on the chip; use one of {known}"


def _known_class(module: nn.Module) -> type[nn.Module] | None:
    """The class that it is read as, if any; the code of a subclass with a `forward` of its own is followed instead."""
    kind = next((each for each in type(module).__mro__ if each in _READERS), None)
    return kind if kind is not None and type(module).forward is kind.forward else None


def _read_conv(name: str, module: Any, shape: Shape) -> Reading:
    if module.padding_mode != "zeros":
        return None, f"layer {name}: padding mode {module.padding_mode!r} cannot be mapped; use 'zeros'"
    if isinstance(module.padding, str):
        return None, f"layer {name}: padding {module.padding!r} cannot be mapped; give it in pixels"
    weight = finite_array(name, "weight", module.get_weight() if isinstance(module, layer.WSConv2d) else module.weight)
    bias = finite_array(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_channels)
    return (
        Conv(weight, bias, _pair(module.stride), _pair(module.padding), _pair(module.dilation), int(module.groups)),
        None,
    )


def _read_linear(name: str, module: Any, shape: Shape) -> Reading:
    weight = finite_array(name, "weight", module.get_weight() if isinstance(module, layer.WSLinear) else module.weight)
    bias = finite_array(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_features)
    return Linear(weight, bias), None


def _read_batch_norm(name: str, module: Any, shape: Shape) -> Reading:
    if module.running_mean is None:
        return None, f"layer {name}: it keeps no running statistics; set track_running_stats=True and train again"
    mean = finite_array(name, "running mean", module.running_mean)
    variance = finite_array(name, "running variance", module.running_var)
    gamma = finite_array(name, "weight", module.weight) if module.affine else np.ones_like(mean)
    beta = finite_array(name, "bias", module.bias) if module.affine else np.zeros_like(mean)
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
    sizes = module.output_size if isinstance(module.output_size, tuple | list) else (module.output_size,) * 2
    extents = shape[1:]
    size = tuple(extent if want is None else int(want) for want, extent in zip(sizes, extents, strict=True))
    if any(extent % want for want, extent in zip(size, extents, strict=True)):
        return None, (
            f"layer {name}: adaptive pooling of {extents[0]}x{extents[1]} to {size[0]}x{size[1]} takes windows of "
            "different sizes; choose a size that divides its input"
        )
    window = (extents[0] // size[0], extents[1] // size[1])
    return AvgPool(window, window), None


def _read_flatten(name: str, module: Any, shape: Shape) -> Reading:
    return Flatten(), None


def _read_selection(name: str, module: Any, shape: Shape) -> Reading:
    return Select(frozen_array(module.channels.cpu().numpy(), np.int64)), None


_READER_OF: dict[str, Callable[[str, Any, Shape], Reading]] = {
    "conv": _read_conv,
    "linear": _read_linear,
    "batch norm": _read_batch_norm,
    "average pool": _read_avg_pool,
    "adaptive pool": _read_global_pool,
    "maximum pool": _read_max_pool,
    "flatten": _read_flatten,
    "selection": _read_selection,
}
_READERS: dict[type[nn.Module], Callable[[str, Any, Shape], Reading]] = {
    pkgutil.resolve_name(path): _READER_OF[info.name] for info in LAYERS for path in info.classes
}


def _pair(value: Any) -> Pair:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple | list) else (int(value), int(value))


def _zeros(count: int) -> FloatArray:
    return frozen_array(np.zeros(count), np.float64)
