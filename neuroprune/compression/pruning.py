"""What a pruning algorithm is: an observer of a training that ends with a choice of channels or with masks of weights.

    weights     begin, then at each iteration before_forward, after_backward, prune; the masks hold after each step
    channels    the same where the algorithm trains, then choose, after which the channels are cut out

All that an algorithm carries from step to step is in its `state`, so that a compression that was killed goes on to the
same bytes.
"""

from dataclasses import dataclass

import torch

from neuroprune.arrays import FloatArray
from neuroprune.compression.channel_scorer import costs_of
from neuroprune.compression.cost_model import CostModel
from neuroprune.compression.job import PruningJob
from neuroprune.compression.masks import Masks, Scores, count, count_kept, size, top
from neuroprune.compression.search import TOLERANCE, Selection, search
from neuroprune.compression.select import rank
from neuroprune.training.observer import Observer, ObserverState, Step, TrainingRun

_MASK, _REGENERATED = "mask.", "regenerated."
"""What the names of kept masks begin with."""


@dataclass(frozen=True)
class SurvivalStep:
    """One pruning while training: `cut` weights would have gone by the score alone, of which `rescued` came back."""

    iteration: int
    sparsity: float
    cut: int
    rescued: int


class ChannelPruning(Observer):
    """Base of algorithms that choose channels; those that train for it override the methods of Observer.

    job: what it is told.

    >>> import numpy as np
    >>> from neuroprune import ChannelPruning, CompressSettings, build, compress, load_dataset, load_recipe
    >>> class FirstStay(ChannelPruning):
    ...     def choose(self):
    ...         return self.search(np.concatenate([-np.arange(group.channels) for group in self.job.groups]))
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> result = compress(network, data, CompressSettings(0.5, method="own"), algorithm=FirstStay)
    >>> bool(result.kept["stem.conv1"][0])
    True
    """

    def __init__(self, job: PruningJob) -> None:
        self.job = job

    @property
    def name(self) -> str:
        """What files call the state of an algorithm."""
        return "pruning"

    def choose(self) -> Selection:
        """The channels that stay, after the algorithm's training if it has one; at least one of each group."""
        raise NotImplementedError

    def search(
        self,
        scores: FloatArray,
        regrowth: FloatArray | None = None,
        *,
        costs: CostModel | None = None,
        tolerance: float = TOLERANCE,
    ) -> Selection:
        """The channels of highest score, as many as come nearest to the targets of the job and fit its chip.

        scores: [channels of all groups], in the order of `job.groups`. regrowth: likewise, by which the share
        `regeneration` of the strategy is chosen, by default that of `scores`; floor and uniform shares are the
        strategy's too. costs: of the channels, by default measured now; tolerance: as in `search`. Raises InputError
        where no number of channels comes within it.
        """
        strategy = self.job.strategy
        by_score = rank(scores)
        return search(
            costs_of(self.job) if costs is None else costs,
            by_score,
            by_score if regrowth is None else rank(regrowth),
            self.job.targets,
            strategy.regeneration,
            floor=strategy.layer_floor,
            uniform=strategy.uniform,
            tolerance=tolerance,
            limits=self.job.limits,
            progress=self.job.progress,
        )


