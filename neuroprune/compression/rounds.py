"""What the networks cost that an algorithm is done with on its way, as a lottery search is with that of every round."""

from collections.abc import Callable

from neuroprune.compression.masks import count, size
from neuroprune.compression.pruning import WeightPruning
from neuroprune.compression.record import NetworkCost, Round
from neuroprune.training.observer import Observer, ObserverState, Step


class RoundKeeper(Observer):
    """Measures the network of each epoch that `algorithm.is_result` names, but for the last, as the next one begins.

    It has to come before the algorithm among the observers, which then prunes the network. measure: its cost now.
    """

    def __init__(self, algorithm: WeightPruning, measure: Callable[[], NetworkCost]) -> None:
        self._algorithm = algorithm
        self._measure = measure
        self.rounds: tuple[Round, ...] = ()

    @property
    def name(self) -> str:
        """What files call its state."""
        return "rounds"

    def before_forward(self, step: Step) -> None:
        """Measure the network that the epoch before has ended with."""
        if step.begins_epoch and step.epoch > 0 and self._algorithm.is_result(step.epoch - 1):
            masks = self._algorithm.masks
            sparsity = 1 - count(masks) / size(masks)
            self.rounds = (*self.rounds, Round(epoch=step.epoch, sparsity=sparsity, cost=self._measure()))

    def state(self) -> ObserverState:
        """The costs so far."""
        return ObserverState({}, {"rounds": [each.model_dump(mode="json") for each in self.rounds]})

    def restore(self, state: ObserverState) -> None:
        """Take them back."""
        self.rounds = tuple(Round.model_validate(each) for each in state.values["rounds"])
