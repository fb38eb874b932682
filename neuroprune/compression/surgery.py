"""Removing channels from a copy of a network."""

import copy
from collections.abc import Mapping

import torch
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.select import Mask
from neuroprune.training.tensors import load_tensors

OUTPUT_TENSORS = ("weight", "bias", "running_mean", "running_var", "channels")
"""Tensors of a convolution, linear layer, BatchNorm or channel selection whose first axis is its output channels."""


def duplicate(module: nn.Module) -> nn.Module:
    """A deep copy; the neurons of both are reset, since a state with a gradient cannot be copied."""
    functional.reset_net(module)
    return copy.deepcopy(module)


def remove_channels(module: nn.Module, groups: tuple[ChannelGroup, ...], kept: Mapping[str, Mask]) -> nn.Module:
    """A copy that has only the `kept` channels (masks by group).

    In evaluation mode it computes the same as the network with scale and shift of the other channels set to 0.
    """
    tensors = dict(module.state_dict())
    for group in groups:
        stays = torch.from_numpy(kept[group.name]).nonzero().flatten()
        for stage in group.stages:
            for layer in (stage.producer, stage.norm) if stage.gathers is None else (stage.producer,):
                for name in _names(module, layer, OUTPUT_TENSORS):
                    tensors[name] = _take(tensors[name], 0, stays)
        for consumer in group.consumers:
            for name in _names(module, consumer, ("weight",)):
                tensors[name] = _take(tensors[name], 1, _inputs(stays, tensors[name].shape[1] // group.channels))
    slim = duplicate(module)
    load_tensors(slim, tensors)
    return slim


def _names(module: nn.Module, layer: str, tensors: tuple[str, ...]) -> list[str]:
    """What the state_dict calls those of `tensors` that `layer` has, once for every path the layer is held under."""
    owner = module.get_submodule(layer)
    paths = [path for path, other in module.named_modules(remove_duplicate=False) if other is owner]
    return [f"{path}.{name}" for path in paths for name in tensors if getattr(owner, name, None) is not None]


def _take(tensor: torch.Tensor, axis: int, index: torch.Tensor) -> torch.Tensor:
    return tensor.index_select(axis, index.to(tensor.device))


def _inputs(channels: torch.Tensor, block: int) -> torch.Tensor:
    """The inputs of a layer that `channels` feed, `block` neighbours each: more than one after a Flatten."""
    return (channels[:, None] * block + torch.arange(block)).flatten()
