"""A layer on calibration data: its currents and spikes, and the scale at which its integer spikes differ least.

The largest weight alone is a poor guide to a scale: at few bits it wastes the grid on outliers, and it
ignores the limits of the other fields. So scales are tried from a little below the one at which no weight is clipped to
far above it, and the layer is run in the chip's integers on calibration samples with each. The best is the one at which
the fewest spikes differ from those of the float layer on the same input. Its input is what the layers before it send
after they have been quantised.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroprune.arrays import FloatArray
from neuroprune.fixed_point import IntegerRules, WeightArray, round_into, round_weights
from neuroprune.graph.float_program import FloatLayer, FloatSynapse
from neuroprune.neurons.model import FloatNeuron, IntNeuron, fire_float
from neuroprune.program.types import IntBias, IntLayer
from neuroprune.quantization.forward import deliver, fire, fire_with_feedback
from neuroprune.quantization.scale import Incoming, Peaks, Scale, bias_exponent, fit_scale, scale_limits

CHUNK = 32
"""Samples that run at once; memory grows with it, not with the calibration batch."""
NEURON_STEPS = 2**19
"""Spikes to compare: narrow layers are searched on more samples than wide ones."""
FEWEST_SAMPLES = 16
"""Samples that even the widest layer is searched on."""
STEP = 0.9
"""Ratio of neighbouring scales of the search."""
BELOW = 0.8
"""Smallest scale of the search, as a share of the one at which everything fits."""


def _clipping_ratio(weight_bits: int) -> float:
    """Largest scale of the search over the one that clips no weight: the fewer bits, the more clipping may pay."""
    return float(2.0 ** ((10 - weight_bits) / 2))


@dataclass(frozen=True, eq=False)
class Source:
    """What a layer reads on the calibration samples, [steps or 1, samples, *shape].

    floats: values as the float network reads them; integers: int8, as the chip does. Spikes are the same tensor.
    unit: the float value of one integer step. range: least and largest integer, at most 0 and at least 0.
    """

    floats: Tensor
    integers: Tensor
    unit: float = 1.0
    range: tuple[int, int] = (0, 1)


@dataclass(frozen=True, eq=False)
class Population:
    """A layer of a float program, and what its connections read.

    While the scale is chosen, recurrent connections read what the float layer fires; see `Source`.
    """

    layer: FloatLayer
    sources: tuple[Source, ...]
    steps: int
    weight_bits: int
    rules: IntegerRules

    @property
    def samples(self) -> int:
        """Number of calibration samples."""
        return self.sources[0].integers.shape[1]

    @property
    def synapses(self) -> tuple[FloatSynapse, ...]:
        """The synapses of the connections."""
        return tuple(connection.synapse for connection in self.layer.connections)

    @property
    def neuron(self) -> FloatNeuron:
        """The layer's neurons."""
        return self.layer.neuron

    @property
    def bias(self) -> FloatArray:
        """The layer's biases, in units of potential."""
        return self.layer.bias

    @property
    def incoming(self) -> list[Incoming]:
        """Each connection's weights for one unit of its integer input, and the range of that input."""
        return [
            (synapse.weight * source.unit, source.range)
            for synapse, source in zip(self.synapses, self.sources, strict=True)
        ]

    def limits(self, peaks: Peaks) -> dict[str, float]:
        """The largest scale that each field allows."""
        return scale_limits(self.incoming, self.bias, self.neuron, peaks, self.steps, self.weight_bits, self.rules)

    def weights(self, scale: Scale) -> tuple[WeightArray, ...]:
        """The integer weights of each synapse."""
        return tuple(round_weights(weight * scale.weight, self.weight_bits) for weight, _ in self.incoming)

    def int_bias(self, scale: Scale) -> IntBias:
        """The chip's biases at `scale`."""
        exponent = bias_exponent(self.bias, scale, self.rules)
        return IntBias(round_into(self.bias * scale.voltage / 2**exponent, self.rules.bias_bits), exponent)

    def rounding(self, weights: Sequence[WeightArray], scale: Scale) -> float:
        """Sum of the squared errors of integer weights, in units of potential."""
        pairs = zip(weights, self.incoming, strict=True)
        return float(sum(((rounded / scale.weight - exact) ** 2).sum() for rounded, (exact, _) in pairs))

    def float_currents(self, samples: slice) -> Tensor:
        """What the float synapses deliver, [steps or 1, samples, *shape], without bias."""
        weights = [synapse.weight for synapse in self.synapses]
        return self._deliver(weights, [source.floats[:, samples] for source in self.sources])

    def integer_currents(self, weights: Sequence[WeightArray], samples: slice) -> Tensor:
        """What integer synapses deliver, in units of the weights."""
        return self._deliver(weights, [source.integers[:, samples] for source in self.sources])

    @property
    def forward(self) -> "Population":
        """The same without recurrent connections."""
        pairs = zip(self.layer.connections, self.sources, strict=True)
        kept = [(each, source) for each, source in pairs if each.source != self.layer.name]
        connections, sources = zip(*kept, strict=True)
        return replace(self, layer=replace(self.layer, connections=connections), sources=sources)

    @property
    def recurrent(self) -> list[int]:
        """Which of the connections are from the layer to itself."""
        return [number for number, each in enumerate(self.layer.connections) if each.source == self.layer.name]

    def feedback(self, weights: Sequence[npt.NDArray[np.generic]]) -> Callable[[Tensor], Tensor]:
        """What spikes of the layer, [samples, *shape], deliver to it a step later; weights: of all connections."""
        return lambda spikes: sum(
            (
                deliver(
                    self.synapses[number], torch.from_numpy(weights[number].astype(np.float32)), spikes[None].float()
                )[0]
                for number in self.recurrent
            ),
            torch.zeros(()),
        )

    def fire(self, currents: Tensor, neuron: IntNeuron, bias: IntBias) -> Tensor:
        """Spikes [steps, samples, *shape] of the chip's neurons on `integer_currents`."""
        return fire(currents, _spread(bias.mantissa * 2.0**bias.exponent, currents), neuron, self.steps)[0]

    def fire_float(self, currents: Tensor) -> Tensor:
        """Spikes [steps, samples, *shape] of the float neurons on `float_currents`."""
        spikes, _ = fire_float(self.neuron, currents, _spread(self.bias, currents), self.steps)
        return torch.stack(spikes).to(currents.dtype)

    def fire_float_alone(self, samples: slice) -> Tensor:
        """Spikes of the float neurons that read their own; the sources of recurrent connections do not matter."""
        currents = self.forward.float_currents(samples)
        feedback = self.feedback([synapse.weight for synapse in self.synapses])
        spikes, _ = fire_float(self.neuron, currents, _spread(self.bias, currents), self.steps, feedback)
        return torch.stack(spikes).to(currents.dtype)

    def fire_alone(self, layer: IntLayer, samples: slice) -> Tensor:
        """Spikes of the chip's neurons of `layer`, which is this population in integers, that read their own."""
        weights = [connection.synapse.weight for connection in layer.connections]
        currents = self.forward.integer_currents(weights[: len(layer.forward)], samples)
        if not layer.recurrent:
            return self.fire(currents, layer.neuron, layer.bias)
        bias = _spread(layer.bias.mantissa * 2.0**layer.bias.exponent, currents)
        return fire_with_feedback(currents, bias, layer.neuron, self.steps, self.feedback(weights))

    def _deliver(self, weights: Sequence[npt.NDArray[np.generic]], values: list[Tensor]) -> Tensor:
        total = torch.zeros(())
        for synapse, weight, value in zip(self.synapses, weights, values, strict=True):
            total = total + deliver(synapse, torch.from_numpy(weight.astype(np.float32)), value.float())
        return total


