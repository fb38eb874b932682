"""Structured pruning of a trained network at once: Algorithm 2 of "Brain-Inspired Efficient Pruning: Exploiting
Criticality in Spiking Neural Networks", of which network slimming (Liu et al. 2017) is the case r = 0, and the controls
in which every layer keeps the same share."""

from collections.abc import Mapping
from dataclasses import replace

from neuroprune.compression.catalog import Currency
from neuroprune.compression.channel_scorer import channel_scores, synops_by_input
from neuroprune.compression.cost_model import CostModel, cost_model
from neuroprune.compression.pruning import ChannelPruning, seed_of
from neuroprune.compression.search import TOLERANCE, Selection, search
from neuroprune.compression.select import Order, rank
from neuroprune.compression.surgery import duplicate, silence_channels

CORRECTIONS = 6
"""How often the target in SynOps is moved, since the channels that stay fire otherwise once others are gone."""


class OneShot(ChannelPruning):
    """criticality, slimming and uniform: channels are ranked by a score, and a share of those that stay by another."""

    def choose(self) -> Selection:
        """The channels that stay, at the targets of the job."""
        job, strategy = self.job, self.job.strategy
        by_score = by_regrowth = rank(channel_scores(job, strategy.score, seed_of(job, 0)))
        if strategy.regeneration > 0.0:
            by_regrowth = rank(channel_scores(job, strategy.regenerate_by, seed_of(job, 1)))
        if "synops" not in job.targets:
            return self._search(cost_model(job.module, job.graph, job.groups), by_score, by_regrowth, job.targets)
        synops = synops_by_input(job)
        costs = cost_model(job.module, job.graph, job.groups, synops)
        return self._spend(costs, by_score, by_regrowth, sum(float(each.sum()) for each in synops.values()))

    def _search(
        self, costs: CostModel, by_score: Order, by_regrowth: Order, targets: Mapping[Currency, float]
    ) -> Selection:
        strategy = self.job.strategy
        return search(
            costs,
            by_score,
            by_regrowth,
            targets,
            strategy.regeneration,
            floor=strategy.layer_floor,
            uniform=strategy.uniform,
        )

    def _spend(self, costs: CostModel, by_score: Order, by_regrowth: Order, dense: float) -> Selection:
        """The selection whose silenced network really comes nearest to the targets; `dense`: SynOps before.

        The model takes kept neurons to fire as before, so its target is moved by as much as it was wrong.
        """
        targets, aimed = self.job.targets, self.job.targets["synops"]
        found: list[tuple[float, Selection]] = []
        for _ in range(CORRECTIONS):
            selection = self._search(costs, by_score, by_regrowth, {**targets, "synops": aimed})
            silenced = duplicate(self.job.module)
            silence_channels(silenced, self.job.groups, selection.kept)
            spent = sum(float(each.sum()) for each in synops_by_input(replace(self.job, module=silenced)).values())
            shares = {**selection.shares, "synops": spent / dense}
            excess = abs(max(shares[currency] - target for currency, target in targets.items()))
            found.append((excess, replace(selection, shares=shares)))
            if excess < TOLERANCE / 4 or not spent:
                break
            aimed = min(aimed * targets["synops"] * dense / spent, 1.0)
        return min(found, key=lambda each: each[0])[1]
