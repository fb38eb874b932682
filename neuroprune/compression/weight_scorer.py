"""Scores of single weights, gathered inside the training steps that are followed by a pruning."""

import torch

from neuroprune.compression.catalog import RankedBy, Regrowth
from neuroprune.compression.job import PruningJob
from neuroprune.compression.potentials import Recorder
from neuroprune.compression.scores import weights as scores
from neuroprune.compression.scores.neurons import Criticality

Named = dict[str, torch.Tensor]
_GRADIENTS = {"gradient", "grad"}


class WeightScorer:
    """The scores that a method needs, `kinds`, of the weights of a job.

    arm: before the forward pass whose potentials count; gather: after its backward pass; of: then the scores by name of
    the parameter; finish: when training ends.
    """

    def __init__(self, job: PruningJob, kinds: tuple[RankedBy | Regrowth, ...]) -> None:
        self._module, self._weights = job.module, job.weights
        self._recorder = None
        self._needs_gradient = not _GRADIENTS.isdisjoint(kinds)
        self._gradients: Named = {}
        self._of_neurons: Named = {}
        if "criticality" in kinds:
            measure = Criticality(job.strategy.aggregation, job.strategy.surrogate)
            self._recorder = Recorder(job.module, job.graph, scores.neurons_of(job.weights), measure, job.neurons)

    def arm(self) -> None:
        """Record the potentials of the next forward pass."""
        if self._recorder is not None:
            self._recorder.arm()

    def gather(self) -> None:
        """Take what the forward and backward pass have left."""
        if self._recorder is not None:
            self._recorder.disarm()
            self._of_neurons = scores.of_neurons(self._module, self._weights, self._recorder.take())
        if self._needs_gradient:
            self._gradients = scores.gradient(self._module, self._weights)

    def finish(self) -> None:
        """Leave no hook behind where a training failed in between."""
        if self._recorder is not None:
            self._recorder.disarm()

    def of(self, kind: RankedBy | Regrowth, seed: int) -> Named:
        """The scores of that kind; of "none" those of the magnitude, by which nothing else is brought back."""
        if kind in _GRADIENTS:
            return self._gradients
        if kind == "random":
            return scores.random(self._module, self._weights, torch.Generator().manual_seed(seed))
        if kind == "criticality":
            return self._of_neurons
        return scores.magnitude(self._module, self._weights)
