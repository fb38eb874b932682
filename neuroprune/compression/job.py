"""What a pruning algorithm is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from neuroprune.compression.catalog import Currency
from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.chip_limits import ChipLimits
from neuroprune.compression.strategy import Strategy
from neuroprune.compression.weights import PrunableWeight
from neuroprune.data.types import Dataset
from neuroprune.graph.nodes import Graph
from neuroprune.neurons.model import NeuronModel
from neuroprune.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class PruningJob:
    """What an algorithm is told.

    module: the network, which training changes in place; graph: as traced from it in evaluation mode. strategy: the
    settings, all filled in. epochs: N_f, of the fine-tuning. groups: coupled channels, of which the share `targets` is
    to remain by currency, and `limits` hold on a chip, if there are any. weights: single weights, of which the share
    `sparsity` is to be zero. seed: of random scores. neurons: models that layers of neurons are read as.
    """

    module: nn.Module
    graph: Graph
    data: Dataset
    strategy: Strategy
    epochs: int
    groups: tuple[ChannelGroup, ...] = ()
    targets: Mapping[Currency, float] = field(default_factory=dict)
    limits: ChipLimits | None = None
    weights: tuple[PrunableWeight, ...] = ()
    sparsity: float = 0.0
    seed: int = 0
    neurons: Sequence[NeuronModel] | None = None
    progress: Progress = silent


def seed_of(job: PruningJob, number: int) -> int:
    """The seed of random scores at pruning `number`, so that each draws others and a resumed one draws the same."""
    return int(np.random.SeedSequence((job.seed, number)).generate_state(1)[0])
