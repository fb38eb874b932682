"""GraNet: gradual pruning with zero-cost neuroregeneration (Liu et al., Sparse Training via Boosting Pruning Plasticity
with Neuroregeneration, NeurIPS 2021)."""

from math import ceil

from neuroprune.compression.masks import Masks, Scores, count, outside, top, top_by_layer, union
from neuroprune.compression.methods.gradual import Chosen, GradualPruning
from neuroprune.compression.schedules import cosine_drop


def exchange(
    scores: Scores, regrowth: Scores, masks: Masks, drop: float, fixed: frozenset[str] = frozenset()
) -> Chosen:
    """`masks` with the share `drop` of each tensor's weights, those of lowest score, replaced by as many others.

    The number is rounded up, as in the authors' code. What comes instead has the highest `regrowth` of the tensor,
    which may be one that has just gone: it then begins at 0 like the others. fixed: tensors without exchange.
    """
    living = {name: count({name: mask}) for name, mask in masks.items()}
    replaced = {name: 0 if name in fixed else ceil(round(drop * number, 6)) for name, number in living.items()}
    kept = top_by_layer(scores, {name: living[name] - replaced[name] for name in masks}, masks)
    grown = top_by_layer(regrowth, replaced, outside(kept))
    return Chosen(union(kept, grown), grown)


class GraNet(GradualPruning):
    """Every dT iterations the largest stay over all layers, then each layer exchanges its smallest by the gradient.

    The share that is exchanged falls from a half, or `regeneration`, to 0.005 over the N prunings, after which the
    masks are fixed; in the authors' code it falls over the whole training, and exchanges go on to its end. The
    classifier exchanges nothing.
    """

    prunings = 8
    """Of short trainings. An empirical constant: what comes begins at 0 and needs time to grow, and with 40 exchanges
    within 154 iterations the first layer of the network of `make methods` lost all of its weights."""

    def choose(self, scores: Scores, regrowth: Scores, keep: int, number: int) -> Chosen:
        """Prune as gradual magnitude pruning does, then exchange."""
        drop = cosine_drop(number, self.schedule.prunings, self.job.strategy.regeneration)
        return exchange(scores, regrowth, top(scores, keep, self.masks), drop, self.fixed)
