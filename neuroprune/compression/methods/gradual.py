"""Unstructured pruning at a sparsity that grows while training, with regrowth: Algorithm 1 of "Brain-Inspired Efficient
Pruning: Exploiting Criticality in Spiking Neural Networks", of which gradual magnitude pruning is the case r = 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

import torch

from neuroprune.compression.job import PruningJob, seed_of
from neuroprune.compression.masks import Masks, Scores, count, count_kept, count_of, size, top, top_by_layer, union
from neuroprune.compression.pruning import SurvivalStep, WeightPruning
from neuroprune.compression.schedules import PRUNINGS, cubic_schedule
from neuroprune.compression.weight_scorer import WeightScorer
from neuroprune.training.observer import Step, TrainingRun


@dataclass(frozen=True, eq=False)
class Chosen:
    """Masks of the weights that stay, and of those of them that the score alone would not have kept in its places."""

    masks: Masks
    regenerated: Masks


def choose(
    scores: Scores,
    regrowth: Scores,
    alive: Masks,
    keep: int,
    regeneration: float,
    *,
    fixed: frozenset[str] = frozenset(),
    layer_floor: float = 0.0,
) -> Chosen:
    """The `keep` weights that stay: those of highest score among the `alive`, then pruned ones of highest `regrowth`.

    keep - g of them by score, g = int(regeneration * keep) by regrowth, whether they lived before or not. fixed: the
    tensors that nothing is brought back in. Where too few weights can be brought back, the living of highest score fill
    their places. At least `keep` weights must live.
    layer_floor: the share of each tensor, in whole weights rounded down, that stays for its score, however small that
    is elsewhere. Together they must be no more than `keep`, and each tensor must have as many that live.
    """
    floors = {name: count_of(each.numel(), layer_floor) for name, each in scores.items()}
    guarded = top_by_layer(scores, floors, alive)
    number = keep - min(count_of(keep, regeneration), keep - count(guarded))
    ranked = {name: torch.where(guarded[name], torch.inf, score) for name, score in scores.items()}
    kept = top(ranked, number, alive)
    candidates = {name: ~mask & (name not in fixed) for name, mask in kept.items()}
    back = top(regrowth, keep - number, candidates)
    masks = union(kept, back)
    if (short := keep - count(masks)) > 0:
        masks = union(masks, top(ranked, short, {name: alive[name] & ~mask for name, mask in masks.items()}))
    return Chosen(masks, back)


def choose_by_layer(
    scores: Scores,
    regrowth: Scores,
    alive: Masks,
    keep: int,
    regeneration: float,
    *,
    fixed: frozenset[str] = frozenset(),
) -> Chosen:
    """As `choose`, with the same share of every tensor: the nearest whole numbers that add up to `keep`."""
    sizes = {name: each.numel() for name, each in scores.items()}
    living = {name: int(mask.sum()) for name, mask in alive.items()}
    parts = {}
    for name, number in share_out(keep, sizes, living).items():
        one = {name: scores[name]}, {name: regrowth[name]}, {name: alive[name]}
        parts[name] = choose(*one, number, regeneration, fixed=fixed)
    return Chosen(
        {name: part.masks[name] for name, part in parts.items()},
        {name: part.regenerated[name] for name, part in parts.items()},
    )


def share_out(total: int, sizes: Mapping[str, int], limits: Mapping[str, int]) -> dict[str, int]:
    """`total` in proportion to `sizes`, in whole numbers: rounded down, the rest to the largest remainders.

    limits: what each can take at most, all together at least `total`. The largest remainders alone may give one part
    more of a smaller total, and then a layer would be left more weights than live in it.
    """
    whole = sum(sizes.values())
    parts = {name: min(total * each // whole, limits[name]) for name, each in sizes.items()}
    rest = total - sum(parts.values())
    for name in cycle(sorted(sizes, key=lambda name: -(total * sizes[name] % whole))):
        if rest == 0:
            break
        if parts[name] < limits[name]:
            parts[name] += 1
            rest -= 1
    return parts


class GradualPruning(WeightPruning):
    """criticality, gmp, grad, random and uniform: what stays is chosen anew every dT iterations of the first N_p
    epochs.

    Scores are taken from the training step that comes right before; regenerated weights begin at 0.
    """

    prunings = PRUNINGS
    """How often is pruned by default where a training is shorter than the paper's."""

    def __init__(self, job: PruningJob) -> None:
        super().__init__(job)
        strategy = job.strategy
        self.scorer = WeightScorer(job, (strategy.score, strategy.regenerate_by))
        self.fixed = frozenset(weight.parameter for weight in job.weights if weight.classifier)

    def begin(self, run: TrainingRun) -> None:
        """Make the schedule."""
        super().begin(run)
        strategy = self.job.strategy
        iterations = strategy.prune_epochs * run.iterations_per_epoch
        self.schedule = cubic_schedule(self.sparsity, strategy.interval, iterations, self.prunings)

    def before_forward(self, step: Step) -> None:
        """Record potentials where the step is followed by a pruning."""
        if self.schedule.number(step.iteration) is not None:
            self.scorer.arm()

    def after_backward(self, step: Step) -> None:
        """Take the gradients that scores are made of."""
        if self.schedule.number(step.iteration) is not None:
            self.scorer.gather()

    def finish(self) -> None:
        """Leave no hook of a recorder behind."""
        self.scorer.finish()

    def choose(self, scores: Scores, regrowth: Scores, keep: int, number: int) -> Chosen:
        """The `keep` weights that stay at pruning i = `number` in 1..N."""
        strategy = self.job.strategy
        if strategy.uniform:
            return choose_by_layer(scores, regrowth, self.masks, keep, strategy.regeneration, fixed=self.fixed)
        return choose(
            scores,
            regrowth,
            self.masks,
            keep,
            strategy.regeneration,
            fixed=self.fixed,
            layer_floor=strategy.layer_floor,
        )

    def prune(self, step: Step) -> None:
        """Choose anew which weights stay, if it is time to."""
        number = self.schedule.number(step.iteration)
        if number is None:
            return
        self.hold()
        strategy, seed = self.job.strategy, seed_of(self.job, number)
        sparsity = self.schedule.sparsity(number)
        keep = count_kept(size(self.masks), sparsity)
        scores, regrowth = self.scorer.of(strategy.score, seed), self.scorer.of(strategy.regenerate_by, seed + 1)
        chosen = self.choose(scores, regrowth, keep, number)
        self._remember(step, sparsity, top(scores, keep, self.masks), chosen)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.masked_fill_(chosen.regenerated[name], 0.0)
        self.masks = chosen.masks

    def _remember(self, step: Step, sparsity: float, alone: Masks, chosen: Chosen) -> None:
        """What the score alone would have kept tells which of the living it would have cut."""
        cut = {name: mask & ~alone[name] for name, mask in self.masks.items()}
        rescued = {name: mask & chosen.masks[name] for name, mask in cut.items()}
        self.survival.append(SurvivalStep(step.iteration, sparsity, count(cut), count(rescued)))
        self.regenerated = {
            name: (mask | chosen.regenerated[name]) & chosen.masks[name] for name, mask in self.regenerated.items()
        }
