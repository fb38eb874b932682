"""Builds the networks of recipes from plain SpikingJelly modules."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.networks.catalog import SurrogateKind
from neuroprune.networks.nir.build import read_referenced
from neuroprune.networks.nir.catalog import nir_reference, path_of
from neuroprune.networks.probing import present
from neuroprune.networks.recipe import (
    BlockLayer,
    ConvLayer,
    DepthwiseLayer,
    DropoutLayer,
    LinearLayer,
    NeuronModel,
    Part,
    PoolLayer,
    Recipe,
)
from neuroprune.networks.reference import parse_reference
from neuroprune.networks.residual import BLOCKS, Pair
from neuroprune.networks.user import load_code
from neuroprune.reading import reading
from neuroprune.selection import ChannelSelection

__all__ = ["SpikingNetwork", "build", "initial_network", "load_network"]

MOST_PARAMETERS = 1 << 30
"""A choice: 4 GiB of float32, and half as many 8-bit weights as 16,384 cores of 128 KiB have bytes for."""

SURROGATES: dict[SurrogateKind, Callable[..., nn.Module]] = {
    "atan": surrogate.ATan,
    "sigmoid": surrogate.Sigmoid,
    "erf": surrogate.Erf,
    "soft_sign": surrogate.SoftSign,
    "piecewise_quadratic": surrogate.PiecewiseQuadratic,
}


class SpikingNetwork(nn.Module):
    """A spiking network: convolution and BatchNorm of the stem, then the body over all time steps.

    Frames [N, C, H, W] are presented at every step (direct coding), so the stem computes them once per sample; a
    sequence [T, N, C, H, W] has a frame for each of the `steps`. The network returns scores [N, classes], the mean over
    time of the body's output: firing rates in 0..1, or voltages where it ends without neurons.
    body: over [T, N, ...] (SpikingJelly's multi-step mode), ending in one output per class.
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
        return self.body(current.expand(self.steps, -1, -1, -1, -1)).mean(0)


def build(recipe: Recipe, input_shape: tuple[int, int, int], classes: int, seed: int = 0) -> SpikingNetwork:
    """The network of `recipe` for frames of `input_shape` (channels, height, width), with initial weights from `seed`.

    Raises InputError when frames of this size are too small for a layer of the recipe, or the network is too large.

    >>> from neuroprune import build, load_recipe
    >>> network = build(load_recipe("digits-conv"), input_shape=(1, 8, 8), classes=10)
    >>> sum(parameter.numel() for parameter in network.parameters())
    84522
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _check_size(recipe, input_shape, classes)
        return _build(recipe, input_shape, classes)


def initial_network(
    model: Recipe | str,
    input_shape: tuple[int, int, int],
    classes: int,
    seed: int = 0,
    steps: int | None = None,
    sequence: bool = False,
) -> nn.Module:
    """The network of `model` as a training with `seed` begins with it: of a recipe, or of a class, "file.py:Class".

    The class is executed, with torch's generator at `seed`; its classes are its own, and samples are presented to it in
    the form that it takes (see `present`, also for steps and sequence). Raises InputError.
    """
    if isinstance(model, Recipe):
        return build(model, input_shape, classes, seed)
    return present(load_seeded(model, seed), input_shape, steps, sequence)


def load_network(reference: str) -> nn.Module:
    """The network that `reference` names: of a NIR file, "net.nir" or "net.nir(dt=1e-3)", or of Python code.

    Arguments of a NIR file are those of `read_nir`. Code is named "file.py:Name" or "package.module:Name", with or
    without "(T=4)": a torch.nn.Module, or a function or class that makes one; arguments are given by keyword. It is
    executed, as by `python file.py`, so name only what you trust; a file can import what lies beside it, and packages
    in the folders above.
    Raises InputError when something is missing, fails in whatever way, or the arguments do not fit.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import load_network
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "my_network.py")
    ...     characters = file.write_text("from torch import nn\\nclass Net(nn.Flatten): pass\\n")
    ...     load_network(f"{file}:Net(end_dim=2)")
    Net(start_dim=1, end_dim=2)
    """
    named = parse_reference(nir_reference(reference))
    path = path_of(named)
    return load_code(named) if path is None else read_referenced(path, named.arguments)


def load_seeded(reference: str, seed: int) -> nn.Module:
    """The network that `reference` names, made with torch's generator at `seed`. Raises InputError."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return load_network(reference)


def _check_size(recipe: Recipe, input_shape: tuple[int, int, int], classes: int) -> None:
    """Raises InputError for a network of more than MOST_PARAMETERS, before any of them takes memory."""
    subject = f"the network of recipe {capped(recipe.name)}"
    with reading(subject, "one that can be built", "make its layers smaller"), torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in _build(recipe, input_shape, classes).parameters())
    if parameters > MOST_PARAMETERS:
        raise InputError(
            f"{subject} has {parameters} parameters, and at most {MOST_PARAMETERS} are built: make its layers smaller"
        )


def _build(recipe: Recipe, input_shape: tuple[int, int, int], classes: int) -> SpikingNetwork:
    building = _Building(recipe, input_shape)
    for index, part in enumerate(recipe.layers):
        building.add(index, part)
    features = building.flatten()
    modules = building.modules
    modules["classifier"] = layer.Linear(features, classes * recipe.votes)
    if recipe.readout == "spikes":
        modules["output"] = building.fire()
    if recipe.votes > 1:
        modules["votes"] = layer.VotingLayer(recipe.votes)
    stem = nn.Sequential(OrderedDict((name, modules.pop(name)) for name in ("conv1", "norm1") if name in modules))
    body = nn.Sequential(modules)
    functional.set_step_mode(body, "m")
    return SpikingNetwork(stem, body, recipe.steps)


