"""Growing regularisation: Wang et al., "Neural Pruning via Growing Regularization" (ICLR 2021), GReg-1 and GReg-2.

An L2 coefficient on the filters that are to go grows step by step, so that the network gets used to being without them
before they are cut: 1e-4 more every 10 iterations until it reaches 1, then some more iterations to stabilise. At the
paper's rate of 1e-3 that shrinks a filter by exp(-50). Where there are fewer iterations than the 100,000 that this
takes, the coefficient grows as much higher as shrinks filters alike.
"""

import numpy as np
import torch

from neuroprune.arrays import FloatArray
from neuroprune.compression.channel_scorer import channel_scores
from neuroprune.compression.job import PruningJob
from neuroprune.compression.pruning import ChannelPruning
from neuroprune.compression.search import Selection
from neuroprune.training.observer import ObserverState, Step, TrainingRun

UPDATE = 10
"""K_u: iterations between two steps of the coefficient (their experiments on CIFAR)."""

CEILING = 1.0
"""Where the coefficient of marked filters stops at least."""

SHRINKAGE = 50.0
"""Sum of rate * coefficient over their growth: 100,000 iterations at a rate of 1e-3, coefficients from 0 to 1."""

GROWTH = 0.8
"""The share of the iterations after which the coefficient stays and the network stabilises: a choice. Theirs are
100,000 of 105,000 iterations, but what is left of a short training must be more than a few steps."""

PICKING, PICK_CEILING = 0.1, 1e-2
"""GReg-2: the share of the iterations in which all filters are regularised alike, a choice for short trainings in place
of their 1,000 iterations; and where the coefficient stops then."""


LARGEST_STEP = 0.5
"""Of rate * coefficient: the share of a filter that goes in one iteration. From 2 on gradient descent would diverge."""


class Greg1(ChannelPruning):
    """The filters of least L1 norm in each layer, every layer the same share, are marked at once."""

    picking = 0.0
    """The share of the iterations after which filters are marked."""

    def __init__(self, job: PruningJob) -> None:
        super().__init__(job)
        self.selection: Selection | None = None

    def begin(self, run: TrainingRun) -> None:
        """Lay out how the coefficient grows."""
        self._marked_at = int(self.picking * run.iterations)
        epochs, per_epoch = range(run.settings.epochs), run.iterations_per_epoch
        rates = [run.settings.learning_rate(epoch, index / per_epoch) for epoch in epochs for index in range(per_epoch)]
        self._coefficients = coefficients(np.array(rates), self._marked_at)

    def after_backward(self, step: Step) -> None:
        """Mark filters when it is time to, and add the gradient of the L2 penalty."""
        if self.selection is None and step.iteration >= self._marked_at:
            self.selection = self.search(channel_scores(self.job, "l1", seed=0))
        coefficient = float(self._coefficients[step.iteration])
        for group in self.job.groups:
            marked = np.ones(group.channels, dtype=np.bool_)
            if self.selection is not None:
                marked = ~self.selection.kept[group.name]
            for producer in group.producers:
                weight = step.run.module.get_parameter(f"{producer}.weight")
                assert weight.grad is not None
                penalised = torch.from_numpy(marked).to(weight.device).view(-1, *[1] * (weight.ndim - 1))
                weight.grad.add_(weight.detach() * penalised, alpha=coefficient)

    def choose(self) -> Selection:
        """All but the marked filters."""
        assert self.selection is not None
        return self.selection

    def state(self) -> ObserverState:
        """Which filters are marked, once they are."""
        if self.selection is None:
            return ObserverState()
        tensors = {name: torch.from_numpy(mask) for name, mask in self.selection.kept.items()}
        return ObserverState(tensors, {"shares": self.selection.shares})

    def restore(self, state: ObserverState) -> None:
        """Take the marks back."""
        if "shares" not in state.values:
            return
        kept = {group.name: state.tensors[group.name].numpy() for group in self.job.groups}
        nothing = {name: np.zeros_like(mask) for name, mask in kept.items()}
        self.selection = Selection(kept, nothing, state.values["shares"])


class Greg2(Greg1):
    """All filters are regularised alike for a while, which sets apart those that the loss holds on to."""

    picking = PICKING


def coefficients(rates: FloatArray, marked_at: int) -> FloatArray:
    """The L2 coefficient at each iteration, float64 [iterations].

    rates: the learning rate at each. Before `marked_at`, where it is for all filters, it grows to PICK_CEILING; from
    there to the share GROWTH of all iterations to CEILING, or higher, so that filters shrink by exp(-SHRINKAGE).
    No iteration takes more than LARGEST_STEP of a filter.
    """
    iterations = len(rates)
    steps = np.arange(iterations) // UPDATE * UPDATE
    picking = PICK_CEILING * (steps + UPDATE) / max(marked_at, 1)
    growing = max(1, int(GROWTH * iterations) - marked_at)
    shape = np.clip((steps - marked_at + UPDATE) / growing, 0.0, 1.0)
    shrinkage = float((rates * shape)[marked_at:].sum())
    ceiling = max(CEILING, SHRINKAGE / shrinkage) if shrinkage else CEILING
    grown = (PICK_CEILING if marked_at else 0.0) + ceiling * shape
    wanted = np.where(np.arange(iterations) < marked_at, np.minimum(picking, PICK_CEILING), grown)
    return np.minimum(wanted, LARGEST_STEP / np.maximum(rates, np.finfo(np.float64).tiny))
