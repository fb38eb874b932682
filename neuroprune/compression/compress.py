"""Pruning a trained network from start to end: whole channels, which are removed, or single weights, held at zero."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.chip_cost import same_chip
from neuroprune.compression.measure import measure
from neuroprune.compression.methods import algorithm_of
from neuroprune.compression.prunable import Prunable, check_sparsity, find_prunable
from neuroprune.compression.pruning import ChannelPruning, PruningJob, WeightPruning
from neuroprune.compression.record import FILE, LayerShare, Target
from neuroprune.compression.result import Before, CompressKeeper, CompressResult, Cut, read_kept
from neuroprune.compression.search import Selection
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import strategy_of
from neuroprune.compression.surgery import duplicate, remove_channels
from neuroprune.data.coding import encode
from neuroprune.data.hold_out import hold_out
from neuroprune.data.types import Dataset, Images
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Add, Graph
from neuroprune.graph.readout import most_frequent
from neuroprune.graph.trace import trace
from neuroprune.neurons.model import NeuronModel
from neuroprune.progress import Progress, silent
from neuroprune.reading import reading
from neuroprune.records import save_record
from neuroprune.runs import STATE
from neuroprune.simulation.module_check import COMPARED_FRAMES, verify_module
from neuroprune.training.checkpoint import Checkpoint, facts_of, load_checkpoint, save_checkpoint
from neuroprune.training.history import EpochRecord
from neuroprune.training.observer import Observer
from neuroprune.training.resume import Keeping, finish, read_unfinished
from neuroprune.training.settings import TrainSettings, pick_device
from neuroprune.training.tensors import load_tensors
from neuroprune.training.train import TrainResult, train_unfinished

Algorithm = Callable[[PruningJob], ChannelPruning | WeightPruning]


def compress(
    module: nn.Module,
    data: Dataset,
    settings: CompressSettings,
    progress: Progress = silent,
    *,
    initial: nn.Module | None = None,
    algorithm: Algorithm | None = None,
    neurons: Sequence[NeuronModel] | None = None,
    chip: Chip | str | None = None,
    folder: Path | None = None,
    source: Path | None = None,
) -> CompressResult:
    """`module` without its least important channels or weights, trained on `data`; the module itself stays as it is.

    module: a trained network, for structured pruning best with L1 on its BatchNorm scales. A copy of it is pruned, on
    the device of fine-tuning or else on the module's own.
    initial: the network that pruning begins with where the method starts from initial weights; a copy is trained.
    algorithm: one of your own in place of the method's, made of a `PruningJob`.
    neurons: models that layers of neurons are read as, by default all that neuroprune has.
    chip: what the mapper counts cores and memory of, before and after: a chip, its name or the path of its YAML.
    folder: where the network is kept from the start of every training on, after each epoch, and in the end with
    compress.json; source: the run with the checkpoint that `module` was restored from, needed with `folder`.
    Raises UnsupportedNetwork for a network that cannot be mapped, VerificationError for one that does not compute what
    was read of it, and InputError for one that the method does not fit, one whose cost cannot be brought near the share
    asked for, or one that fixes its widths in its code; OutputError when `folder` cannot be written.

    >>> from neuroprune import CompressSettings, build, compress, load_dataset, load_recipe
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))  # or a trained one
    >>> result = compress(network, data, CompressSettings(flops=0.5, method="slimming"))
    >>> f"{result.pruned.flops / result.dense.flops:.1f}"
    '0.5'
    """
    if folder is not None and source is None:
        raise InputError("a compression that is kept must say which run is pruned: pass source, its folder")
    if settings.fine_tune is not None:
        data = hold_out(data, settings.fine_tune.validation)
    dense = duplicate(module).eval()
    if settings.fine_tune is not None:
        dense.to(pick_device(settings.fine_tune.device))
    frames = _frames(dense, data, data.train.images[:COMPARED_FRAMES])
    graph = trace(dense, frames, neurons)
    verify_module(dense, graph, fold(graph), frames.cpu().numpy())
    strategy = strategy_of(settings, "residual" if any(isinstance(node.op, Add) for node in graph.nodes) else "plain")
    prunable = find_prunable(dense, graph, strategy)
    if settings.sparsity is not None:
        check_sparsity(settings.sparsity, prunable.count)
    if strategy.start == "initial" and initial is None:
        raise InputError(
            f"method {settings.method} begins with initial weights, but only a trained network is given: pass initial, "
            "or start = 'trained'"
        )
    chip = load_chip(chip) if isinstance(chip, str) else chip
    measured = measure(dense, graph, data, chip)
    before = Before(
        settings=settings,
        strategy=strategy,
        source=str(source),
        dense=measured.cost,
        dense_correct=measured.correct,
        most_frequent=most_frequent(data.test.labels),
        prunable=prunable.count,
        total=prunable.total,
    )
    keeping = None
    if folder is not None and source is not None:
        pruned = load_checkpoint(source)
        earlier = pruned.history if strategy.start == "trained" else ()
        keeping = Keeping(folder, pruned.model, "compress", earlier, from_start=True)
    begun = dense if strategy.start == "trained" or initial is None else duplicate(initial)
    way = _Way(data, before, keeping, False, algorithm or algorithm_of(strategy.algorithm), neurons, chip, progress)
    return way.prune(begun, graph, prunable)


def resume_compress(
    module: nn.Module,
    data: Dataset,
    folder: Path,
    checkpoint: Checkpoint,
    asked: Mapping[str, Any],
    tuning: Mapping[str, Any],
    progress: Progress = silent,
    algorithm: Algorithm | None = None,
    chip: Chip | str | None = None,
) -> CompressResult:
    """Go on with the compression that was interrupted in `folder`, to the numbers of an unbroken one.

    module, checkpoint: its network, restored from the checkpoint there. asked, tuning: settings by name, of the
    compression and of its fine-tuning, that it must have been started with; the device may be another. Raises
    InputError when it was not, or when there is nothing to resume; OutputError when `folder` cannot be written.
    """
    kept = read_unfinished(folder)
    if kept.command != "compress":
        raise InputError(
            f"the run in {folder} was started by `neuroprune {kept.command}`, not by compress: resume it with "
            f"`neuroprune {kept.command} --resume {folder}`"
        )
    with reading(folder / STATE, "the state of a compression", "compress without --resume"):
        before, cut = read_kept(kept.observers["compress"])
    # A compression that was killed while it began to fine-tune has a checkpoint from before the cut.
    load_tensors(module, kept.module)
    settings = before.settings
    assert settings.fine_tune is not None, "a state is kept by a training"
    data = hold_out(data, settings.fine_tune.validation)
    given = {name: value for name, value in vars(settings).items() if value is not None}
    started = {**vars(settings.fine_tune), **vars(settings), **vars(before.strategy), **given}
    for name, value in {**asked, **tuning}.items():
        if name != "device" and value != started[name]:
            raise InputError(
                f"this compression was started with {name} = {started[name]}, but resuming asks for {value}: give the "
                "same settings, or compress without --resume"
            )
    device = tuning.get("device", settings.fine_tune.device)
    settings = replace(settings, fine_tune=replace(settings.fine_tune, device=device))
    before = replace(before, settings=settings)
    module.eval().to(pick_device(device))
    keeping = Keeping(folder, checkpoint.model, "compress", kept.earlier, from_start=True)
    chip = same_chip(before.dense.on_chip, chip)
    way = _Way(data, before, keeping, True, algorithm or algorithm_of(before.strategy.algorithm), None, chip, progress)
    graph = way.trace_pruned(module)
    if cut is not None:
        return way.fine_tune(module, graph, cut)
    return way.prune(module, graph, find_prunable(module, graph, before.strategy))


@dataclass(frozen=True, eq=False)
class _Way:
    """The way of a compression from what is known before it; `resumed` where its training is gone on with."""

    data: Dataset
    before: Before
    keeping: Keeping | None
    resumed: bool
    algorithm: Algorithm
    neurons: Sequence[NeuronModel] | None
    chip: Chip | None
    progress: Progress

    def prune(self, module: nn.Module, graph: Graph, prunable: Prunable) -> CompressResult:
        """Prune `module`, in place, and train what remains."""
        settings, strategy = self.before.settings, self.before.strategy
        tuning = settings.fine_tune
        job = PruningJob(
            module=module,
            graph=graph,
            data=self.data,
            strategy=strategy,
            epochs=0 if tuning is None else tuning.epochs,
            groups=prunable.groups,
            targets=settings.targets,
            weights=prunable.weights,
            sparsity=settings.sparsity or 0.0,
            seed=0 if tuning is None else tuning.seed,
            neurons=self.neurons,
            progress=self.progress,
        )
        algorithm = self.algorithm(job)
        if isinstance(algorithm, WeightPruning):
            assert tuning is not None
            return self._prune_weights(module, algorithm, tuning)
        way, history = self, tuple[EpochRecord, ...]()
        if strategy.prune_epochs > 0:
            assert tuning is not None
            history = self._train(module, replace(tuning, epochs=strategy.prune_epochs), (algorithm,)).history
            keeping = self.keeping and replace(self.keeping, earlier=(*self.keeping.earlier, *history), goes_on=True)
            way = replace(self, keeping=keeping, resumed=False)
        return way.cut(module, prunable.groups, algorithm.choose(), history)

    def cut(
        self,
        module: nn.Module,
        groups: Sequence[ChannelGroup],
        selection: Selection,
        history: tuple[EpochRecord, ...],
    ) -> CompressResult:
        """Remove what `selection` leaves out, and fine-tune the rest. history: of the training that led here."""
        slim = remove_channels(module, tuple(groups), selection.kept)
        graph = self.trace_pruned(slim)
        measured = measure(slim, graph, self.data)
        layers = tuple(
            LayerShare(
                name=group.name,
                before=group.channels,
                after=int(selection.kept[group.name].sum()),
                regenerated=int(selection.regenerated[group.name].sum()),
            )
            for group in groups
        )
        cut = Cut(selection, measured.cost, layers, history)
        if self.before.settings.fine_tune is not None:
            return self.fine_tune(slim, graph, cut)
        if self.keeping is not None:
            dense = load_checkpoint(Path(self.before.source))
            save_checkpoint(self.keeping.folder, slim, dense.model, facts_of(self.data), dense.settings, dense.history)
        return self._leave(self._slimmed(slim, graph, cut, ()))

    def fine_tune(self, slim: nn.Module, graph: Graph, cut: Cut) -> CompressResult:
        """Train the slimmed network and measure it."""
        assert self.before.settings.fine_tune is not None
        trained = self._train(slim, self.before.settings.fine_tune, cut=cut)
        return self._leave(self._slimmed(slim, graph, cut, (*cut.history, *trained.history)))

    def trace_pruned(self, module: nn.Module) -> Graph:
        """The graph of a pruned network, whose code may not have followed its new widths."""
        try:
            return trace(module, _frames(module, self.data, self.data.test.images[:1]), self.neurons)
        except UnsupportedNetwork as error:
            raise InputError(
                f"{type(module).__name__} does not run with fewer channels ({error}): let its forward method take "
                "sizes from its tensors, such as flatten(1) in place of view(-1, 512)"
            ) from error

    def _prune_weights(self, module: nn.Module, algorithm: WeightPruning, tuning: TrainSettings) -> CompressResult:
        trained = self._train(module, replace(tuning, epochs=algorithm.epochs), (algorithm,))
        measured = measure(module, self.trace_pruned(module), self.data, self.chip)
        kept = {name: mask.cpu().numpy() for name, mask in algorithm.masks.items()}
        regenerated = {name: mask.cpu().numpy() for name, mask in algorithm.regenerated.items()}
        weights, left = sum(mask.size for mask in kept.values()), sum(int(mask.sum()) for mask in kept.values())
        layers = tuple(
            LayerShare(
                name=name.removesuffix(".weight"),
                before=mask.size,
                after=int(mask.sum()),
                regenerated=int(regenerated[name].sum()),
            )
            for name, mask in kept.items()
        )
        return self._leave(
            CompressResult(
                module=module,
                before=self.before,
                targets=(Target(of="sparsity", asked=algorithm.sparsity, reached=1 - left / weights),),
                layers=layers,
                kept=kept,
                regenerated=regenerated,
                cut=None,
                pruned=measured.cost,
                correct=measured.correct,
                history=trained.history,
                survival=tuple(algorithm.survival),
            )
        )

    def _slimmed(self, slim: nn.Module, graph: Graph, cut: Cut, history: tuple[EpochRecord, ...]) -> CompressResult:
        end = measure(slim, graph, self.data, self.chip)
        return CompressResult(
            module=slim,
            before=self.before,
            targets=tuple(
                Target(of=of, asked=asked, reached=cut.selection.shares[of])
                for of, asked in self.before.settings.targets.items()
            ),
            layers=cut.layers,
            kept=cut.selection.kept,
            regenerated=cut.selection.regenerated,
            cut=cut.cost,
            pruned=end.cost,
            correct=end.correct,
            history=history,
        )

    def _train(
        self, module: nn.Module, settings: TrainSettings, observers: Sequence[Observer] = (), cut: Cut | None = None
    ) -> TrainResult:
        keeper = CompressKeeper(self.before, cut)
        return train_unfinished(
            module, self.data, settings, self.keeping, self.resumed, self.progress, (keeper, *observers)
        )

    def _leave(self, result: CompressResult) -> CompressResult:
        """Leave the record, last of all."""
        if self.keeping is not None:
            save_record(result.record(str(self.keeping.folder)), self.keeping.folder / FILE)
            finish(self.keeping.folder)
        return result


def _frames(module: nn.Module, data: Dataset, images: Images) -> torch.Tensor:
    device = next(module.parameters()).device
    return encode(torch.tensor(images, device=device), data.coding)
