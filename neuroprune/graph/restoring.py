"""Leaves a network as it was once its code has run on symbols, which it may have kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from neuroprune.graph.signals import signals_of


@contextmanager
def restored(module: nn.Module) -> Iterator[None]:
    """Within it symbols may be kept in attributes of `module` and its layers; afterwards those are what they were."""
    owners = [*module.modules(), *(each for each in vars(module).values() if isinstance(each, nn.Module))]
    before = [(owner, dict(vars(owner)), _contents(owner)) for owner in owners]
    try:
        yield
    finally:
        for owner, attributes, contents in before:
            for name, value in list(vars(owner).items()):
                if name.startswith("_") and name in ("_modules", "_parameters"):
                    continue
                if not signals_of(value):
                    continue
                if name in contents and value is attributes[name]:
                    _refill(value, contents[name])
                elif name in attributes:
                    vars(owner)[name] = attributes[name]
                else:
                    del vars(owner)[name]


def _contents(owner: nn.Module) -> dict[str, Any]:
    """Copies of the dictionaries and lists among its attributes."""
    return {name: value.copy() for name, value in vars(owner).items() if type(value) in (dict, list)}


def _refill(value: Any, content: Any) -> None:
    value.clear()
    value.update(content) if isinstance(value, dict) else value.extend(content)
