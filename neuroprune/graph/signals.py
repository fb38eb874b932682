"""What a tensor of the running code is in the program: who made it, and where its time axis lies."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import fx

Layout = Literal["constant", "sequence", "merged", "step"]


@dataclass(frozen=True, eq=False)
class Signal:
    """The output of `node` as the running code holds it.

    layout: "constant" [N, ...] is the same at every step; "sequence" is [T, N, ...]; "merged" is [T * N, ...];
    "step" is [N, ...] at step `at`.
    """

    value: torch.Tensor
    node: str
    layout: Layout
    at: int = 0


@dataclass(frozen=True, eq=False)
class Readout:
    """The sum or mean over time of the output spikes, perhaps not over all steps yet."""

    value: torch.Tensor
    node: str
    steps: int
    kind: Literal["mean", "sum"]


def is_one_step(signal: Any) -> bool:
    """Whether it is the output of one time step, or a sum of such."""
    return isinstance(signal, Readout) or (isinstance(signal, Signal) and signal.layout == "step")


def values_of(tree: Any) -> Any:
    """The arguments of a call with plain tensors in place of symbols."""
    return fx.node.map_aggregate(tree, lambda leaf: leaf.value if isinstance(leaf, Signal | Readout) else leaf)


def signals_of(tree: Any) -> list[Any]:
    """The symbols among the arguments of a call, in their order."""
    found: list[Any] = []
    fx.node.map_aggregate(tree, lambda leaf: found.append(leaf) if isinstance(leaf, Signal | Readout) else None)
    return found
