"""Silencing channels of a network, and removing them from a copy of it."""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from spikingjelly.activation_based import functional, layer
from torch import nn

from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.select import Mask
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.graph.nodes import Graph
from neuroprune.graph.trace import trace
from neuroprune.neurons.model import NeuronModel
from neuroprune.selection import ChannelSelection
from neuroprune.training.tensors import load_tensors

OUTPUT_TENSORS = ("weight", "bias", "gain", "running_mean", "running_var", "channels")
"""Tensors of a convolution, linear layer, BatchNorm or channel selection whose first axis is its output channels."""


def duplicate(module: nn.Module) -> nn.Module:
    """A deep copy; the neurons of both are reset, since a state with a gradient cannot be copied."""
    functional.reset_net(module)
    return copy.deepcopy(module)


def removable(module: nn.Module, groups: tuple[ChannelGroup, ...]) -> tuple[ChannelGroup, ...]:
    """Those of the `groups`, read from `module`, that its layers let be silenced and removed.

    Every layer must have a weight in the state_dict (so BatchNorms without scales are left out, and reparametrised
    weights) that no other layer shares; consumers may not standardise it over their inputs; and a channel selection
    must be a layer of its own, since channels that code picks out by number cannot be cut.
    """
    tensors = module.state_dict()
    shares = Counter(id(parameter) for each in module.modules() for parameter in each.parameters(recurse=False))

    def has_own_weight(path: str) -> bool:
        if f"{path}.weight" not in tensors:  # of a layer, or none where code computes with a weight of its own
            return False
        return all(shares[id(each)] == 1 for each in module.get_submodule(path).parameters(recurse=False))

    def selects(path: str) -> bool:
        return f"{path}.channels" in tensors and isinstance(module.get_submodule(path), ChannelSelection)

    def fits(group: ChannelGroup) -> bool:
        weighted = (*group.producers, *group.consumers, *(norm for norm, _ in group.scales))
        return (
            all(map(selects, (*group.selections, *(gather.selection for gather in group.gathers))))
            and all(map(has_own_weight, weighted))
            and not any(
                isinstance(module.get_submodule(consumer), layer.WSConv2d | layer.WSLinear)
                for consumer in group.consumers
            )
        )

    return tuple(group for group in groups if fits(group))


def silence_channels(module: nn.Module, groups: tuple[ChannelGroup, ...], kept: Mapping[str, Mask]) -> None:
    """Set all channels but the `kept` ones (masks by group) of `module` itself to 0, so that their neurons never fire.

    Scale and shift of their BatchNorms become 0; where something other than a BatchNorm reads a producer, its weights
    and bias do.
    """
    with torch.no_grad():
        for group in groups:
            gone = torch.from_numpy(~kept[group.name]).nonzero().flatten()
            for producer in group.bare:
                _zero(module.get_submodule(producer), gone)
            for norm, places in group.scales:
                _zero(module.get_submodule(norm), torch.tensor(places)[gone])


def remove_channels(module: nn.Module, groups: tuple[ChannelGroup, ...], kept: Mapping[str, Mask]) -> nn.Module:
    """A copy that has only the `kept` channels (masks by group).

    In evaluation mode it computes the same as the network in which the other channels are silenced.
    """
    tensors = dict(module.state_dict())
    for group in groups:
        stays = torch.from_numpy(kept[group.name]).nonzero().flatten()
        for path in (*group.producers, *group.norms, *(gather.selection for gather in group.gathers)):
            for name in _names(module, path, OUTPUT_TENSORS):
                tensors[name] = _take(tensors[name], 0, stays)
        for selection in group.selections:
            for name in _names(module, selection, OUTPUT_TENSORS):
                tensors[name] = torch.arange(len(stays))
        for consumer in group.consumers:
            for name in _names(module, consumer, ("weight",)):
                tensors[name] = _take(tensors[name], 1, _inputs(stays, tensors[name].shape[1] // group.channels))
    slim = duplicate(module)
    load_tensors(slim, tensors)
    for group in groups:
        for selection in group.selections:
            passing = slim.get_submodule(selection)
            assert isinstance(passing, ChannelSelection)
            passing.width = int(kept[group.name].sum())
    return slim


def trace_pruned(module: nn.Module, frames: torch.Tensor, neurons: Sequence[NeuronModel] | None) -> Graph:
    """The graph of a network without some channels. Raises InputError where its code does not follow the new widths."""
    try:
        return trace(module, frames, neurons)
    except UnsupportedNetwork as error:
        raise InputError(
            f"{type(module).__name__} does not run with fewer channels ({error}): let its forward method take "
            "sizes from its tensors, such as flatten(1) in place of view(-1, 512)"
        ) from error


def _zero(owner: nn.Module, channels: torch.Tensor) -> None:
    for name in ("weight", "bias"):
        parameter = getattr(owner, name, None)
        if parameter is not None:
            parameter[channels.to(parameter.device)] = 0.0


def _names(module: nn.Module, path: str, tensors: tuple[str, ...]) -> list[str]:
    """What the state_dict calls those of `tensors` that the layer has, once for every path it is held under."""
    owner = module.get_submodule(path)
    paths = [each for each, other in module.named_modules(remove_duplicate=False) if other is owner]
    return [f"{each}.{name}" for each in paths for name in tensors if getattr(owner, name, None) is not None]


def _take(tensor: torch.Tensor, axis: int, index: torch.Tensor) -> torch.Tensor:
    return tensor.index_select(axis, index.to(tensor.device))


def _inputs(channels: torch.Tensor, block: int) -> torch.Tensor:
    """The inputs of a layer that `channels` feed, `block` neighbours each: more than one after a Flatten."""
    return (channels[:, None] * block + torch.arange(block)).flatten()
