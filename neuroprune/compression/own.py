"""An algorithm of one's own, which nobody vouches for: which one it is, and whether what it says fits the network."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from neuroprune.compression.catalog import OWN, Kind, find_method
from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.job import PruningJob
from neuroprune.compression.methods import algorithm_of
from neuroprune.compression.pruning import ChannelPruning, WeightPruning
from neuroprune.compression.search import Selection
from neuroprune.compression.strategy import Strategy
from neuroprune.errors import InputError

Algorithm = Callable[[PruningJob], ChannelPruning | WeightPruning]


def pick_algorithm(method: str, kind: Kind, own: Algorithm | None) -> Algorithm:
    """That of the method, or `own`. Raises InputError where both or neither say how is pruned."""
    if (method == OWN.name) != (own is not None):
        raise InputError(
            "method own is an algorithm of your own, but none is given: pass it to compress, as algorithm, or choose "
            "another method"
            if own is None
            else f"method {method} and an algorithm of your own cannot both prune: give the settings method = 'own', "
            "or leave the algorithm out"
        )
    _, preset = find_method(method, kind)
    return own or algorithm_of(preset.algorithm)


def check_own(strategy: Strategy, algorithm: ChannelPruning | WeightPruning) -> Strategy:
    """`strategy` with the name of the algorithm's class for its method, if it is one of the user's own.

    Raises InputError for one of the other kind, and for another than the strategy names already.
    """
    if strategy.algorithm != OWN.name:
        return strategy
    name, of_weights = type(algorithm).__name__, isinstance(algorithm, WeightPruning)
    if of_weights != (strategy.kind == "unstructured"):
        what, target = ("single weights", "sparsity") if of_weights else ("whole channels", "flops, params or synops")
        raise InputError(f"algorithm {name} prunes {what}, which is not {strategy.kind}: give {target} as its target")
    if strategy.method not in (OWN.name, name):
        raise InputError(
            f"this compression was started with the algorithm {strategy.method}, but resuming passes {name}: pass the "
            "same one, or compress without --resume"
        )
    return replace(strategy, method=name)


def check_selection(selection: Selection, groups: Sequence[ChannelGroup], name: str) -> None:
    """Raise InputError, which calls the algorithm by `name`, unless `selection` leaves channels of each of `groups`."""
    for group in groups:
        for what, masks in (("kept", selection.kept), ("regenerated", selection.regenerated)):
            mask = masks.get(group.name)
            if mask is None or mask.dtype != np.bool_ or mask.shape != (group.channels,):
                found = "no mask" if mask is None else f"{mask.dtype} in the shape {mask.shape}"
                raise InputError(
                    f"algorithm {name} has {found} as {what} of {group.name}: give a mask of bools, one for each of "
                    f"its {group.channels} channels"
                )
        if not selection.kept[group.name].any():
            raise InputError(
                f"algorithm {name} keeps 0 of the {group.channels} channels of {group.name}: keep at least 1"
            )