class WeightPruning(Observer):
    """Base of algorithms that hold weights at zero.

    job: what it is told. parameters: the prunable ones by name.
    masks: by name of the parameter, True for a weight that stays; they hold after every step of the optimiser.
    regenerated: those of them that are there because they were brought back. survival: what each pruning did.

    >>> from neuroprune import CompressSettings, TrainSettings, WeightPruning, build, compress, load_dataset
    >>> from neuroprune import load_recipe
    >>> class AtOnce(WeightPruning):
    ...     def prune(self, step):
    ...         if step.iteration == 0:
    ...             self.cut_to(self.sparsity, step.iteration)
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> settings = CompressSettings(
    ...     sparsity=0.75, method="own", prune_epochs=1, fine_tune=TrainSettings(epochs=1, batch=256)
    ... )
    >>> result = compress(network, data, settings, algorithm=AtOnce)
    >>> f"{result.targets[0].reached:.3f}", result.before.strategy.method
    ('0.750', 'AtOnce')
    """

    def __init__(self, job: PruningJob) -> None:
        self.job = job
        self.masks: Masks = {}
        self.regenerated: Masks = {}
        self.survival: list[SurvivalStep] = []

    @property
    def name(self) -> str:
        """What files call the state of an algorithm."""
        return "pruning"

    @property
    def epochs(self) -> int:
        """Of the whole training, fine-tuning included."""
        return self.job.strategy.prune_epochs + self.job.epochs

    @property
    def sparsity(self) -> float:
        """The share of weights that are to be zero in the end."""
        return self.job.sparsity

    def begin(self, run: TrainingRun) -> None:
        """Find the weights; at first all of them stay."""
        self.run = run
        parameters = dict(run.module.named_parameters())
        self.parameters = {weight.parameter: parameters[weight.parameter] for weight in self.job.weights}
        self.masks = {name: torch.ones_like(each, dtype=torch.bool) for name, each in self.parameters.items()}
        self.regenerated = {name: torch.zeros_like(mask) for name, mask in self.masks.items()}

    def prune(self, step: Step) -> None:
        """Change `masks`, if it is time to, when the optimiser has changed the weights."""

    def after_step(self, step: Step) -> None:
        """Prune, and hold what is masked at zero."""
        self.prune(step)
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Set masked weights to zero, and what the optimiser keeps for them if that is asked for."""
        for name, parameter in self.parameters.items():
            gone = ~self.masks[name]
            parameter.masked_fill_(gone, 0.0)
            if self.job.strategy.mask_momentum:
                for kept in self.run.optimizer.state.get(parameter, {}).values():
                    if kept.shape == parameter.shape:
                        kept.masked_fill_(gone, 0.0)

    def cut_to(self, sparsity: float, iteration: int, scores: Scores | None = None) -> None:
        """Leave only the living weights of highest score, over all layers, so many that `sparsity` is met exactly.

        iteration: the last step before. scores: by name, of the shapes of the parameters; by default |w|.
        """
        kept = top(self.magnitudes() if scores is None else scores, count_kept(size(self.masks), sparsity), self.masks)
        self.survival.append(SurvivalStep(iteration, sparsity, count(self.masks) - count(kept), 0))
        self.masks = kept

    def magnitudes(self) -> dict[str, torch.Tensor]:
        """|w| of every prunable weight."""
        return {name: parameter.detach().abs() for name, parameter in self.parameters.items()}

    def state(self) -> ObserverState:
        """Masks as tensors, the survival as JSON."""
        tensors = {f"{_MASK}{name}": mask for name, mask in self.masks.items()}
        tensors |= {f"{_REGENERATED}{name}": mask for name, mask in self.regenerated.items()}
        return ObserverState(tensors, {"survival": [vars(step) for step in self.survival]})

    def restore(self, state: ObserverState) -> None:
        """Take masks and survival back."""
        self.masks = self.read_masks(state, _MASK)
        self.regenerated = self.read_masks(state, _REGENERATED)
        self.survival = [SurvivalStep(**step) for step in state.values["survival"]]

    def read_masks(self, state: ObserverState, prefix: str) -> Masks:
        """The masks in `state` under names that begin with `prefix`; KeyError or ValueError where they do not fit."""
        masks = {}
        for name, parameter in self.parameters.items():
            kept = state.tensors[prefix + name]
            if kept.dtype != torch.bool or kept.shape != parameter.shape:
                raise ValueError(f"the mask of {name} is of {kept.dtype} in the shape {tuple(kept.shape)}")
            masks[name] = kept.to(parameter.device)
        return masks
