"""Lottery tickets of spiking networks: iterative magnitude pruning with late rewinding (Kim et al., Exploring Lottery
Ticket Hypothesis in Spiking Neural Networks, ECCV 2022; Frankle et al., ICML 2020)."""

from collections.abc import Sequence

from neuroprune.compression.job import PruningJob
from neuroprune.compression.pruning import WeightPruning
from neuroprune.compression.rewinding import Tensors, kept_state, read_kept_state, rewind, set_rate, snapshot
from neuroprune.compression.schedules import LOTTERY_MILESTONES, lottery_rounds
from neuroprune.training.observer import ObserverState, Step


class LotteryTicket(WeightPruning):
    """Rounds of training; after each, at most a quarter of the living weights goes, the smallest over all layers.

    What stays goes back to its value early in the first round, after 20 of 300 epochs, as do all other tensors of the
    network, while the optimiser begins anew. Each round follows a course of the learning rate of its own, of N_p epochs
    and in the last round of N_f, from the epoch on that its weights are of; in the authors' code the course of a later
    round is of 280 epochs and begins at the full rate, and BatchNorm keeps its running statistics.

    rounds: see `neuroprune.compression.schedules.lottery_rounds`. One search is readable at all of them: the accuracy
    at `rounds[i].sparsity` is that of epoch `rounds[i].end` in the history, since a network is pruned and rewound when
    the next round begins. milestones: rising sparsities below the target that a round has exactly.
    """

    def __init__(self, job: PruningJob, milestones: Sequence[float] = LOTTERY_MILESTONES) -> None:
        super().__init__(job)
        self.rounds = lottery_rounds(self.sparsity, job.strategy.prune_epochs, job.epochs, milestones)
        self._kept: Tensors = {}

    @property
    def epochs(self) -> int:
        """Of all rounds."""
        return self.rounds[-1].end

    def before_forward(self, step: Step) -> None:
        """Keep the weights to rewind to, or begin the next round."""
        if not step.begins_epoch:
            return
        if step.epoch == self.rounds[-1].skipped:
            self._kept = snapshot(step.run.module)
        for each in self.rounds[1:]:
            if step.epoch == each.start:
                self.cut_to(each.sparsity, step.iteration - 1)
                rewind(step.run, self._kept)
                self.hold()

    def after_backward(self, step: Step) -> None:
        """Give the step the learning rate of its round."""
        current = next(each for each in self.rounds if step.epoch < each.end)
        set_rate(step, current.course, current.skipped + step.epoch - current.start)

    def is_result(self, epoch: int) -> bool:
        """The network of every round is one, at a sparsity of its own."""
        return any(epoch + 1 == each.end for each in self.rounds)

    def state(self) -> ObserverState:
        """Masks, and the tensors to rewind to."""
        state = super().state()
        return ObserverState({**state.tensors, **kept_state(self._kept)}, state.values)

    def restore(self, state: ObserverState) -> None:
        """Take them back."""
        super().restore(state)
        self._kept = read_kept_state(self.run.module, state)
