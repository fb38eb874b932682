"""All layers cut together: into tiles that fill the fewest cores, or that spikes have to be sent to least.

A layer that is bound by memory leaves room for neurons, and one that is bound by neurons leaves room for memory. Where
they are cut finer than each by itself would be, they share cores; but more tiles of a layer ask its sources for more
output axons, and for more copies of their spikes. So a cut of the network is judged as a whole and changed step by
step: simulated annealing (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983) from the best cut of each layer by itself.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neuroprune.mapping.effort import Effort
from neuroprune.mapping.hops import Cuts
from neuroprune.mapping.ways import Ways, Weighed
from neuroprune.progress import Progress, silent

HOTTEST = 1.0
"""Cores by which a step may be worse at the beginning; at the end by none."""
OF_LOAD = 0.3
"""What a core's worth of the scarcest resource counts, in cores: fewer cores follow from less load."""
TOO_MANY = 10.0
"""What a core more than there may be counts, in cores."""
GAINED = 0.001
"""Less of a gain than this share does not make a search go on, nor does a gap to the bound that is no more."""
LARGE = 500
"""Cores from which on fewer ways are tried, in proportion, because each takes as much longer."""
SEED = 0


class Judged(NamedTuple):
    """How good a way is; the lesser the better. first: what counts before all. cost: in cores."""

    first: int
    cost: float


NOTHING = Judged(0, 0.0)
"""What nothing is better than."""

Goal = Callable[[Weighed], Judged]


def fewest_cores(way: Weighed) -> Judged:
    """Cores, then the load of the scarcest resource."""
    return Judged(way.cores, way.cores + OF_LOAD * way.load)


def fewest_hops(begin: Weighed, most_cores: int) -> Goal:
    """Hops of spikes on `most_cores` cores; those of `begin` count as many cores as it takes."""

    def goal(way: Weighed) -> Judged:
        over = max(0, way.cores - most_cores)
        return Judged(over, TOO_MANY * over + begin.cores * way.hops / max(begin.hops, 1))

    return goal


def search_ways(
    ways: Ways, begin: Cuts, goal: Goal, effort: Effort, enough: Judged, progress: Progress = silent
) -> Cuts:
    """The best way that is found by `goal`, from `begin`, which fits.

    effort: how long is searched. enough: what is as good as need be, where the search ends. Deterministic.
    """
    random = np.random.default_rng(SEED)
    weighed = ways.weigh(begin)
    assert weighed, "a way to begin that does not fit"
    best = now = begin
    judged = found = goal(weighed)
    found_at = 0
    trials = min(effort.trials, effort.trials * LARGE // weighed.cores)
    for trial in range(trials):
        if found <= enough or trial - found_at > effort.patience + weighed.cores:
            break
        cuts = ways.changed(now, random)
        tried = ways.weigh(cuts)
        heat = HOTTEST * (1 - trial / trials)
        if tried:
            new = goal(tried)
            if random.random() < np.exp(min(0.0, (judged.cost - new.cost) / max(heat, 1e-9))):
                now, judged = cuts, new
                if new.first < found.first or new.cost < (1 - GAINED) * found.cost:
                    found_at = trial
                if new < found:
                    best, found, weighed = cuts, new, tried
        progress("tiles", trial + 1, trials, cores=weighed.cores)
    return best
