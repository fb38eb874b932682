"""Silencing channels: what removing them must be equal to."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.select import Mask
from neuroprune.compression.surgery import duplicate


def mask_channels(module: nn.Module, groups: tuple[ChannelGroup, ...], kept: Mapping[str, Mask]) -> nn.Module:
    """A copy in which scale and shift of all channels but the `kept` ones (masks by group) are 0."""
    masked = duplicate(module)
    with torch.no_grad():
        for group in groups:
            for stage in group.stages:
                places = np.arange(group.channels) if stage.gathers is None else np.array(stage.gathers)
                norm = masked.get_submodule(stage.norm)
                for parameter in (norm.weight, norm.bias):
                    parameter[places[~kept[group.name]]] = 0.0
    return masked
