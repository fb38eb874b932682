"""What of a network a method can prune: groups of channels, or single weights."""

from dataclasses import dataclass
from math import floor

from torch import nn

from neuroprune.compression.channels import ChannelGroup, channel_groups, count_channels, has_stream
from neuroprune.compression.masks import count_kept
from neuroprune.compression.strategy import Strategy
from neuroprune.compression.surgery import removable
from neuroprune.compression.weights import PrunableWeight, prunable_weights
from neuroprune.errors import InputError
from neuroprune.graph.nodes import Graph


@dataclass(frozen=True)
class Prunable:
    """Coupled channels, or single weights. count, total: how many there are, of how many that the layers have."""

    groups: tuple[ChannelGroup, ...]
    weights: tuple[PrunableWeight, ...]
    count: int
    total: int


def find_prunable(module: nn.Module, graph: Graph, strategy: Strategy) -> Prunable:
    """What `strategy` prunes in `module`, from which `graph` was traced. Raises InputError where that is nothing."""
    if strategy.kind == "unstructured":
        weights = prunable_weights(module, graph)
        size = sum(module.get_parameter(weight.parameter).numel() for weight in weights)
        if not weights:
            raise InputError(
                f"{type(module).__name__} has 0 weights that can be pruned: those of convolutions and linear layers "
                "can, where they are parameters of their own"
            )
        return Prunable((), weights, size, size)
    groups = _groups(module, graph, strategy)
    return Prunable(groups, (), *count_channels(graph, groups))


def check_sparsity(sparsity: float, weights: int) -> None:
    """Raise InputError where none of so many prunable `weights` would stay."""
    if count_kept(weights, sparsity) == 0:
        nearest = floor(1e6 * (1 - 1 / weights)) / 1e6
        raise InputError(
            f"a sparsity of {sparsity} leaves none of the {weights} weights that can be pruned: ask for at most "
            f"{nearest:.6g}"
        )


def _groups(module: nn.Module, graph: Graph, strategy: Strategy) -> tuple[ChannelGroup, ...]:
    """The channel groups that the score can rank."""
    name = type(module).__name__
    if strategy.residual == "coupled" and not has_stream(graph):
        raise InputError(
            f"{name} has no residual stream, since nothing is added to anything in it, so there is nothing to couple: "
            "leave residual = coupled out"
        )
    groups = removable(module, channel_groups(graph, strategy.residual))
    if not groups:
        raise InputError(
            f"{name} has no channels that can be removed: pruning takes those of a convolution (not grouped) or linear "
            "layer with a weight of its own, followed by neurons and another such layer, where a BatchNorm in between "
            "has a scale, and with no addition, product or number by channel in between"
            + ("; try residual = coupled" if strategy.residual == "gather" and has_stream(graph) else "")
        )
    by_scale = strategy.score in ("gamma", "gradient") or strategy.regenerate_by in ("grad", "magnitude")
    ranked = tuple(group for group in groups if group.scales) if by_scale else groups
    if strategy.score == "l1":
        ranked = tuple(group for group in ranked if group.producers)  # no filters make what a selection gathers
    if not ranked:
        raise InputError(
            f"{name} has no BatchNorm with a scale behind the layers whose channels could go, and method "
            f"{strategy.method} ranks by |gamma|: choose the score criticality or l1, or add BatchNorm2d and train "
            "again"
        )
    return ranked
