"""What a pruning algorithm is: an observer of a training that ends with a choice of channels or with masks of weights.

    weights     begin, then at each iteration before_forward, after_backward, prune; the masks hold after each step
    channels    the same where the algorithm trains, then choose, after which the channels are cut out

All that an algorithm carries from step to step is in its `state`, so that a compression that was killed goes on to the
same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from neuroprune.compression.catalog import Currency
from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.cost_model import CostModel
from neuroprune.compression.masks import Masks, count, count_kept, size, top
from neuroprune.compression.search import TOLERANCE, Selection, search
from neuroprune.compression.select import Order
from neuroprune.compression.strategy import Strategy
from neuroprune.compression.weights import PrunableWeight
from neuroprune.data.types import Dataset
from neuroprune.graph.nodes import Graph
from neuroprune.neurons.model import NeuronModel
from neuroprune.progress import Progress, silent
from neuroprune.training.observer import Observer, ObserverState, Step, TrainingRun

_MASK, _REGENERATED = "mask.", "regenerated."
"""What the names of kept masks begin with."""


@dataclass(frozen=True, eq=False)
class PruningJob:
    """What an algorithm is told.

    module: the network, which training changes in place; graph: as traced from it in evaluation mode. strategy: the
    settings, all filled in. epochs: N_f, of the fine-tuning. groups: coupled channels, of which the share `targets` is
    to remain by currency. weights: single weights, of which the share `sparsity` is to be zero. seed: of random scores.
    neurons: models that layers of neurons are read as.
    """

    module: nn.Module
    graph: Graph
    data: Dataset
    strategy: Strategy
    epochs: int
    groups: tuple[ChannelGroup, ...] = ()
    targets: Mapping[Currency, float] = field(default_factory=dict)
    weights: tuple[PrunableWeight, ...] = ()
    sparsity: float = 0.0
    seed: int = 0
    neurons: Sequence[NeuronModel] | None = None
    progress: Progress = silent


@dataclass(frozen=True)
class SurvivalStep:
    """One pruning while training: `cut` weights would have gone by the score alone, of which `rescued` came back."""

    iteration: int
    sparsity: float
    cut: int
    rescued: int


class ChannelPruning(Observer):
    """Base of algorithms that choose channels; those that train for it override the methods of Observer."""

    def __init__(self, job: PruningJob) -> None:
        self.job = job

    @property
    def name(self) -> str:
        """What files call the state of an algorithm."""
        return "pruning"

    def choose(self) -> Selection:
        """The channels that stay, after the algorithm's training if it has one."""
        raise NotImplementedError

    def search(self, costs: CostModel, by_score: Order, by_regrowth: Order, tolerance: float = TOLERANCE) -> Selection:
        """The selection that comes nearest to the targets of the job, as its strategy says; see `search`."""
        strategy = self.job.strategy
        return search(
            costs,
            by_score,
            by_regrowth,
            self.job.targets,
            strategy.regeneration,
            floor=strategy.layer_floor,
            uniform=strategy.uniform,
            tolerance=tolerance,
        )


class WeightPruning(Observer):
    """Base of algorithms that hold weights at zero.

    masks: by name of the parameter, True for a weight that stays; they hold after every step of the optimiser.
    regenerated: those of them that are there because they were brought back. survival: what each pruning did.
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

    def cut_to(self, sparsity: float, iteration: int) -> None:
        """Leave only the largest of the living weights, over all layers; `iteration`: the last step before."""
        kept = top(self.magnitudes(), count_kept(size(self.masks), sparsity), self.masks)
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


def seed_of(job: PruningJob, number: int) -> int:
    """The seed of random scores at pruning `number`, so that each draws others and a resumed one draws the same."""
    return int(np.random.SeedSequence((job.seed, number)).generate_state(1)[0])