class _Building:
    """A network under construction: its modules so far, and the shape of the last one's output."""

    def __init__(self, recipe: Recipe, input_shape: tuple[int, int, int]) -> None:
        self.recipe = recipe
        self.input_shape = input_shape
        self.modules: OrderedDict[str, nn.Module] = OrderedDict()
        self.channels, *self.extent = input_shape
        self.features: int | None = None
        self.number = 0
        """The number of the last layer with weights, with which the names of modules end."""

    def add(self, index: int, part: Part) -> None:
        """The modules of `part`, the layer at `index` of the recipe."""
        match part:
            case ConvLayer():
                self._add_conv(index, part)
            case DepthwiseLayer():
                self._add_depthwise(index, part)
            case BlockLayer():
                self._add_blocks(index, part)
            case LinearLayer():
                features = self.flatten()
                self._name("linear", layer.Linear(features, part.linear))
                self._append("neuron", self.fire())
                self.features = part.linear
            case PoolLayer(pool="global"):
                self._append("pool", layer.AdaptiveAvgPool2d(1))
                self.extent = [1, 1]
            case PoolLayer():
                size = _pair(part.size or 2)
                self._shrink(index, size, size, (0, 0))
                self._append("pool", layer.AvgPool2d(size) if part.pool == "average" else layer.MaxPool2d(size))
            case DropoutLayer():
                self._append("dropout", layer.Dropout(part.dropout))

    def fire(self) -> nn.Module:
        return _neuron(self.recipe.neuron)

    def flatten(self) -> int:
        """The number of features; adds a Flatten where the output so far are maps."""
        if self.features is None:
            self.features = self.channels * self.extent[0] * self.extent[1]
            self.modules["flatten"] = layer.Flatten()
        return self.features

    def _add_conv(self, index: int, part: ConvLayer) -> None:
        kernel, stride = _pair(part.kernel), _pair(part.stride)
        padding = _same(kernel) if part.padding is None else _pair(part.padding)
        self._shrink(index, kernel, stride, padding)
        self._name("conv", layer.Conv2d(self.channels, part.conv, kernel, stride, padding, bias=False))
        self.channels = part.conv
        reader = self._reader_of_current(index)
        if reader != "preact":
            self._append("norm", layer.BatchNorm2d(self.channels))
        if reader is None:
            self._append("neuron", self.fire())

    def _add_depthwise(self, index: int, part: DepthwiseLayer) -> None:
        kernel, stride, channels = _pair(part.depthwise), _pair(part.stride), self.channels
        self._shrink(index, kernel, stride, _same(kernel))
        conv = layer.Conv2d(channels, channels, kernel, stride, _same(kernel), groups=channels, bias=False)
        self._name("conv", conv)
        self._append("norm", layer.BatchNorm2d(channels))
        self._append("neuron", self.fire())

    def _add_blocks(self, index: int, part: BlockLayer) -> None:
        for repeated in range(part.repeat):
            stride = _pair(part.stride) if repeated == 0 else (1, 1)
            self._shrink(index, (3, 3), stride, (1, 1))
            self._name("block", BLOCKS[part.block](self.channels, part.channels, stride, self.fire))
            self.channels = part.channels
        if part.takes_current and self._reader_of_current(index) is None:
            if part.block == "preact":
                self._append("norm", layer.BatchNorm2d(self.channels))
                self._append("selection", ChannelSelection(self.channels))
            self._append("neuron", self.fire())

    def _reader_of_current(self, index: int) -> str | None:
        """The kind of the block after the layer at `index`, if that begins with neurons of its own."""
        after = self.recipe.layers[index + 1] if index + 1 < len(self.recipe.layers) else None
        return after.block if isinstance(after, BlockLayer) and after.takes_current else None

    def _name(self, kind: str, module: nn.Module) -> None:
        """Append a layer with weights under the next number."""
        self.number += 1
        self._append(kind, module)

    def _append(self, kind: str, module: nn.Module) -> None:
        """Append under a unique name: two pools after the first layer are pool1 and pool1_2."""
        name = first = f"{kind}{self.number}"
        count = 1
        while name in self.modules:
            count += 1
            name = f"{first}_{count}"
        self.modules[name] = module

    def _shrink(self, index: int, window: Pair, stride: Pair, padding: Pair) -> None:
        """Set the extent to that after a window moved over the map. Raises InputError when the window does not fit."""
        sizes = zip(self.extent, window, stride, padding, strict=True)
        after = [(size + 2 * pad - kernel) // step + 1 for size, kernel, step, pad in sizes]
        if min(after) < 1:
            raise InputError(
                f"layers.{index} of {self.recipe.name} has a window of {window[0]}x{window[1]}, but only "
                f"{self.extent[0]}x{self.extent[1]} pixels are left there of frames of "
                f"{self.input_shape[1]}x{self.input_shape[2]}: use larger frames or fewer pools and strides"
            )
        self.extent = after


def _neuron(model: NeuronModel) -> nn.Module:
    sharpness = {} if model.alpha is None else {"alpha": model.alpha}
    shared = {
        "v_threshold": model.v_threshold,
        "v_reset": 0.0 if model.reset == "zero" else None,
        "surrogate_function": SURROGATES[model.surrogate](**sharpness),
        "detach_reset": model.detach_reset,
    }
    match model.kind:
        case "lif":
            return neuron.LIFNode(tau=model.tau, **shared)
        case "plif":
            return neuron.ParametricLIFNode(init_tau=model.tau, **shared)
        case "if":
            return neuron.IFNode(**shared)


def _same(kernel: Pair) -> Pair:
    """The padding that keeps the size of a map at stride 1, for odd kernels."""
    return kernel[0] // 2, kernel[1] // 2


def _pair(size: int | Pair) -> Pair:
    return (size, size) if isinstance(size, int) else size
