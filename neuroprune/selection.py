"""The one layer that is neither torch's nor SpikingJelly's: recipes use it, tracing reads it, pruning shortens it."""

import torch
from torch import nn


class ChannelSelection(nn.Module):
    """Gathers channels: what pruning leaves of a residual stream for one of its readers, while the stream stays whole.

    Takes maps [..., channels, height, width]. channels: int64 [selected], at first all of `width`, in ascending order;
    part of the state_dict.
    """

    channels: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("channels", torch.arange(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.index_select(-3, self.channels)

    def extra_repr(self) -> str:
        return f"{len(self.channels)} of {self.width}"
