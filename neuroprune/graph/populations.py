"""Layers of neurons and what feeds them, from values between layers to those of the float program."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroprune.arrays import FloatArray, frozen_array
from neuroprune.graph.float_program import FloatConnection, FloatConv, FloatDense, FloatLayer, FloatSynapse, Part
from neuroprune.graph.nodes import Linear, Node, Shape, Synapse
from neuroprune.graph.terms import Fed
from neuroprune.neurons.model import FloatNeuron


@dataclass(frozen=True, eq=False)
class Population:
    """A layer of neurons, and what feeds it; bias: float64 [channels]."""

    name: str
    shape: Shape
    neuron: FloatNeuron
    inputs: list[Fed]
    bias: FloatArray
    part: Part | None


def layers_of(first: Node, populations: Sequence[Population]) -> tuple[FloatLayer, ...]:
    """The layers of a program whose input is `first`; names of connections are as short as distinct ones can be."""
    keys_of = [
        [(each.layers, each.source, population.name) for each in population.inputs] for population in populations
    ]
    candidates = [[_candidates(*key) for key in keys] for keys in keys_of]
    taken = [Counter(names[level] for keys in candidates for names in keys) for level in range(3)]
    used = {first.name} | {population.name for population in populations}
    shapes = {first.name: first.shape} | {population.name: population.shape for population in populations}
    made = []
    for population, keys in zip(populations, candidates, strict=True):
        connections = []
        for index, (fed, names) in enumerate(zip(population.inputs, keys, strict=True)):
            name = next((n for level, n in enumerate(names) if taken[level][n] == 1 and n not in used), None)
            name = name or f"{names[-1]}#{index + 1}"
            used.add(name)
            connections.append(FloatConnection(name, fed.source, _synapse(fed.synapse), shapes[fed.source], fed.delay))
        bias = frozen_array(population.bias, np.float64)
        shape, neuron, part = population.shape, population.neuron, population.part
        made.append(FloatLayer(population.name, tuple(connections), neuron, bias, shape, part))
    return tuple(made)


def _candidates(layers: tuple[str, ...], source: str, neuron: str) -> tuple[str, str, str]:
    base = "+".join(layers) or f"{neuron}.sum"
    return base, f"{base}@{source}", f"{base}@{source}:{neuron}"


def _synapse(op: Synapse) -> FloatSynapse:
    weight = frozen_array(op.weight, np.float64)
    if isinstance(op, Linear):
        return FloatDense(weight)
    return FloatConv(weight, op.stride, op.padding, op.dilation, op.groups)
