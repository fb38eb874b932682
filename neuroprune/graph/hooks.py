"""Sees whether the hooks of a layer change what it computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def changing_hooks(module: nn.Module) -> Iterator[list[str]]:
    """Within it, the list that it gives gets the name of each forward hook of `module` that changes a tensor.

    A hook changes something when it returns something else than it was given, or writes into that. Hooks that compute
    the layer's parameters, as torch's weight_norm and pruning do, or that only look are not among them.
    """
    found: list[str] = []
    kinds = (module._forward_pre_hooks, module._forward_hooks)
    kept = [dict(hooks) for hooks in kinds]
    for hooks in kinds:
        hooks.update({key: _watched(hook, found) for key, hook in hooks.items()})  # in place: torch goes by the order
    try:
        yield found
    finally:
        for hooks, before in zip(kinds, kept, strict=True):
            hooks.update({key: hook for key, hook in before.items() if key in hooks})  # some remove themselves


def _watched(hook: Callable[..., Any], found: list[str]) -> Callable[..., Any]:
    def watch(module: nn.Module, *given: Any) -> Any:
        tensors = _tensors(given)
        versions = [each._version for each in tensors]
        result = hook(module, *given)
        passed_on = {id(each) for each in tensors}  # the very tensors, since == compares values
        if any(id(each) not in passed_on for each in _tensors(result)) or versions != [t._version for t in tensors]:
            found.append(getattr(hook, "__qualname__", type(hook).__qualname__))
        return result

    return watch


def _tensors(tree: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    torch.fx.node.map_aggregate(tree, lambda leaf: found.append(leaf) if isinstance(leaf, torch.Tensor) else None)
    return found
