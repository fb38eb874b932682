"""The settings of a compression with every default filled in: what a method is for this network and this target."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import ConfigDict

from neuroprune.compression.catalog import (
    Aggregation,
    Algorithm,
    Kind,
    Preset,
    RankedBy,
    Regrowth,
    Residual,
    Start,
    SurrogateOf,
    find_method,
)

if TYPE_CHECKING:
    from neuroprune.compression.settings import CompressSettings

Family = Literal["plain", "residual"]
"""Of a network: with additions of streams, or without."""

REGENERATION: dict[Family, tuple[float, float]] = {"plain": (0.3, 0.3), "residual": (0.3, 0.1)}
"""r of structured criticality for a target of half the FLOPs and more, or of a chip alone, and for a smaller one. Of
plain networks what was ahead of 0.1 at 30 % of the FLOPs on Fashion-MNIST, and tied at half (RESULTS.md), where the
paper has 0.1 and 0.05 for VGG-16 at 43.8 and 58.0 % fewer; of residual ones the paper's for ResNet-19 at 49.5 and
69.5 % fewer (Table 6)."""

REGENERATION_BY_SPARSITY = ((0.90, 0.5), (0.95, 0.2), (0.98, 0.1))
"""r of unstructured pruning (its Table 5, CIFAR); in between on straight lines, beyond the ends those of the ends."""


@dataclass(frozen=True)
class Strategy:
    """How a network is pruned: the fields of CompressSettings, none of them left open.

    method: its name, of an algorithm of one's own that of its class; what such a one does with the other fields is its
    own affair, and its score is "own" where it was told none.
    regeneration: r, the share of what stays that is brought back, of GraNet what a layer exchanges at first; 0 where
    nothing is. prune_epochs: N_p, 0 where pruning takes no training.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    kind: Kind
    method: str
    algorithm: Algorithm
    score: RankedBy
    regenerate_by: Regrowth
    regeneration: float
    uniform: bool
    layer_floor: float
    aggregation: Aggregation
    surrogate: SurrogateOf
    residual: Residual
    start: Start
    prune_epochs: int
    interval: int | None
    mask_momentum: bool


def strategy_of(settings: "CompressSettings", family: Family) -> Strategy:
    """What `settings` mean for a network of that family."""
    _, preset = find_method(settings.method, settings.kind)
    regrowth = settings.regenerate_by or preset.regenerate_by
    epochs = settings.prune_epochs
    if epochs is None and preset.prune_ratio > 0.0:
        assert settings.fine_tune is not None
        epochs = max(1, round(preset.prune_ratio * settings.fine_tune.epochs))
    return Strategy(
        kind=settings.kind,
        method=settings.method,
        algorithm=preset.algorithm,
        score=settings.score or preset.score,
        regenerate_by=regrowth,
        regeneration=0.0 if regrowth == "none" else _regeneration(settings, preset, family),
        uniform=preset.uniform,
        layer_floor=settings.layer_floor,
        aggregation=settings.aggregation,
        surrogate=settings.surrogate,
        residual=settings.residual,
        start=settings.begins_with,
        prune_epochs=epochs or 0,
        interval=settings.interval,
        mask_momentum=preset.mask_momentum if settings.mask_momentum is None else settings.mask_momentum,
    )


def _regeneration(settings: "CompressSettings", preset: Preset, family: Family) -> float:
    if settings.regeneration is not None:
        return settings.regeneration
    if preset.regeneration is not None:
        return preset.regeneration
    if settings.sparsity is not None:
        sparsities, rates = zip(*REGENERATION_BY_SPARSITY, strict=True)
        return float(np.interp(settings.sparsity, sparsities, rates))
    mild, strong = REGENERATION[family]
    return mild if min(settings.targets.values(), default=0.5) >= 0.5 else strong
