"""Lottery searches: one that goes on to a higher sparsity passes through the networks of those that end sooner."""

from dataclasses import replace

from neuroprune.compression.catalog import find_method
from neuroprune.compression.schedules import Round, lottery_rounds
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import strategy_of


def rounds_of(settings: CompressSettings) -> tuple[Round, ...]:
    """Those of a lottery search; none of any other method."""
    _, preset = find_method(settings.method, settings.kind)
    if preset.algorithm != "lottery" or settings.sparsity is None or settings.fine_tune is None:
        return ()
    strategy = strategy_of(settings, "plain")  # a family decides of regeneration alone, and nothing comes back here
    return lottery_rounds(settings.sparsity, strategy.prune_epochs, settings.fine_tune.epochs)


def passes_through(longer: CompressSettings, settings: CompressSettings) -> bool:
    """Whether a search with the settings `longer` has the network that one with `settings` ends with, to the bit.

    It does where the latter's rounds are the first of its own: each round is a training of its own, by the same seed
    and samples, whatever follows.
    """
    rounds, more = rounds_of(settings), rounds_of(longer)
    return (
        len(more) > len(rounds) > 0
        and more[: len(rounds)] == rounds
        and replace(longer, sparsity=settings.sparsity) == settings
    )
