"""What neurons are scored by: criticality, and the activity of spiking channels."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from neuroprune.compression.catalog import Aggregation, SurrogateOf
from neuroprune.compression.neuron_layers import NeuronLayer
from neuroprune.compression.potentials import Measure, Moment
from neuroprune.compression.scores.surrogates import Slope, atan_slope, trained_slope
from neuroprune.neurons.model import FloatNeuron


@dataclass(frozen=True)
class Criticality(Measure):
    """Eq 6 of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks".

    The mean over samples of the maximum (or mean) over the feature map of the mean over time of g'(u), where
    u = (h - threshold) / threshold, h is the potential before reset, and g' the derivative of a surrogate function over
    that at the threshold, so 1 there; of the usual surrogates it falls to 0 on both sides.

    surrogate: "trained", the function that the layer is trained with; "paper", ATan with alpha 2 for all. The paper
    has thresholds of 1 and trains with the latter, where all of this is the same.
    """

    aggregation: Aggregation = "max"
    surrogate: SurrogateOf = "trained"

    def begin(self, layer: NeuronLayer, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
        """Raises InputError where the surrogate function of `layer` is not found or has no peak at the threshold."""
        slope: Slope = atan_slope
        if self.surrogate == "trained":
            slope = trained_slope(layer.name, layer.module, None if layer.is_known else layer.response)
        return lambda moment: slope(moment.potential.div(neurons.threshold).sub_(1.0))

    def of_map(self, means: torch.Tensor) -> torch.Tensor:
        return means.amax(2) if self.aggregation == "max" else means.mean(2)


@dataclass(frozen=True)
class Activity(Measure):
    """The importance of "Towards Efficient Deep Spiking Neural Networks Construction with Spiking Activity based
    Pruning" (SCA): the mean over time, map and samples of spike + |v|, with v the potential after reset.

    spikes: whether the spikes count; without them it is the other published reading, |v| alone.
    """

    spikes: bool = True

    def begin(self, layer: NeuronLayer, neurons: FloatNeuron) -> Callable[[Moment], torch.Tensor]:
        return lambda moment: moment.left.abs().add_(moment.fired) if self.spikes else moment.left.abs()

    def of_map(self, means: torch.Tensor) -> torch.Tensor:
        return means.mean(2)
