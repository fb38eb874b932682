"""Evaluation mode for the time of a run, for modules that stay as they are."""

from collections.abc import Iterator
from contextlib import contextmanager

from spikingjelly.activation_based import functional
from torch import nn


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Within it `module` is in evaluation mode and its neurons at rest; afterwards they are at rest again.

    Each layer gets its own mode back, since frozen BatchNorms may be in another than the rest.
    """
    modes = {layer: layer.training for layer in module.modules()}
    functional.reset_net(module)
    module.eval()
    try:
        yield
    finally:
        functional.reset_net(module)
        for layer, training in modes.items():
            layer.training = training
