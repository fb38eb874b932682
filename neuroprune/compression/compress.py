"""Structured pruning of a trained network from start to end: Algorithm 2 of "Brain-Inspired Efficient Pruning:
Exploiting Criticality in Spiking Neural Networks"."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuroprune.compression.channels import ChannelGroup, channel_groups, count_channels
from neuroprune.compression.cost_model import cost_model
from neuroprune.compression.measure import measure
from neuroprune.compression.record import FILE, LayerWidth
from neuroprune.compression.result import CompressResult, StartKeeper
from neuroprune.compression.scores import criticality, magnitude
from neuroprune.compression.search import Selection, search
from neuroprune.compression.select import rank
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.surgery import duplicate, removable, remove_channels
from neuroprune.data.coding import encode, time_first
from neuroprune.data.types import Dataset, Images
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.graph.readout import most_frequent
from neuroprune.graph.trace import trace
from neuroprune.neurons.model import NeuronModel
from neuroprune.progress import Progress, silent
from neuroprune.records import save_record
from neuroprune.simulation.module_check import COMPARED_FRAMES, verify_module
from neuroprune.training.checkpoint import Checkpoint, facts_of, load_checkpoint, save_checkpoint
from neuroprune.training.resume import Keeping, finish
from neuroprune.training.settings import TrainSettings, pick_device
from neuroprune.training.train import train_unfinished

SCORE_BATCH = 256
"""Samples per batch while criticality is computed; the scores do not depend on it."""


def compress(
    module: nn.Module,
    data: Dataset,
    settings: CompressSettings,
    progress: Progress = silent,
    *,
    neurons: Sequence[NeuronModel] | None = None,
    folder: Path | None = None,
    source: Path | None = None,
) -> CompressResult:
    """`module` without its least important channels, fine-tuned on `data`; the module itself stays as it is.

    module: a trained network, best with L1 on its BatchNorm scales. A copy of it is pruned, on the device of
    fine-tuning or else on the module's own.
    neurons: models that layers of neurons are read as, by default all that neuroprune has.
    folder: where the slimmed network is kept as soon as it is cut, then after every epoch of fine-tuning, and in the
    end with compress.json; source: the run with the checkpoint that `module` was restored from, needed with `folder`.
    Raises UnsupportedNetwork for a network that cannot be mapped, VerificationError for one that does not compute what
    was read of it, and InputError for one without prunable channels, one whose FLOPs cannot be brought near the share
    asked for, or one that fixes its widths in its code; OutputError when `folder` cannot be written.

    >>> from neuroprune import CompressSettings, build, compress, load_dataset, load_recipe
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))  # or a trained one
    >>> result = compress(network, data, CompressSettings(flops=0.5, method="slimming"))
    >>> f"{result.slim.flops / result.dense.flops:.1f}"
    '0.5'
    """
    keeping = None
    if folder is not None:
        if source is None:
            raise InputError("a compression that is kept must say which run is pruned: pass source, its folder")
        pruned = load_checkpoint(source)
        keeping = Keeping(folder, pruned.model, "compress", pruned.history, from_start=True)
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
    before = measure(dense, graph, data)
    prunable, channels = count_channels(graph, groups)
    start = CompressResult(
        module=slim,
        settings=settings,
        dense=before.cost,
        cut=cut.cost,
        slim=cut.cost,
        dense_correct=before.correct,
        slim_correct=cut.correct,
        most_frequent=most_frequent(data.test.labels),
        selection=selection,
        widths=tuple(_width(group, selection) for group in groups),
        prunable=prunable,
        channels=channels,
        history=(),
    )
    keeper = StartKeeper(start, str(source))
    if settings.fine_tune is not None:
        return _fine_tune(keeper, slim, slim_graph, data, settings.fine_tune, keeping, progress=progress)
    if keeping is not None:
        save_checkpoint(keeping.folder, slim, pruned.model, facts_of(data), pruned.settings, pruned.history)
        _leave_record(start, str(source), keeping.folder)
    return start


def resume_compress(
    module: nn.Module,
    data: Dataset,
    folder: Path,
    checkpoint: Checkpoint,
    fine_tune: TrainSettings,
    asked: Mapping[str, Any],
    progress: Progress = silent,
) -> CompressResult:
    """Go on with the compression that was interrupted in `folder`, to the numbers of an unbroken one.

    module, checkpoint: its slimmed network, restored from the checkpoint there. fine_tune: as it was started, the
    device apart; asked: settings by name that it must have been started with. Raises InputError when it was not, or
    when there is nothing to resume; OutputError when `folder` cannot be written.
    """
    keeping = Keeping(folder, checkpoint.model, "compress")
    graph = _trace_slim(module, data, None)
    return _fine_tune(StartKeeper(asked=asked), module, graph, data, fine_tune, keeping, True, progress)


def _fine_tune(
    keeper: StartKeeper,
    slim: nn.Module,
    graph: Graph,
    data: Dataset,
    settings: TrainSettings,
    keeping: Keeping | None,
    resume: bool = False,
    progress: Progress = silent,
) -> CompressResult:
    """Train the slimmed network, measure it, and leave the record last."""
    history = train_unfinished(slim, data, settings, keeping, resume, progress, [keeper]).history
    assert keeper.start is not None
    end = measure(slim, graph, data)
    result = replace(keeper.start, slim=end.cost, slim_correct=end.correct, history=history)
    if keeping is not None:
        _leave_record(result, keeper.source, keeping.folder)
    return result


def _leave_record(result: CompressResult, source: str, folder: Path) -> None:
    save_record(result.record(str(folder), source), folder / FILE)
    finish(folder)


def _prunable(module: nn.Module, graph: Graph) -> tuple[ChannelGroup, ...]:
    """The channel groups whose BatchNorms have scales to rank them by."""
    groups = tuple(group for group in removable(module, channel_groups(graph)) if group.scales)
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
    costs = cost_model(module, graph, groups)
    return search(costs, by_magnitude, by_criticality, {"flops": settings.flops}, settings.r)


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
