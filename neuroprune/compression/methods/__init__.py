"""Pruning algorithms, a module each; the catalogue says which method is which algorithm with which parts."""

from importlib import import_module

from neuroprune.compression.catalog import Algorithm
from neuroprune.compression.pruning import ChannelPruning, WeightPruning

_CLASSES: dict[Algorithm, tuple[str, str]] = {
    "one-shot": ("one_shot", "OneShot"),
    "greg1": ("greg", "Greg1"),
    "greg2": ("greg", "Greg2"),
    "sca": ("sca", "SpikingChannelActivity"),
    "gradual": ("gradual", "GradualPruning"),
    "granet": ("granet", "GraNet"),
    "lottery": ("lottery", "LotteryTicket"),
    "early-bird": ("early_bird", "EarlyBird"),
    "grad-r": ("grad_r", "GradientRewiring"),
    "deep-r": ("deep_r", "DeepRewiring"),
}
"""The module of each algorithm and its class there."""


def algorithm_of(name: Algorithm) -> type[ChannelPruning] | type[WeightPruning]:
    """The class of the algorithm that the catalogue calls `name`; "own" is none of them."""
    module, kind = _CLASSES[name]
    found: type[ChannelPruning] | type[WeightPruning] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found
