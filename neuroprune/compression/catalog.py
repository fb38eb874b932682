"""The pruning methods."""

from typing import Literal

from neuroprune.choices import Choice

Method = Literal["criticality", "slimming"]
METHODS = (
    Choice(
        "criticality",
        "channels of largest |gamma|, and a share of those that stay for the criticality of their neurons",
        "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks, Algorithm 2",
    ),
    Choice(
        "slimming",
        "channels of largest |gamma|, the scale of their BatchNorm",
        "Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV 2017",
    ),
)
