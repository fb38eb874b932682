"""Cost and accuracy of a network, measured on the test set."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from neuroprune.chips.chip import Chip
from neuroprune.compression.chip_cost import chip_cost, chip_samples
from neuroprune.compression.cost import FLOPS_PER_MAC, count_macs, count_macs_per_step, synapse_work
from neuroprune.compression.record import NetworkCost
from neuroprune.compression.synops import SynopsCounter
from neuroprune.data.types import Dataset
from neuroprune.graph.nodes import Graph
from neuroprune.intervals import share_interval
from neuroprune.training.evaluate import predict


class Measured(NamedTuple):
    """What was measured; correct: bool [test samples], whether each is classified correctly."""

    cost: NetworkCost
    correct: npt.NDArray[np.bool_]


def measure(
    module: nn.Module, graph: Graph, data: Dataset, chip: Chip | None = None, *, timed_on: int | None = None
) -> Measured:
    """Cost and accuracy of `module`, from which `graph` was traced, on the test set of `data`.

    chip: what its cost on a chip is counted on; training samples set the scales for that. timed_on: as of `chip_cost`.
    """
    counter = SynopsCounter(graph)
    with counter.attached(module):
        correct = predict(module, data.test.images, data.coding) == data.test.labels
    share = float(np.mean(correct))
    work = synapse_work(graph, zeros=False)
    cost = NetworkCost(
        accuracy=share,
        accuracy_interval=share_interval(share, len(correct)),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        nonzero_parameters=sum(int(parameter.count_nonzero()) for parameter in module.parameters()),
        flops=FLOPS_PER_MAC * count_macs(work),
        flops_per_step=FLOPS_PER_MAC * count_macs_per_step(work),
        unfolded_synops=counter.per_sample,
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values()),
        on_chip=None if chip is None else chip_cost(graph, chip_samples(data), chip, timed_on=timed_on),
    )
    return Measured(cost, correct)
