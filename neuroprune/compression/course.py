"""The course of a compression: train while pruning, cut, fine-tune, measure, and leave the record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from neuroprune.chips.chip import Chip
from neuroprune.compression.catalog import Currency
from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.chip_cost import chip_samples
from neuroprune.compression.chip_limits import ChipLimits
from neuroprune.compression.job import PruningJob
from neuroprune.compression.measure import Measured, measure
from neuroprune.compression.own import Algorithm, check_own, check_selection
from neuroprune.compression.prunable import Prunable
from neuroprune.compression.pruning import WeightPruning
from neuroprune.compression.record import FILE, ChipCost, ChipTarget, LayerShare, Target
from neuroprune.compression.result import Before, CompressKeeper, CompressResult, Cut
from neuroprune.compression.rounds import RoundKeeper
from neuroprune.compression.search import Selection
from neuroprune.compression.surgery import remove_channels, trace_pruned
from neuroprune.data.coding import frames_on
from neuroprune.data.types import Dataset
from neuroprune.graph.nodes import Graph
from neuroprune.neurons.model import NeuronModel
from neuroprune.progress import Progress
from neuroprune.records import save_record
from neuroprune.training.checkpoint import facts_of, load_checkpoint, save_checkpoint
from neuroprune.training.history import EpochRecord
from neuroprune.training.observer import Observer
from neuroprune.training.resume import Keeping, finish
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import TrainResult, train_unfinished


@dataclass(frozen=True, eq=False)
class Course:
    """The course of a compression from what is known before it; `resumed` where its training is gone on with."""

    data: Dataset
    before: Before
    keeping: Keeping | None
    resumed: bool
    algorithm: Algorithm
    neurons: Sequence[NeuronModel] | None
    chip: Chip | None
    progress: Progress
    observers: Sequence[Observer] = ()

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
            limits=self._limits(module, prunable),
            weights=prunable.weights,
            sparsity=settings.sparsity or 0.0,
            seed=0 if tuning is None else tuning.seed,
            neurons=self.neurons,
            progress=self.progress,
        )
        algorithm = self.algorithm(job)
        strategy = check_own(strategy, algorithm)
        course, history = replace(self, before=replace(self.before, strategy=strategy)), tuple[EpochRecord, ...]()
        if isinstance(algorithm, WeightPruning):
            assert tuning is not None
            return course._prune_weights(module, algorithm, tuning)
        if strategy.prune_epochs > 0:
            assert tuning is not None
            history = course._train(module, replace(tuning, epochs=strategy.prune_epochs), (algorithm,)).history
            keeping = self.keeping and replace(self.keeping, earlier=(*self.keeping.earlier, *history), goes_on=True)
            course = replace(course, keeping=keeping, resumed=False)
        selection = algorithm.choose()
        check_selection(selection, prunable.groups, type(algorithm).__name__)
        counted = None
        if job.limits is not None:
            counted = job.limits.cost(np.concatenate([selection.kept[group.name] for group in prunable.groups]))
        return course.cut(module, prunable.groups, selection, history, counted)

    def _limits(self, module: nn.Module, prunable: Prunable) -> ChipLimits | None:
        most = self.before.settings.limits
        if not most:
            return None
        assert self.chip is not None, "limits are checked against a chip"
        samples = chip_samples(self.data)
        return ChipLimits(
            module, prunable.groups, samples, self.chip, most, self.neurons, self.before.activity, self.before.timed_on
        )

    def cut(
        self,
        module: nn.Module,
        groups: Sequence[ChannelGroup],
        selection: Selection,
        history: tuple[EpochRecord, ...],
        counted: ChipCost | None,
    ) -> CompressResult:
        """Remove what `selection` leaves out, and fine-tune the rest. history: of the training that led here.

        counted: what the rest was counted to take of the chip, where that is limited.
        """
        slim = remove_channels(module, tuple(groups), selection.kept)
        graph = self.trace_pruned(slim)
        measured = measure(slim, graph, self.data)
        layers = tuple(
            LayerShare(
                name=group.name,
                before=group.channels,
                after=int(selection.kept[group.name].sum()),
                regenerated=int(selection.regenerated[group.name].sum()),
                kept=tuple(map(int, np.flatnonzero(selection.kept[group.name]))),
            )
            for group in groups
        )
        cut = Cut(selection, measured.cost, layers, history, counted)
        if self.before.settings.fine_tune is not None:
            return self.fine_tune(slim, graph, cut)
        if self.keeping is not None:
            dense = load_checkpoint(Path(self.before.source))
            facts, folder = facts_of(self.data), self.keeping.folder
            save_checkpoint(folder, slim, dense.model, facts, dense.settings, dense.history, dense.weights)
        return self._leave(self._slimmed(slim, graph, cut, ()))

    def fine_tune(self, slim: nn.Module, graph: Graph, cut: Cut) -> CompressResult:
        """Train the slimmed network and measure it."""
        assert self.before.settings.fine_tune is not None
        trained = self._train(slim, self.before.settings.fine_tune, self.observers, cut)
        return self._leave(self._slimmed(slim, graph, cut, (*cut.history, *trained.history)))

    def trace_pruned(self, module: nn.Module) -> Graph:
        """The graph of a pruned network, whose code may not have followed its new widths."""
        device = next(module.parameters()).device
        return trace_pruned(module, frames_on(device, self.data.test.images[:1], self.data.coding), self.neurons)

    def _prune_weights(self, module: nn.Module, algorithm: WeightPruning, tuning: TrainSettings) -> CompressResult:
        def measured_now() -> Measured:
            return measure(module, self.trace_pruned(module), self.data, self.chip)

        keeper = RoundKeeper(algorithm, lambda: measured_now().cost)
        observers = (keeper, algorithm, *self.observers)
        trained = self._train(module, replace(tuning, epochs=algorithm.epochs), observers)
        measured = measured_now()
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
                rounds=keeper.rounds,
            )
        )

    def _slimmed(self, slim: nn.Module, graph: Graph, cut: Cut, history: tuple[EpochRecord, ...]) -> CompressResult:
        limits = self.before.settings.limits
        end = measure(slim, graph, self.data, self.chip, timed_on=self.before.timed_on)
        dense, counted = self.before.dense, cut.counted
        measured: dict[Currency, float] = {
            "flops": cut.cost.flops / dense.flops,
            "params": cut.cost.parameters / dense.parameters,
            "synops": cut.cost.unfolded_synops / (dense.unfolded_synops or 1.0),
        }
        return CompressResult(
            module=slim,
            before=self.before,
            targets=tuple(
                Target(of=of, asked=asked, reached=cut.selection.shares.get(of, measured[of]))
                for of, asked in self.before.settings.targets.items()
            ),
            limits=tuple(
                ChipTarget(
                    of=of,
                    chip=end.cost.on_chip.chip,
                    asked=asked,
                    counted=None if counted is None else counted.amount(of),
                    reached=end.cost.on_chip.amount(of),
                )
                for of, asked in limits.items()
                if end.cost.on_chip is not None
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
