"""How many synapses and synaptic operations arrive at each neuron, exactly, borders of convolutions included."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from neuroprune.program.types import IntConnection, IntConv, IntLayer

CountArray = npt.NDArray[np.int64]


class Arriving(NamedTuple):
    """int64 [layer shape] each: counted over all synapses, and over those whose weight is not zero."""

    all: CountArray
    nonzero: CountArray


def synapses(layer: IntLayer) -> Arriving:
    """Synapses of each neuron of `layer`; the padding of a convolution holds none."""
    return synops(layer, {each.source: np.ones(each.in_shape, dtype=np.int64) for each in layer.connections})


def delayed_synapses(layer: IntLayer, delays: Iterable[int]) -> int:
    """Synapses of `layer` that delay spikes; delays: steps by which those of each connection do."""
    late = tuple(each for each, delay in zip(layer.connections, delays, strict=True) if delay > 0)
    return int(synapses(replace(layer, connections=late)).all.sum())


def synops(layer: IntLayer, events: Mapping[str, CountArray]) -> Arriving:
    """Synaptic operations at each neuron of `layer`: deliveries of an event over a synapse.

    events: by the name of each source, the events of its neurons, int64 [shape of the source]. Summed over a layer this
    is each event times its source's fan-out; summed over the neurons of a core, the operations of that core.
    NeuroBench's effective SynOps leave out zero weights, SpikingJelly's SynOpCounter counts them.
    """
    everything, nonzero = np.zeros((2, *layer.shape), dtype=np.int64)
    for each in layer.connections:
        weight, arriving = each.synapse.weight, events[each.source]
        everything += _deliver(each, arriving, np.ones_like(weight)).reshape(layer.shape)
        nonzero += _deliver(each, arriving, weight != 0).reshape(layer.shape)
    return Arriving(everything, nonzero)


def _deliver(connection: IntConnection, events: CountArray, present: npt.NDArray[Any]) -> CountArray:
    """`events` through the connection with weight 1 where a synapse is `present`.

    float64 holds these sums exactly, and torch convolves it on a CPU by plain sums, without Winograd's fractions.
    """
    weight = torch.from_numpy(present.astype(np.float64))
    source = torch.from_numpy(events.astype(np.float64)).reshape(connection.in_shape)
    if isinstance(connection.synapse, IntConv):
        conv = connection.synapse
        arriving = F.conv2d(source[None], weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    else:
        arriving = F.linear(source.flatten(), weight)
    assert float(arriving.max()) < 2**53, "counts beyond the exact range of float64"
    return arriving.numpy().astype(np.int64)
