"""What a network takes and gives, measured on the test set."""

from dataclasses import dataclass

from torch import nn

from neuroprune.compress.cost import FLOPS_PER_MAC, count_macs, synapse_work
from neuroprune.compress.synops import SynopsCounter
from neuroprune.data.types import Dataset
from neuroprune.graph.nodes import Graph
from neuroprune.train.evaluate import accuracy


@dataclass(frozen=True)
class NetworkCost:
    """accuracy: share of the test set that is classified rightly, in 0..1.

    parameters: numbers that training sets. bytes: all tensors as stored, running statistics included.
    flops: for one sample, two for each multiply-accumulate of `neuroprune.compress.cost`.
    synops: synaptic operations for one sample of the test set (`neuroprune.compress.synops`), mean.
    """

    accuracy: float
    parameters: int
    flops: int
    synops: float
    bytes: int


def measure(module: nn.Module, graph: Graph, data: Dataset) -> NetworkCost:
    """Cost of `module`, of which `graph` was traced, on the test set of `data`."""
    counter = SynopsCounter(graph)
    with counter.attached(module):
        share = accuracy(module, data.test.images, data.test.labels, data.coding)
    return NetworkCost(
        accuracy=share,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        flops=FLOPS_PER_MAC * count_macs(synapse_work(graph)),
        synops=counter.per_sample,
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values()),
    )
