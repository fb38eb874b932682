"""Layers written as functions, with the parameters that they are given: torch.nn.functional."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from neuroprune.graph.evaluate import acts_alike
from neuroprune.graph.operation import Followed, Operation, is_whole
from neuroprune.graph.read import read_layer
from neuroprune.graph.signals import Signal, Symbol, TimeSum

_POOLS: dict[str, type[nn.Module]] = {
    "avg_pool2d": nn.AvgPool2d,
    "avg_pool3d": nn.AvgPool3d,
    "max_pool2d": nn.MaxPool2d,
    "max_pool3d": nn.MaxPool3d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "adaptive_avg_pool3d": nn.AdaptiveAvgPool3d,
}


def _pool(op: Operation) -> Followed:
    """Pooling as a function is the layer of that name."""
    parameters = {name: value for name, value in op.kwargs.items() if value is not None}
    return _as_layer(op, _POOLS[op.name](*op.args[1:], **parameters), f"{op.args[0].node}.pool")


def _upsample(op: Operation) -> Followed:
    given = _arguments(op, "input size scale_factor mode")
    layer = nn.Upsample(given.get("size"), given.get("scale_factor"), given.get("mode", "nearest"))
    return _as_layer(op, layer, f"{op.args[0].node}.upsample")


def _pixel_shuffle(op: Operation) -> Followed:
    return _as_layer(op, nn.PixelShuffle(op.argument(1, "upscale_factor")), f"{op.args[0].node}.shuffle")


def _conv(op: Operation) -> Followed:
    order = "output_padding groups dilation" if op.name == "conv_transpose2d" else "dilation groups"
    given = _arguments(op, f"input weight bias stride padding {order}")
    weight = given["weight"]
    if isinstance(weight, Symbol) or isinstance(given.get("bias"), Symbol):
        return "its weights depend on the input; use a layer with parameters"
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    of_shape = {name: given[name] for name in names if name in given}
    groups = int(of_shape.get("groups", 1))
    kind: Any = {"conv2d": nn.Conv2d, "conv3d": nn.Conv3d, "conv_transpose2d": nn.ConvTranspose2d}[op.name]
    channels = (weight.shape[0], weight.shape[1] * groups)
    with torch.device("meta"):
        inputs, outputs = channels if kind is nn.ConvTranspose2d else channels[::-1]
        layer = kind(inputs, outputs, tuple(weight.shape[2:]), bias=False, **of_shape)
    return _as_layer(op, _with_parameters(layer, given), _owner(op, weight))


def _linear(op: Operation) -> Followed:
    given = _arguments(op, "input weight bias")
    weight = given["weight"]
    if isinstance(weight, Symbol) or isinstance(given.get("bias"), Symbol):
        return "its weights depend on the input; use a layer with parameters"
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    return _as_layer(op, _with_parameters(layer, given), _owner(op, weight))


def _with_parameters(layer: nn.Module, given: dict[str, Any]) -> nn.Module:
    bias = given.get("bias")
    parameters: dict[str, Any] = layer._parameters
    parameters["weight"] = nn.Parameter(given["weight"].detach(), requires_grad=False)
    parameters["bias"] = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
    return layer


def _batch_norm(op: Operation) -> Followed:
    given = _arguments(op, "input running_mean running_var weight bias training momentum eps")
    if given.get("training"):
        return "it normalises by the values of the batch; put the layer into evaluation mode"
    mean, variance = given.get("running_mean"), given.get("running_var")
    if not isinstance(mean, torch.Tensor) or not isinstance(variance, torch.Tensor):
        return "it keeps no running statistics; set track_running_stats=True and train again"
    layer = nn.BatchNorm2d(len(mean), eps=given.get("eps", 1e-5), affine=given.get("weight") is not None)
    layer.running_mean, layer.running_var = mean.detach(), variance.detach()
    if given.get("weight") is not None:
        _with_parameters(layer, given)
    return _as_layer(op, layer, _owner(op, given.get("weight", mean)))


def _arguments(op: Operation, names: str) -> dict[str, Any]:
    """The arguments of the call by name."""
    return {**dict(zip(names.split(), op.args, strict=False)), **op.kwargs}


def _owner(op: Operation, parameter: torch.Tensor) -> str:
    """The module that a parameter belongs to, by its path; else a name for what the running module does."""
    return op.recorder.owners.get(id(parameter)) or op.recorder.scoped(op.name)


def _as_layer(op: Operation, layer: nn.Module, name: str) -> Followed:
    """What `layer` gives, if it does the same to each step of each sample."""
    signal = op.args[0]
    if isinstance(signal, TimeSum):
        return op.recorder.after_time(name, layer, signal, op.value)
    if not is_whole(signal):
        return None
    assert isinstance(signal, Signal)
    found, problem = read_layer(op.name, layer, signal.sample)
    if found is None:
        return problem and problem.split(": ", 1)[1]
    if not acts_alike(found, lambda value: op.function(value, *op.args[1:], **op.kwargs), signal):
        return "it works across the axes of time or of the batch"
    what: tuple[Any, ...] = (op.name, name, *(_identity(value) for value in vars(found).values()))
    shape = signal.layout.sample(tuple(op.value.shape))
    return op.like(signal, op.recorder.node(name, what, found, (signal.node,), shape))


def _identity(value: Any) -> Any:
    return value.tobytes() if hasattr(value, "tobytes") else value


FUNCTIONAL: dict[str, Callable[[Operation], Followed]] = {
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(("conv2d", "conv3d", "conv_transpose2d"), _conv),
    **dict.fromkeys(("interpolate", "upsample", "upsample_nearest"), _upsample),
    "pixel_shuffle": _pixel_shuffle,
    "linear": _linear,
    "batch_norm": _batch_norm,
}
