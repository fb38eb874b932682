"""The process models that Lava can run a program with."""

from typing import Literal

from neuroprune.choices import Choice

Models = Literal["stock", "fast"]
LAVA_MODELS = (
    Choice("fast", "convolutions as matrix products of the same integers, in place of Lava's slow one"),
    Choice("stock", "Lava's own convolutions"),
)