@torch.inference_mode()
def choose_scale(population: Population) -> tuple[Scale, float]:
    """The best scale within the limits of all fields, and its error on calibration data.

    The error is the share of neuron-steps whose spike differs from the float layer's on the same input. Of the scales
    whose number of such spikes exceeds the fewest by no more than chance (its square root), the one that rounds the
    weights best is taken, since neurons that are silent on calibration data may fire later. Integrators have no spikes:
    their error is the mean squared error of the current over its mean square.
    """
    limits = _limits(population)
    scales = [
        fit_scale(scale, limited_by, population.neuron, population.rules)
        for scale, limited_by in _candidates(limits, population.weight_bits)
    ]
    neurons = math.prod(population.float_currents(slice(0, 1)).shape[2:])
    samples_searched = max(NEURON_STEPS // (neurons * population.steps), FEWEST_SAMPLES)
    searched = list(chunks(min(population.samples, samples_searched)))
    currents = [population.float_currents(samples) for samples in searched]
    expected = [population.fire_float(each) for each in currents]
    integrates = population.neuron.integrates
    size = sum(float(each.square().sum()) for each in currents) if integrates else sum(map(torch.numel, expected))
    errors, roundings = [], []
    for scale in scales:
        weights, bias, error = population.weights(scale), population.int_bias(scale), 0.0
        for samples, current, spikes in zip(searched, currents, expected, strict=True):
            integers = population.integer_currents(weights, samples)
            if integrates:
                error += float((integers / scale.weight - current).square().sum())
            else:
                error += int((population.fire(integers, scale.neuron, bias) != spikes).sum())
        errors.append(error)
        roundings.append(population.rounding(weights, scale))
    chance = 0.0 if integrates else math.sqrt(min(errors))
    equal = [index for index, error in enumerate(errors) if error <= min(errors) + chance]
    best = min(equal, key=lambda index: roundings[index])
    return scales[best], errors[best] / max(size, 1e-30)


def chunks(samples: int) -> Iterator[slice]:
    """All samples, `CHUNK` at a time."""
    for start in range(0, samples, CHUNK):
        yield slice(start, min(start + CHUNK, samples))


def _limits(population: Population) -> dict[str, float]:
    """The limits of the layer's fields, proved for any input or, where too strict, measured on calibration data."""
    proved = population.limits(Peaks(math.inf, math.inf))
    of_registers = proved.keys() - {"weight", "bias", "threshold"}
    registers = min((proved[name] for name in of_registers), default=math.inf)
    needed = min(
        proved["weight"] * _clipping_ratio(population.weight_bits), proved["bias"], proved.get("threshold", math.inf)
    )
    return proved if registers >= needed else population.limits(_peaks(population))


def _candidates(limits: dict[str, float], weight_bits: int) -> list[tuple[float, str]]:
    """Scales to try, the largest first, each with the field that limits it."""
    fits = limits["weight"]
    hard = min((name for name in limits if name != "weight"), key=lambda name: limits[name])
    top, bottom = min(limits[hard], fits * _clipping_ratio(weight_bits)), BELOW * min(limits[hard], fits)
    if math.isinf(top):  # all weights and biases are 0
        return [(1.0, "weight")]
    number = math.ceil(math.log(bottom / top, STEP)) + 1
    tried = [(float(scale), "weight") for scale in np.geomspace(top, bottom, number)]
    return [(top, hard), *tried[1:]] if top == limits[hard] else tried


def _peaks(population: Population) -> Peaks:
    """Peaks of the float layer over all calibration samples; neurons that fire need no bound of their voltage."""
    neuron = population.neuron
    highest_current = highest_voltage = 0.0
    for samples in chunks(population.samples):
        currents = population.float_currents(samples)
        highest_current = max(highest_current, float(currents.abs().max()))
        if not (neuron.filters_input or neuron.integrates):
            continue
        bias, state = _spread(population.bias, currents), neuron.rest(torch.zeros(()))
        for step in range(population.steps):
            state = neuron.integrate(state, currents[step if len(currents) > 1 else 0], bias)
            if neuron.filters_input:
                highest_current = max(highest_current, float(state[0].abs().max()))
            highest_voltage = max(highest_voltage, float(state[-1].abs().max()))
    return Peaks(highest_current, highest_voltage)


def _spread(channels: FloatArray, currents: Tensor) -> Tensor:
    """One value per channel, in a shape that broadcasts to [steps, samples, *shape]."""
    return torch.from_numpy(channels.astype(np.float32)).reshape(-1, *(1 for _ in currents.shape[3:]))
