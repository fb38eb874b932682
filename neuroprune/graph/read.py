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
from neuroprune.graph.catalog import LAYERS, REFUSED, supported_layers
from neuroprune.graph.nodes import (
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Flatten,
    Linear,
    MaxPool,
    Op,
    Pair,
    PixelShuffle,
    Resample,
    Select,
    Shape,
    Upsample,
)
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
    reason = next((REFUSED[each.__name__] for each in type(module).__mro__ if each.__name__ in REFUSED), None)
    if reason is not None:
        return None, f"layer {name}: {type(module).__name__} cannot be mapped, since {reason}"
    known = ", ".join(supported_layers())
    return None, f"layer {name}: {type(module).__name__} has no counterpart on the chip; use one of {known}"


def _known_class(module: nn.Module) -> type[nn.Module] | None:
    """The class that it is read as, if any; the code of a subclass with a `forward` of its own is followed instead."""
    kind = next((each for each in type(module).__mro__ if each in _READERS), None)
    return kind if kind is not None and type(module).forward is kind.forward else None


def _read_conv(name: str, module: Any, shape: Shape) -> Reading:
    if module.padding_mode != "zeros":
        return None, f"layer {name}: padding mode {module.padding_mode!r} cannot be mapped; use 'zeros'"
    weight = finite_array(name, "weight", module.get_weight() if isinstance(module, layer.WSConv2d) else module.weight)
    bias = finite_array(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_channels)
    dilation, padding = _pair(module.dilation), module.padding
    if padding == "same":  # torch pads one more behind than before where it must
        total = tuple(step * (size - 1) for step, size in zip(dilation, weight.shape[2:], strict=True))
        odd = tuple(each % 2 for each in total)
        if any(one and step > 1 for one, step in zip(odd, dilation, strict=True)):
            return None, f"layer {name}: padding 'same' of {total} with a dilation cannot be mapped; give it in pixels"
        weight = frozen_array(np.pad(weight, ((0, 0), (0, 0), (odd[0], 0), (odd[1], 0))), np.float64)
        padding = tuple((each + 1) // 2 for each in total)
    elif padding == "valid":
        padding = 0
    return Conv(weight, bias, _pair(module.stride), _pair(padding), dilation, int(module.groups)), None


def _read_conv_transpose(name: str, module: Any, shape: Shape) -> Reading:
    """The output's size, which output_padding makes larger, is that of what the layer gives."""
    given = finite_array(name, "weight", module.weight)
    bias = finite_array(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_channels)
    inputs, outputs, *kernel = given.shape
    groups = int(module.groups)
    by_group = given.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    weight = frozen_array(by_group.reshape(groups * outputs, inputs // groups, *kernel), np.float64)
    sizes = _pair(module.stride), _pair(module.padding), _pair(module.dilation)
    return ConvTranspose(weight, bias, *sizes, groups), None


def _read_upsample(name: str, module: Any, shape: Shape) -> Reading:
    if module.mode not in ("nearest", "nearest-exact"):
        return None, (
            f"layer {name}: mode {module.mode!r} repeats what lies at the edge beyond it, which zero padding does not; "
            "use mode='nearest' or a ConvTranspose2d"
        )
    if len(shape) != 3:
        return None, f"layer {name}: it makes {shape} larger, and only maps of [channels, height, width] are"
    extents = shape[1:]
    wanted = module.size if module.scale_factor is None else module.scale_factor
    both = tuple(wanted) if isinstance(wanted, tuple | list) else (wanted, wanted)
    size = tuple(
        int(want) if module.scale_factor is None else int(want * extent)
        for want, extent in zip(both, extents, strict=True)
    )
    if any(want % extent for want, extent in zip(size, extents, strict=True)):
        return None, (
            f"layer {name}: it makes maps of {size[0]}x{size[1]} of those of {extents[0]}x{extents[1]}, and only whole "
            "multiples are read; use a factor of 2, 3, ..., or pool to make them smaller"
        )
    return Upsample((size[0] // extents[0], size[1] // extents[1])), None


def _read_pixel_shuffle(name: str, module: Any, shape: Shape) -> Reading:
    return PixelShuffle(int(module.upscale_factor)), None


def _read_conv_over_time(name: str, module: Any, shape: Shape) -> Reading:
    """Conv3d along whose first or last axis nothing is mixed; the tensor tells whether that is time (`acts_alike`)."""
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        return None, f"layer {name}: padding {module.padding!r} cannot be mapped; give it in pixels, of zeros"
    sizes = (module.kernel_size, module.stride, module.padding)
    axis = _idle_axis(*sizes)
    if axis is None:
        return (
            None,
            f"layer {name}: its kernel of {tuple(module.kernel_size)} reaches over time; use Conv2d for each step",
        )
    weight = finite_array(name, "weight", module.weight.squeeze(axis - 3))
    bias = finite_array(name, "bias", module.bias) if module.bias is not None else _zeros(module.out_channels)
    stride, padding, dilation = (_without(each, axis) for each in (*sizes[1:], module.dilation))
    return Conv(weight, bias, stride, padding, dilation, int(module.groups)), None


def _idle_axis(kernel: Any, stride: Any, padding: Any) -> int | None:
    """The first or the last of three axes, where windows have size 1 and move by 1; None where neither is such."""
    kernel, stride, padding = (_triple(each) for each in (kernel, stride, padding))
    return next((axis for axis in (0, 2) if (kernel[axis], stride[axis], padding[axis]) == (1, 1, 0)), None)


def _triple(value: Any) -> tuple[int, ...]:
    return tuple(int(each) for each in value) if isinstance(value, tuple | list) else (int(value),) * 3


def _without(value: Any, axis: int) -> Pair:
    first, second = (each for at, each in enumerate(_triple(value)) if at != axis)
    return first, second


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
    if np.any(module.padding) and not module.count_include_pad:
        return None, f"layer {name}: count_include_pad=False with padding cannot be mapped; set it to True"
    sizes = _window_of(module)
    if sizes is None:
        return None, f"layer {name}: its windows of {module.kernel_size} reach over time; use AvgPool2d for each step"
    return AvgPool(*sizes), None


def _window_of(module: Any) -> tuple[Pair, Pair, Pair] | None:
    """Kernel, stride and padding of a pooling; None for one that pools over time."""
    sizes = module.kernel_size, module.stride, module.padding
    if not isinstance(module, nn.AvgPool3d | nn.MaxPool3d):
        return _pair(sizes[0]), _pair(sizes[1]), _pair(sizes[2])
    axis = _idle_axis(*sizes)
    return None if axis is None else (_without(sizes[0], axis), _without(sizes[1], axis), _without(sizes[2], axis))


def _read_max_pool(name: str, module: Any, shape: Shape) -> Reading:
    if module.ceil_mode:
        return None, f"layer {name}: ceil_mode=True cannot be mapped; set it to False"
    sizes = _window_of(module)
    if sizes is None or (isinstance(module, nn.MaxPool3d) and set(_triple(module.dilation)) != {1}):
        return None, f"layer {name}: its windows of {module.kernel_size} reach over time; use MaxPool2d for each step"
    return MaxPool(*sizes, (1, 1) if isinstance(module, nn.MaxPool3d) else _pair(module.dilation)), None


def _read_global_pool(name: str, module: Any, shape: Shape) -> Reading:
    sizes = module.output_size
    if isinstance(module, nn.AdaptiveAvgPool3d):
        three = tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,) * 3
        axis = next((axis for axis in (0, 2) if three[axis] is None), None)
        if axis is None:
            return None, f"layer {name}: its output size {sizes} is one over time; use AdaptiveAvgPool2d for each step"
        sizes = tuple(each for at, each in enumerate(three) if at != axis)
    sizes = sizes if isinstance(sizes, tuple | list) else (sizes,) * 2
    extents = shape[1:]
    size = tuple(extent if want is None else int(want) for want, extent in zip(sizes, extents, strict=True))
    if any(extent % want for want, extent in zip(size, extents, strict=True)):
        return Resample(*(_window_means(want, extent) for want, extent in zip(size, extents, strict=True))), None
    window = (extents[0] // size[0], extents[1] // size[1])
    return AvgPool(window, window), None


def _window_means(size: int, extent: int) -> FloatArray:
    """[size, extent]: the means that adaptive pooling takes along one axis, over windows as torch cuts them."""
    means = np.zeros((size, extent))
    for place in range(size):
        start, end = place * extent // size, -(-(place + 1) * extent // size)
        means[place, start:end] = 1.0 / (end - start)
    return frozen_array(means, np.float64)


def _read_flatten(name: str, module: Any, shape: Shape) -> Reading:
    return Flatten(), None


def _read_selection(name: str, module: Any, shape: Shape) -> Reading:
    return Select(frozen_array(module.channels.cpu().numpy(), np.int64)), None


_READER_OF: dict[str, Callable[[str, Any, Shape], Reading]] = {
    "conv": _read_conv,
    "conv over time": _read_conv_over_time,
    "transposed conv": _read_conv_transpose,
    "linear": _read_linear,
    "batch norm": _read_batch_norm,
    "average pool": _read_avg_pool,
    "adaptive pool": _read_global_pool,
    "upsampling": _read_upsample,
    "pixel shuffle": _read_pixel_shuffle,
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
