"""Masks of weights: which stay, with exact counts, and how the others are held at zero."""

from collections.abc import Mapping

import torch

Masks = dict[str, torch.Tensor]
"""bool tensors by the name of a parameter: True for a weight that stays."""

Scores = Mapping[str, torch.Tensor]
"""Tensors by the name of a parameter, of the parameters' shapes."""


def count_of(total: int, share: float) -> int:
    """total * share, rounded down; rounding errors of the product do not count."""
    return int(round(total * share, 6))


def count_kept(total: int, sparsity: float) -> int:
    """How many of `total` weights stay."""
    return count_of(total, 1.0 - sparsity)


def size(masks: Mapping[str, torch.Tensor]) -> int:
    """How many weights there are."""
    return sum(mask.numel() for mask in masks.values())


def count(masks: Masks) -> int:
    """How many weights stay."""
    return sum(int(mask.sum()) for mask in masks.values())


def top(scores: Scores, number: int, among: Mapping[str, torch.Tensor] | None = None) -> Masks:
    """The `number` weights of highest score over all tensors; of equal scores the earlier weight comes first.

    among: masks of the weights that may be taken, by default all. If they are fewer than `number`, all of them.
    """
    flat = torch.cat([score.flatten() for score in scores.values()])
    allowed = None if among is None else torch.cat([among[name].flatten() for name in scores])
    return _split(_top(flat, number, allowed), scores)


def top_by_layer(scores: Scores, numbers: Mapping[str, int], among: Mapping[str, torch.Tensor] | None = None) -> Masks:
    """In each tensor its `numbers` weights of highest score; see `top`."""
    return {
        name: _top(score.flatten(), numbers[name], None if among is None else among[name].flatten()).view(score.shape)
        for name, score in scores.items()
    }


def union(first: Masks, second: Masks) -> Masks:
    """What stays in either."""
    return {name: mask | second[name] for name, mask in first.items()}


def outside(masks: Masks) -> Masks:
    """What does not stay."""
    return {name: ~mask for name, mask in masks.items()}


def _top(scores: torch.Tensor, number: int, allowed: torch.Tensor | None) -> torch.Tensor:
    """bool [n]: the `number` highest of `scores` [n], the first of equals."""
    if allowed is not None:
        number = min(number, int(allowed.sum()))
        scores = torch.where(allowed, scores, -torch.inf)
    chosen = torch.zeros_like(scores, dtype=torch.bool)
    if number <= 0:
        return chosen
    if number >= len(scores):
        return ~chosen
    least = torch.kthvalue(scores, len(scores) - number + 1).values
    chosen = scores > least
    equal = (scores == least).nonzero().flatten()
    if allowed is not None:
        equal = equal[allowed[equal]]
    chosen[equal[: number - int(chosen.sum())]] = True
    return chosen


def _split(flat: torch.Tensor, like: Scores) -> Masks:
    """`flat` in pieces of the shapes of `like`."""
    pieces = flat.split([tensor.numel() for tensor in like.values()])
    return {name: piece.view(tensor.shape) for (name, tensor), piece in zip(like.items(), pieces, strict=True)}
