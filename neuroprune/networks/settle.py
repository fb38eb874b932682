"""Statistics for the normalisation of a network that was never trained."""

import torch
from spikingjelly.activation_based import functional
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def settle_norms(module: nn.Module, frames: torch.Tensor) -> None:
    """Set the running statistics of every BatchNorm of `module`, in place, to those of one batch; weights stay.

    frames: [N, C, H, W] as the network sees them. Without this the deeper layers of an untrained network never fire,
    and running it says nothing of the activity that a chip would have. The module is left in evaluation mode.
    """
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's way to say: the plain mean over the batches seen, here one
    module.train()
    with torch.no_grad():
        functional.reset_net(module)
        module(frames)
        functional.reset_net(module)
    module.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
