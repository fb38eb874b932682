"""Scores of channels, from the weights of a trained network or from one pass over the training set."""

from collections.abc import Iterator

import torch
from spikingjelly.activation_based import functional
from torch.nn.functional import cross_entropy

from neuroprune.arrays import FloatArray
from neuroprune.compression.catalog import RankedBy, Regrowth
from neuroprune.compression.cost_model import CostModel, cost_model
from neuroprune.compression.job import PruningJob
from neuroprune.compression.potentials import Measure, Scores
from neuroprune.compression.scores import channels as scores
from neuroprune.compression.scores.neurons import Activity, Criticality
from neuroprune.compression.synops import SynopsCounter
from neuroprune.data.coding import frames_on, time_first
from neuroprune.evaluation import evaluation_mode
from neuroprune.training.loss import RATE_SCALE

BATCH = 256
"""Samples at once; what neurons are scored by does not depend on it."""

SYNOPS_SAMPLES = 2048
"""Training samples whose synaptic operations are counted, where they are what is to be saved; evenly over the set."""


def channel_scores(job: PruningJob, kind: RankedBy | Regrowth, seed: int) -> Scores:
    """The scores of that kind of all channels of the job's groups, in their order.

    The training set is passed in evaluation mode, not augmented; gradients are of its mean cross-entropy.
    """
    match kind:
        case "l1":
            return scores.filter_norm(job.module, job.groups)
        case "random":
            return scores.random(job.groups, torch.Generator().manual_seed(seed))
        case "criticality":
            return _of_neurons(job, kind, Criticality(job.strategy.aggregation, job.strategy.surrogate))
        case "activity":
            return _of_neurons(job, kind, Activity())
        case "gradient" | "grad":
            _backward(job)
            found = scores.scale_gradient(job.module, job.groups)
            job.module.zero_grad(set_to_none=True)
            return found
    return scores.magnitude(job.module, job.groups)


def _of_neurons(job: PruningJob, what: str, measure: Measure) -> Scores:
    return scores.criticality(job.module, job.graph, job.groups, _frames(job, what), measure, job.neurons)


def synops_by_input(job: PruningJob) -> dict[str, FloatArray]:
    """Synaptic operations for one sample from each input channel of each layer, as the network now is."""
    counter = SynopsCounter(job.graph)
    total = len(job.data.train)
    every = max(1, total // SYNOPS_SAMPLES)
    with counter.attached(job.module), torch.no_grad():
        for frames in _frames(job, "SynOps", every):
            functional.reset_net(job.module)
            job.module(frames)
    functional.reset_net(job.module)
    return counter.by_input


def costs_of(job: PruningJob) -> CostModel:
    """The costs of the job's network in the currencies of its targets; those in SynOps are measured."""
    with evaluation_mode(job.module):
        synops = synops_by_input(job) if "synops" in job.targets else None
    return cost_model(job.module, job.graph, job.groups, synops)


def _backward(job: PruningJob) -> None:
    """Leave the gradients of the mean loss over the training set in the module's parameters."""
    job.module.zero_grad(set_to_none=True)
    labels, start = torch.tensor(job.data.train.labels), 0
    for frames in _frames(job, "gradients"):
        functional.reset_net(job.module)
        rates = job.module(frames)
        expected = labels[start : start + len(rates)].to(rates.device)
        loss = cross_entropy(RATE_SCALE * rates, expected, reduction="sum") / len(labels)
        loss.backward()
        start += len(rates)
    functional.reset_net(job.module)


def first_frames(job: PruningJob) -> torch.Tensor:
    """One training sample as `trace` takes it, [1, C, H, W] or [1, T, C, H, W]."""
    device = next(job.module.parameters()).device
    return frames_on(device, job.data.train.images[:1], job.data.coding)


def _frames(job: PruningJob, what: str, every: int = 1) -> Iterator[torch.Tensor]:
    """The training split, or every so-manieth sample of it, as the module takes it, in batches on its device."""
    images, device = job.data.train.images[::every], next(job.module.parameters()).device
    for start in range(0, len(images), BATCH):
        yield time_first(frames_on(device, images[start : start + BATCH], job.data.coding))
        job.progress(what, min(start + BATCH, len(images)), len(images))
