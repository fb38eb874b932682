"""Scores of the channels of groups: float64 [channels of all groups], in their order; higher is more important."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.potentials import Measure, Recorder, Scores
from neuroprune.compression.scores.neurons import Criticality
from neuroprune.errors import InputError
from neuroprune.graph.nodes import Graph
from neuroprune.neurons.model import NeuronModel

Groups = tuple[ChannelGroup, ...]


def magnitude(module: nn.Module, groups: Groups) -> Scores:
    """|gamma| (network slimming, Liu et al. 2017), the mean over the BatchNorms of a group; each must have one."""
    return _mean(groups, lambda group: [_weight(module, norm).detach().abs()[at] for norm, at in _scales(group)])


def scale_gradient(module: nn.Module, groups: Groups) -> Scores:
    """|dL/dgamma| as the gradients of `module` stand, of one batch or of several; the mean over a group's BatchNorms.

    The scale of a masked channel has one only where the mask is a gate that gradients pass.
    """
    return _mean(groups, lambda group: [_gradient(module, norm).abs()[at] for norm, at in _scales(group)])


def filter_norm(module: nn.Module, groups: Groups) -> Scores:
    """The L1 norm of the filter that makes a channel, over the mean of its layer; the mean over a group's layers.

    Li et al. 2017 and GReg (Wang et al. 2021) rank by the L1 norm within a layer, and that order is kept. Over the
    layer's mean, layers of unlike fan-in compare, and those of one group count alike; the scale of a layer's weights
    says nothing, since the BatchNorm behind it takes it out. Raises InputError for channels that no filters make.
    """
    for group in groups:
        if not _producers(group):
            raise InputError(
                f"the channels of {group.name} are gathered from a residual stream, so 0 filters make them, and none "
                "can be ranked by its norm: choose another score, or couple the layers of the stream"
            )
    return _mean(groups, lambda group: [_relative_norms(_weight(module, path)) for path in _producers(group)])


def random(groups: Groups, generator: torch.Generator) -> Scores:
    """Drawn from 0..1, all alike; generator: on the CPU."""
    return torch.rand(sum(group.channels for group in groups), generator=generator, dtype=torch.float64).numpy()


def neurons_of(groups: Groups) -> tuple[str, ...]:
    """The layers of neurons that a `Recorder` has to record for `of_neurons`."""
    return tuple(dict.fromkeys(path for group in groups for path in _neurons(group)))


def of_neurons(groups: Groups, by_layer: Mapping[str, Scores]) -> Scores:
    """What a `Recorder` took of the layers of neurons, the mean over those of a group."""
    return _mean(groups, lambda group: [torch.from_numpy(by_layer[path]) for path in _neurons(group)])


def criticality(
    module: nn.Module,
    graph: Graph,
    groups: Groups,
    batches: Iterable[torch.Tensor],
    measure: Measure | None = None,
    neurons: Sequence[NeuronModel] | None = None,
) -> Scores:
    """Criticality, or another `measure` of neurons, over all `batches`; the mean over a group's layers of neurons.

    module: in evaluation mode; graph: as traced from it. batches: frames [N, C, H, W], or sequences [T, N, C, H, W], on
    its device; the scores do not depend on how samples are divided into them. neurons: as for `trace`.
    Raises InputError where the measure does not suit a layer.
    """
    recorder = Recorder(module, graph, neurons_of(groups), measure or Criticality(), neurons)
    for frames in batches:
        functional.reset_net(module)
        try:
            with torch.no_grad(), recorder.armed():
                module(frames)
        finally:
            functional.reset_net(module)
    return of_neurons(groups, recorder.take())


def _scales(group: ChannelGroup) -> list[tuple[str, list[int]]]:
    """The BatchNorms of `group`, and where in each the scales of its channels are."""
    return [(norm, list(places)) for norm, places in group.scales]


def _neurons(group: ChannelGroup) -> list[str]:
    return list(group.neurons)


def _producers(group: ChannelGroup) -> list[str]:
    """The convolutions and linear layers that make its channels."""
    return list(group.producers)


def _mean(groups: Groups, scores: Callable[[ChannelGroup], list[torch.Tensor]]) -> Scores:
    """For each group the mean of its several `scores`, each [channels]."""
    return torch.cat([torch.stack([each.double() for each in scores(group)]).mean(0) for group in groups]).cpu().numpy()


def _relative_norms(weight: torch.Tensor) -> torch.Tensor:
    norms = weight.detach().double().abs().flatten(1).sum(1)
    return norms / norms.mean().clamp(min=torch.finfo(torch.float64).tiny)  # a layer of zeros has the score 0


def _weight(module: nn.Module, path: str) -> torch.Tensor:
    weight = module.get_submodule(path).weight
    assert isinstance(weight, torch.Tensor)
    return weight


def _gradient(module: nn.Module, path: str) -> torch.Tensor:
    gradient = _weight(module, path).grad
    assert gradient is not None, f"{path}.weight has no gradient"
    return gradient
