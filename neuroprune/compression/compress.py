"""Structured pruning of a trained network from start to end: Algorithm 2 of "Brain-Inspired Efficient Pruning:
Exploiting Criticality in Spiking Neural Networks"."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from neuroprune.compression.channels import ChannelGroup, channel_groups, count_channels
from neuroprune.compression.cost import synapse_work
from neuroprune.compression.measure import measure
from neuroprune.compression.record import CompressRecord, LayerWidth, NetworkCost
from neuroprune.compression.scores import criticality, magnitude
from neuroprune.compression.search import Selection, search
from neuroprune.compression.select import rank
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.surgery import duplicate, remove_channels
from neuroprune.data.coding import encode, time_first
from neuroprune.data.types import Dataset, Images
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.graph.trace import trace
from neuroprune.neurons.model import NeuronModel
from neuroprune.progress import Progress, silent
from neuroprune.simulation.module_check import COMPARED_FRAMES, verify_module
from neuroprune.training.history import EpochRecord
from neuroprune.training.settings import pick_device
from neuroprune.training.train import train

SCORE_BATCH = 256
"""Samples per batch while criticality is computed; the scores do not depend on it."""


@dataclass(frozen=True, eq=False)
class CompressResult:
    """A slimmed network, and its costs before and after.

    module: the slimmed network, in evaluation mode.
    dense, cut, slim: costs before, right after the removal, and at the end (those of `cut` again if nothing was
    fine-tuned). selection: the channels that were kept. widths: of every layer with prunable channels, in the order of
    the network.
    prunable, channels: how many channels could be removed at all, of how many that the dense layers have.
    history: the log of fine-tuning, epoch by epoch.
    """

    module: nn.Module
    settings: CompressSettings
    dense: NetworkCost
    cut: NetworkCost
    slim: NetworkCost
    selection: Selection
    widths: tuple[LayerWidth, ...]
    prunable: int
    channels: int
    history: tuple[EpochRecord, ...]

    def record(self, run: str, source: str) -> CompressRecord:
        """The record of it that is saved beside the network, in the folder `run`; `source`: the run that was pruned."""
        return CompressRecord(
            run=run,
            source=source,
            method=self.settings.method,
            regeneration=self.settings.r,
            flops_asked=self.settings.flops,
            flops_share=self.selection.share,
            channels_prunable=self.prunable,
            channels_total=self.channels,
            channels_removed_share=self.selection.p,
            dense=self.dense,
            cut=self.cut,
            slim=self.slim,
            channels=self.widths,
            history=self.history,
        )


def compress(
    module: nn.Module,
    data: Dataset,
    settings: CompressSettings,
    progress: Progress = silent,
    *,
    neurons: Sequence[NeuronModel] | None = None,
) -> CompressResult:
    """`module` without its least important channels, fine-tuned on `data`; the module itself stays as it is.

    module: a trained network, best with L1 on its BatchNorm scales. A copy of it is pruned, on the device of
    fine-tuning or else on the module's own.
    neurons: models that layers of neurons are read as, by default all that neuroprune has.
    Raises UnsupportedNetwork for a network that cannot be mapped, VerificationError for one that does not compute what
    was read of it, and InputError for one without prunable channels,
    one whose FLOPs cannot be brought near the share asked for, or one that fixes its widths in its code.

    >>> from neuroprune import CompressSettings, build, compress, load_dataset, load_recipe
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))  # or a trained one
    >>> result = compress(network, data, CompressSettings(flops=0.5, method="slimming"))
    >>> f"{result.slim.flops / result.dense.flops:.1f}"
    '0.5'
    """
    dense = duplicate(module).eval()
    if settings.fine_tune is not None:
        dense.to(pick_device(settings.fine_tune.device))
    frames = _frames(dense, data, data.train.images[:COMPARED_FRAMES])
    graph = trace(dense, frames, neurons)
    verify_module(dense, graph, fold(graph), frames.cpu().numpy())
    groups = _prunable(dense, graph)
    selection = _select(dense, graph, groups, data, settings, progress)
    slim = remove_channels(dense, groups, selection.kept)
    slim_graph = _trace_slim(slim, data, neurons)
    cut = measure(slim, slim_graph, data)
    prunable, channels = count_channels(graph, groups)
    history: tuple[EpochRecord, ...] = ()
    after = cut
    if settings.fine_tune is not None:
        history = train(slim, data, settings.fine_tune, progress=progress).history
        after = measure(slim.eval(), slim_graph, data)
    return CompressResult(
        module=slim,
        settings=settings,
        dense=measure(dense, graph, data),
        cut=cut,
        slim=after,
        selection=selection,
        widths=tuple(_width(group, selection) for group in groups),
        prunable=prunable,
        channels=channels,
        history=history,
    )


def _prunable(module: nn.Module, graph: Graph) -> tuple[ChannelGroup, ...]:
    """The channel groups whose BatchNorms have scales to rank them by.

    A selection must be a layer of its own, since channels that code picks out by number cannot be cut.
    """
    tensors = module.state_dict()
    groups = tuple(
        group
        for group in channel_groups(graph)
        if all(f"{stage.norm}.weight" in tensors for stage in group.stages)
        and (group.stages[0].gathers is None or f"{group.name}.channels" in tensors)
    )
    if not groups:
        raise InputError(
            f"{type(module).__name__} has no channels that can be removed: pruning takes those of a convolution (not "
            "grouped) or linear layer followed by BatchNorm2d, neurons and another such layer, with no addition in "
            "between; add BatchNorm2d after its convolutions and train it again"
        )
    return groups


def _select(
    module: nn.Module,
    graph: Graph,
    groups: tuple[ChannelGroup, ...],
    data: Dataset,
    settings: CompressSettings,
    progress: Progress,
) -> Selection:
    """The channels that stay; criticality needs a pass over the training set, and is computed only if it is used."""
    by_magnitude = rank(magnitude(module, groups))
    by_criticality = by_magnitude
    if settings.r > 0.0:
        by_criticality = rank(criticality(module, graph, groups, _training_frames(module, data, progress)))
    return search(groups, synapse_work(graph, groups), by_magnitude, by_criticality, settings.flops, settings.r)


def _training_frames(module: nn.Module, data: Dataset, progress: Progress) -> Iterator[torch.Tensor]:
    """The whole training split as the module takes it, not augmented, in batches on its device."""
    total = len(data.train)
    for start in range(0, total, SCORE_BATCH):
        yield time_first(_frames(module, data, data.train.images[start : start + SCORE_BATCH]))
        progress("criticality", min(start + SCORE_BATCH, total), total)


def _frames(module: nn.Module, data: Dataset, images: Images) -> torch.Tensor:
    device = next(module.parameters()).device
    return encode(torch.tensor(images, device=device), data.coding)


def _trace_slim(slim: nn.Module, data: Dataset, neurons: Sequence[NeuronModel] | None) -> Graph:
    """The graph of the slimmed network, whose code may not have followed its new widths."""
    try:
        return trace(slim, _frames(slim, data, data.test.images[:1]), neurons)
    except UnsupportedNetwork as error:
        raise InputError(
            f"{type(slim).__name__} does not run with fewer channels ({error}): let its forward method take sizes from "
            "its tensors, such as flatten(1) in place of view(-1, 512)"
        ) from error


def _width(group: ChannelGroup, selection: Selection) -> LayerWidth:
    return LayerWidth(
        name=group.name,
        before=group.channels,
        after=int(selection.kept[group.name].sum()),
        regenerated=int(selection.regenerated[group.name].sum()),
    )
