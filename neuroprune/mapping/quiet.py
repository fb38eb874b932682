"""Cuts of all layers for few hops of spikes, where cores have a price: what a search by trials begins with.

How far a spike goes is estimated from the cuts of two layers, as `hops` does, and what tiles take from that of one of
them; so every way to cut a layer is priced at once while its neighbours stay as they are. Layers take turns until none
changes. The least price for which there are cores enough is found by halving (Lagrangian relaxation; Everett 1963,
"Generalized Lagrange multiplier method", Operations Research 11).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neuroprune.chips.types import volume
from neuroprune.mapping.hops import Cuts, Numbers, expected
from neuroprune.mapping.ways import Options, Ways, Weighed
from neuroprune.program.types import IntLayer
from neuroprune.progress import Progress, silent

HALVINGS = 20
"""Of the price of a core, from the largest on."""
DEAREST = 1000.0
"""The largest price of a core, in the mean hops of all spikes that one costs."""
ROUNDS = 20
"""Over all layers at one price, at most."""


class Quiet(NamedTuple):
    """Cuts, and what their tiles take."""

    cuts: Cuts
    weighed: Weighed


def quiet_cuts(ways: Ways, layers: Sequence[IntLayer], most: int, progress: Progress = silent) -> Quiet | None:
    """Cuts with few hops whose tiles fill `most` cores or fewer; None where none are found. Deterministic."""
    options = []
    for number in range(len(layers)):  # which takes nearly all of the time
        options.append(ways.options(number))
        progress("ways to cut", number + 1, len(layers))
    shapes = [np.array(volume(layer.shape)) for layer in layers]
    best: Quiet | None = None
    low, high = 0.0, DEAREST * sum(float(each.copies.min(axis=0).sum()) for each in options) / most
    for _ in range(HALVINGS):
        price = (low + high) / 2
        cuts = _at_price(options, shapes, price)
        weighed = ways.weigh(cuts)
        if weighed is None or weighed.cores > most:
            low = price
            continue
        high = price
        if best is None or weighed.hops < best.weighed.hops:
            best = Quiet(cuts, weighed)
    return best


def _at_price(options: Sequence[Options], shapes: Sequence[Numbers], price: float) -> Cuts:
    """Where no other cut of one layer has fewer hops and cores together; price: of a core, in hops."""
    chosen = [int(np.argmin(each.cores)) for each in options]
    for _ in range(ROUNDS):
        before = list(chosen)
        for number, each in enumerate(options):
            cost = price * each.cores
            for at, source in enumerate(each.sources):
                parts = np.array(options[source].cuts[chosen[source]])
                away = options[source].spread[chosen[source]]
                cost += _hops(each.copies[:, at], each.extent[:, at], parts, shapes[source], each.spread + away)
            for reader, other in enumerate(options):
                for at in (at for at, source in enumerate(other.sources) if source == number and reader != number):
                    one = chosen[reader]
                    cores = each.spread + other.spread[one]
                    parts = np.array(each.cuts)
                    cost += _hops(other.copies[one, at], other.extent[one, at], parts, shapes[number], cores)
            chosen[number] = int(np.argmin(cost))
        if chosen == before:
            break
    return tuple(each.cuts[one] for each, one in zip(options, chosen, strict=True))


def _hops(copies: Numbers, extent: Numbers, parts: Numbers, shape: Numbers, cores: Numbers) -> Numbers:
    """Of spikes from a source in so many `parts` of its `shape`; extent: of what sends to a tile, wherever it lies."""
    joined = np.minimum((extent - 1) / shape + 1 / parts, 1).prod(axis=-1)
    return expected(copies, joined, cores)
