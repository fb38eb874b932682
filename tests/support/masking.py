"""A silenced copy: what removing channels must be equal to."""

from collections.abc import Mapping

from torch import nn

from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.select import Mask
from neuroprune.compression.surgery import duplicate, silence_channels


def mask_channels(module: nn.Module, groups: tuple[ChannelGroup, ...], kept: Mapping[str, Mask]) -> nn.Module:
    """A copy in which all channels but the `kept` ones (masks by group) are silenced."""
    masked = duplicate(module)
    silence_channels(masked, groups, kept)
    return masked
