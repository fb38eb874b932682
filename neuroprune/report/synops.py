"""How many synapses and synaptic operations arrive at each neuron, exactly, borders of convolutions included."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from neuroprune.quantize.types import IntConv, QuantLayer

CountArray = npt.NDArray[np.int64]


class Arriving(NamedTuple):
    """int64 [layer shape] each: counted over all synapses, and over those whose weight is not zero."""

    all: CountArray
    nonzero: CountArray


def synapses(layer: QuantLayer) -> Arriving:
    """Synapses of each neuron of `layer`; the padding of a convolution holds none."""
    return synops(layer, np.ones(layer.in_shape, dtype=np.int64))


def synops(layer: QuantLayer, events: CountArray) -> Arriving:
    """Synaptic operations at each neuron of `layer`: deliveries of an event over a synapse.

    events: int64 [in_shape], events of each source. Summed over a layer this is each event times its source's fan-out;
    summed over the neurons of a core, the operations of that core. NeuroBench's effective SynOps leave out zero
    weights, SpikingJelly's SynOpCounter counts them.
    """
    weight = layer.synapse.weight
    return Arriving(_deliver(layer, events, np.ones_like(weight)), _deliver(layer, events, weight != 0))


def _deliver(layer: QuantLayer, events: CountArray, present: npt.NDArray[Any]) -> CountArray:
    """`events` through the layer with weight 1 where a synapse is `present`.

    float64 holds these sums exactly, and torch convolves it on a CPU by plain sums, without Winograd's fractions.
    """
    weight = torch.from_numpy(present.astype(np.float64))
    source = torch.from_numpy(events.astype(np.float64)).reshape(layer.in_shape)
    if isinstance(layer.synapse, IntConv):
        conv = layer.synapse
        arriving = F.conv2d(source[None], weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    else:
        arriving = F.linear(source.flatten(), weight)
    assert float(arriving.max()) < 2**53, "counts beyond the exact range of float64"
    return arriving.numpy().astype(np.int64).reshape(layer.shape)
