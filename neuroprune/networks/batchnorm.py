"""BatchNorm statistics of a network that was never trained."""

from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def reestimate_batchnorm(module: nn.Module, frames: torch.Tensor) -> None:
    """Re-estimate the running statistics of every BatchNorm of `module`, in place, from one batch.

    Linear layers have no BatchNorm, so their weights and bias are scaled instead, to outputs of mean square 1; all
    other weights stay. frames: [N, C, H, W] or [T, N, C, H, W], as the network sees them. Without this the deeper
    layers of an untrained network never fire, and its activity says nothing about a trained one. The module is
    left in evaluation mode.

    >>> import torch
    >>> from neuroprune import build, frames_of, load_dataset, load_recipe, reestimate_batchnorm, run_module
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> bool(run_module(network, frames).any())  # the output layer fires, as in a trained network
    True
    """
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # in torch this means the plain mean over the batches seen, here one
    hooks = [each.register_forward_hook(_scale) for each in module.modules() if isinstance(each, nn.Linear)]
    module.train()
    with torch.no_grad():
        functional.reset_net(module)
        module(frames)
        functional.reset_net(module)
    module.eval()
    for hook in hooks:
        hook.remove()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _scale(linear: nn.Linear, args: Any, output: torch.Tensor) -> torch.Tensor:
    """A forward hook that scales a layer to outputs of mean square 1."""
    size = output.square().mean().sqrt()
    if size == 0.0:
        return output
    for parameter in linear.parameters():
        parameter.div_(size)
    return output / size
