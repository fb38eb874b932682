"""Recipes to plain SpikingJelly modules."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

from neuroprune.errors import InputError
from neuroprune.networks.recipe import ConvLayer, DropoutLayer, LinearLayer, NeuronModel, PoolLayer, Recipe
from neuroprune.networks.user import load_class

__all__ = ["SpikingNetwork", "build", "load_class"]

SURROGATES: dict[str, Callable[..., nn.Module]] = {
    "atan": surrogate.ATan,
    "sigmoid": surrogate.Sigmoid,
    "erf": surrogate.Erf,
    "soft_sign": surrogate.SoftSign,
    "piecewise_quadratic": surrogate.PiecewiseQuadratic,
}


class SpikingNetwork(nn.Module):
    """A spiking network: convolution and BatchNorm of the stem, then the body over all time steps.

    Frames [N, C, H, W] are presented at every step (direct coding), so the stem sees them once a sample; a sequence
    [T, N, C, H, W] brings a frame for each of the `steps`. Both become firing rates [N, classes] in 0..1.
    body: over [T, N, ...] (SpikingJelly's multi-step mode), ending in one neuron a class.
    """

    def __init__(self, stem: nn.Sequential, body: nn.Sequential, steps: int) -> None:
        super().__init__()
        self.stem = stem
        self.body = body
        self.steps = steps

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        # Written without a branch on the number of axes, which torch.fx could not follow.
        current = self.stem(frames.flatten(0, -4))
        current = current.reshape(frames.shape[:-3] + current.shape[1:])
        spikes = self.body(current.expand(self.steps, -1, -1, -1, -1))
        return spikes.mean(0)


def build(recipe: Recipe, input_shape: tuple[int, int, int], classes: int, seed: int = 0) -> SpikingNetwork:
    """The network of `recipe` for frames of `input_shape` (channels, height, width), with initial weights from `seed`.

    Raises InputError when a layer of the recipe leaves nothing of frames of this size.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(recipe, input_shape, classes)


def _build(recipe: Recipe, input_shape: tuple[int, int, int], classes: int) -> SpikingNetwork:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    channels, *extent = input_shape
    features: int | None = None
    blocks = 0
    for index, part in enumerate(recipe.layers):
        match part:
            case ConvLayer():
                blocks += 1
                kernel, stride = _pair(part.kernel), _pair(part.stride)
                padding = (kernel[0] // 2, kernel[1] // 2) if part.padding is None else _pair(part.padding)
                extent = _extent_after(extent, kernel, stride, padding, f"layers.{index} of {recipe.name}", input_shape)
                modules[f"conv{blocks}"] = layer.Conv2d(channels, part.conv, kernel, stride, padding, bias=False)
                modules[f"norm{blocks}"] = layer.BatchNorm2d(part.conv)
                modules[f"neuron{blocks}"] = _neuron(recipe.neuron)
                channels = part.conv
            case PoolLayer():
                size = _pair(part.size)
                extent = _extent_after(extent, size, size, (0, 0), f"layers.{index} of {recipe.name}", input_shape)
                pool = layer.AvgPool2d if part.pool == "average" else layer.MaxPool2d
                modules[f"pool{blocks}"] = pool(size)
            case LinearLayer():
                blocks += 1
                if features is None:
                    features = channels * extent[0] * extent[1]
                    modules["flatten"] = layer.Flatten()
                modules[f"linear{blocks}"] = layer.Linear(features, part.linear)
                modules[f"neuron{blocks}"] = _neuron(recipe.neuron)
                features = part.linear
            case DropoutLayer():
                modules[f"dropout{blocks}"] = layer.Dropout(part.dropout)
    if features is None:
        features = channels * extent[0] * extent[1]
        modules["flatten"] = layer.Flatten()
    modules["classifier"] = layer.Linear(features, classes)
    modules["output"] = _neuron(recipe.neuron)

    stem = nn.Sequential(OrderedDict((name, modules.pop(name)) for name in ("conv1", "norm1")))
    body = nn.Sequential(modules)
    functional.set_step_mode(body, "m")
    return SpikingNetwork(stem, body, recipe.steps)


def _neuron(model: NeuronModel) -> nn.Module:
    sharpness = {} if model.alpha is None else {"alpha": model.alpha}
    shared = {
        "v_threshold": model.v_threshold,
        "v_reset": 0.0,
        "surrogate_function": SURROGATES[model.surrogate](**sharpness),
        "detach_reset": model.detach_reset,
    }
    return neuron.LIFNode(tau=model.tau, **shared) if model.kind == "lif" else neuron.IFNode(**shared)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _extent_after(
    extent: list[int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    place: str,
    input_shape: tuple[int, int, int],
) -> list[int]:
    """Height and width after a window moves over `extent`. Raises InputError when the window does not fit in."""
    after = [(e + 2 * p - k) // s + 1 for e, k, s, p in zip(extent, kernel, stride, padding, strict=True)]
    if min(after) < 1:
        raise InputError(
            f"{place} has a window of {kernel[0]}x{kernel[1]}, but only {extent[0]}x{extent[1]} pixels are left there "
            f"of frames of {input_shape[1]}x{input_shape[2]}: use larger frames or fewer pools and strides"
        )
    return after
