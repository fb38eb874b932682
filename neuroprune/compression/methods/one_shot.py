"""Structured pruning of a trained network at once: Algorithm 2 of "Brain-Inspired Efficient Pruning: Exploiting
Criticality in Spiking Neural Networks", of which network slimming (Liu et al. 2017) is the case r = 0, and the controls
in which every layer keeps the same share."""

from dataclasses import replace

from neuroprune.arrays import FloatArray
from neuroprune.compression.channel_scorer import channel_scores, first_frames, synops_by_input
from neuroprune.compression.cost_model import cost_model
from neuroprune.compression.job import seed_of
from neuroprune.compression.pruning import ChannelPruning
from neuroprune.compression.search import TOLERANCE, Selection, out_of_reach
from neuroprune.compression.surgery import remove_channels, trace_pruned
from neuroprune.errors import InputError

CORRECTIONS = 6
"""How often the target in SynOps is moved, since the channels that stay fire otherwise once others are gone."""


class OneShot(ChannelPruning):
    """criticality, slimming and uniform: channels are ranked by a score, and a share of those that stay by another."""

    def choose(self) -> Selection:
        """The channels that stay, at the targets of the job."""
        job, strategy = self.job, self.job.strategy
        scores, regrowth = channel_scores(job, strategy.score, seed_of(job, 0)), None
        if strategy.regeneration > 0.0:
            regrowth = channel_scores(job, strategy.regenerate_by, seed_of(job, 1))
        if "synops" not in job.targets:
            return self.search(scores, regrowth)
        return self._spend(scores, regrowth)

    def _spent(self, selection: Selection) -> float:
        """Synaptic operations for one sample of the network with the channels of `selection`."""
        slim = remove_channels(self.job.module, self.job.groups, selection.kept)
        graph = trace_pruned(slim, first_frames(self.job), self.job.neurons)
        return sum(float(each.sum()) for each in synops_by_input(replace(self.job, module=slim, graph=graph)).values())

    def _spend(self, scores: FloatArray, regrowth: FloatArray | None) -> Selection:
        """The selection whose network really comes nearest to the targets.

        The cost model takes kept neurons to fire as before, so its target is moved by as much as it was wrong.
        """
        job = self.job
        synops = synops_by_input(job)
        costs = cost_model(job.module, job.graph, job.groups, synops)
        dense = sum(float(each.sum()) for each in synops.values())
        aimed = asked = job.targets["synops"]
        found: list[tuple[float, Selection]] = []
        for _ in range(CORRECTIONS):
            aiming = OneShot(replace(job, targets={**job.targets, "synops": aimed}))
            selection = aiming.search(scores, regrowth, costs=costs, tolerance=1.0)
            spent = self._spent(selection)
            shares = {**selection.shares, "synops": spent / dense}
            excess = abs(max(shares[currency] - target for currency, target in job.targets.items()))
            found.append((excess, replace(selection, shares=shares)))
            if excess < TOLERANCE / 4 or not spent:
                break
            aimed = min(aimed * asked * dense / spent, 1.0)
        excess, best = min(found, key=lambda each: each[0])
        if excess > TOLERANCE:
            raise InputError(out_of_reach(job.targets, best.shares, job.strategy.layer_floor))
        return best
