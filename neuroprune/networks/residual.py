"""Residual blocks of the kinds that the literature trains, from plain SpikingJelly layers.

Every block takes and returns maps [T, N, channels, height, width] (multi-step) or [N, ...] (single-step), with two 3x3
convolutions inside; `stride` is that of the first. Where channels or size change, a 1x1 convolution is the shortcut.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from spikingjelly.activation_based import layer
from torch import nn

from neuroprune.networks.catalog import BlockKind
from neuroprune.selection import ChannelSelection

Pair = tuple[int, int]
Fire = Callable[[], nn.Module]
"""Makes a layer of neurons."""

SHARE = 0.5**0.5
"""Initial scale of each of two normalised currents that are added, so that their sum is normalised again (tdBN)."""


class TdBlock(nn.Module):
    """Spikes in, spikes out: two normalised convolutions, the shortcut added to the current of the last neurons.

    Zheng et al., "Going Deeper With Directly-Trained Larger Spiking Neural Networks" (AAAI 2021). The threshold of
    their normalisation is in the scales here.
    """

    def __init__(self, inputs: int, channels: int, stride: Pair, fire: Fire) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, channels, 3, stride)
        self.norm1 = _norm(channels)
        self.neuron1 = fire()
        self.conv2 = _conv(channels, channels, 3)
        self.norm2 = _norm(channels, SHARE)
        self.shortcut: nn.Module = nn.Identity()
        if _changes(inputs, channels, stride):
            self.shortcut = _named(conv=_conv(inputs, channels, 1, stride), norm=_norm(channels, SHARE))
        self.neuron2 = fire()

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        current = self.norm2(self.conv2(self.neuron1(self.norm1(self.conv1(spikes)))))
        return self.neuron2(current + self.shortcut(spikes))


class SewBlock(nn.Module):
    """Spikes in, sums of spikes out: the shortcut is added after the last neurons.

    Fang et al., "Deep Residual Learning in Spiking Neural Networks" (NeurIPS 2021), with g = ADD.
    """

    def __init__(self, inputs: int, channels: int, stride: Pair, fire: Fire) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, channels, 3, stride)
        self.norm1 = _norm(channels)
        self.neuron1 = fire()
        self.conv2 = _conv(channels, channels, 3)
        self.norm2 = _norm(channels)
        self.neuron2 = fire()
        self.shortcut: nn.Module = nn.Identity()
        if _changes(inputs, channels, stride):
            self.shortcut = _named(conv=_conv(inputs, channels, 1, stride), norm=_norm(channels), neuron=fire())

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        inner = self.neuron1(self.norm1(self.conv1(spikes)))
        return self.neuron2(self.norm2(self.conv2(inner))) + self.shortcut(spikes)


class MsBlock(nn.Module):
    """Currents in, currents out: neurons before each convolution, the shortcut joins membrane to membrane.

    Hu et al., "Advancing Spiking Neural Networks Toward Deep Residual Learning" (2021). Where channels or size change,
    the shortcut reads the spikes of the first neurons, as in He et al. 2016, so that only spikes are multiplied with
    weights; Hu et al. put the current itself through it.
    """

    def __init__(self, inputs: int, channels: int, stride: Pair, fire: Fire) -> None:
        super().__init__()
        self.neuron1 = fire()
        self.conv1 = _conv(inputs, channels, 3, stride)
        self.norm1 = _norm(channels)
        self.neuron2 = fire()
        self.conv2 = _conv(channels, channels, 3)
        self.norm2 = _norm(channels)
        self.shortcut: nn.Module | None = None
        if _changes(inputs, channels, stride):
            self.shortcut = _named(conv=_conv(inputs, channels, 1, stride), norm=_norm(channels))

    def forward(self, current: torch.Tensor) -> torch.Tensor:
        spikes = self.neuron1(current)
        inner = self.norm2(self.conv2(self.neuron2(self.norm1(self.conv1(spikes)))))
        return inner + (current if self.shortcut is None else self.shortcut(spikes))


class PreactBlock(nn.Module):
    """Currents in, currents out: normalisation, channel selection and neurons before the first convolution.

    He et al., "Identity Mappings in Deep Residual Networks" (2016), with the channel selection that network slimming
    (Liu et al. 2017) prunes by. Where channels or size change, the shortcut reads the spikes of the first neurons.
    """

    def __init__(self, inputs: int, channels: int, stride: Pair, fire: Fire) -> None:
        super().__init__()
        self.norm1 = _norm(inputs)
        self.selection = ChannelSelection(inputs)
        self.neuron1 = fire()
        self.conv1 = _conv(inputs, channels, 3, stride)
        self.norm2 = _norm(channels)
        self.neuron2 = fire()
        self.conv2 = _conv(channels, channels, 3)
        self.shortcut = _conv(inputs, channels, 1, stride) if _changes(inputs, channels, stride) else None

    def forward(self, current: torch.Tensor) -> torch.Tensor:
        spikes = self.neuron1(self.selection(self.norm1(current)))
        inner = self.conv2(self.neuron2(self.norm2(self.conv1(spikes))))
        return inner + (current if self.shortcut is None else self.shortcut(spikes))


BLOCKS: dict[BlockKind, Callable[[int, int, Pair, Fire], nn.Module]] = {
    "td": TdBlock,
    "sew": SewBlock,
    "ms": MsBlock,
    "preact": PreactBlock,
}


def _conv(inputs: int, outputs: int, kernel: int, stride: Pair = (1, 1)) -> nn.Module:
    return layer.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def _norm(channels: int, scale: float = 1.0) -> nn.Module:
    norm = layer.BatchNorm2d(channels)
    nn.init.constant_(norm.weight, scale)
    return norm


def _named(**modules: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(modules))


def _changes(inputs: int, channels: int, stride: Pair) -> bool:
    return inputs != channels or stride != (1, 1)
