"""Early-bird tickets: prune once the choice of weights has settled (You et al., Drawing Early-Bird Tickets, ICLR 2020;
for spiking networks Kim et al., Exploring Lottery Ticket Hypothesis in Spiking Neural Networks, ECCV 2022)."""

from collections.abc import Sequence

from neuroprune.compression.job import PruningJob
from neuroprune.compression.masks import Masks, count, count_kept, size, top
from neuroprune.compression.pruning import WeightPruning
from neuroprune.compression.rewinding import Tensors, kept_state, read_kept_state, rewind, set_rate, snapshot
from neuroprune.training.observer import ObserverState, Step

DRAWS = 5
"""How many successive masks must agree (You et al. 2020)."""

DISTANCE = 0.02
"""The Hamming distance, as a share of all weights, that they must stay below (Kim et al. 2022)."""

_DRAWN = "drawn."
"""What the names of the masks drawn last begin with."""


def distance(first: Masks, second: Masks) -> float:
    """The share of all weights that one of the two keeps and the other does not."""
    return count({name: mask ^ second[name] for name, mask in first.items()}) / size(first)


def settled(drawn: Sequence[Masks]) -> bool:
    """Whether there are `DRAWS` masks and the newest, the last, is nearer than `DISTANCE` to each of the others.

    Two masks that keep 1 - s of the weights are at most 2 (1 - s) apart, so from a sparsity of 99 % on they always are.
    """
    return len(drawn) == DRAWS and all(distance(drawn[-1], each) < DISTANCE for each in drawn[:-1])


class EarlyBird(WeightPruning):
    """At the start of each of the N_p epochs the mask of the largest weights is drawn, and taken when it has settled.

    It is taken after N_p epochs whether it has or not. What stays then goes back to the weights that the training began
    with, and is trained for the rest of the N_p + N_f epochs under a course of the learning rate of its own. That is
    what Kim et al. do, from whom the figures for spiking networks are; You et al. train on with the weights as they
    are. In the code of Kim et al. the search has twice the learning rate, which is left out here.

    taken: the epoch, counted from 0, at whose start the mask was taken; None until then.
    """

    def __init__(self, job: PruningJob) -> None:
        super().__init__(job)
        self.taken: int | None = None
        self._drawn: list[Masks] = []
        self._kept: Tensors = {}

    def before_forward(self, step: Step) -> None:
        """Draw a mask, and take it when it is time to."""
        if not step.begins_epoch or self.taken is not None:
            return
        if step.iteration == 0:
            self._kept = snapshot(step.run.module)
        drawn = top(self.magnitudes(), count_kept(size(self.masks), self.sparsity))
        self._drawn = [*self._drawn, drawn][-DRAWS:]
        if settled(self._drawn) or step.epoch == self.job.strategy.prune_epochs:
            self.cut_to(self.sparsity, step.iteration - 1)
            rewind(step.run, self._kept)
            self.hold()
            self.taken, self._drawn, self._kept = step.epoch, [], {}

    def after_backward(self, step: Step) -> None:
        """Give the ticket's training its learning rate."""
        if self.taken is not None:
            set_rate(step, self.epochs - self.taken, step.epoch - self.taken)

    def state(self) -> ObserverState:
        """Masks, those drawn, and the initial tensors while they are needed."""
        state = super().state()
        tensors = kept_state(self._kept)
        for place, masks in enumerate(self._drawn):
            tensors |= {f"{_DRAWN}{place}.{name}": mask for name, mask in masks.items()}
        values = {"taken": self.taken, "drawn": len(self._drawn)}
        return ObserverState({**state.tensors, **tensors}, {**state.values, **values})

    def restore(self, state: ObserverState) -> None:
        """Take them back."""
        super().restore(state)
        taken = state.values["taken"]
        self.taken = None if taken is None else int(taken)
        self._drawn = [self.read_masks(state, f"{_DRAWN}{place}.") for place in range(state.values["drawn"])]
        self._kept = read_kept_state(self.run.module, state)
