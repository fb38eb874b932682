"""Cost and accuracy of a network, measured on the test set."""

from torch import nn

from neuroprune.compression.cost import FLOPS_PER_MAC, count_macs, synapse_work
from neuroprune.compression.record import NetworkCost
from neuroprune.compression.synops import SynopsCounter
from neuroprune.data.types import Dataset
from neuroprune.graph.nodes import Graph
from neuroprune.training.evaluate import measure_accuracy


def measure(module: nn.Module, graph: Graph, data: Dataset) -> NetworkCost:
    """Cost and accuracy of `module`, from which `graph` was traced, on the test set of `data`."""
    counter = SynopsCounter(graph)
    with counter.attached(module):
        share = measure_accuracy(module, data.test.images, data.test.labels, data.coding)
    return NetworkCost(
        accuracy=share,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        flops=FLOPS_PER_MAC * count_macs(synapse_work(graph)),
        synops=counter.per_sample,
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values()),
    )
