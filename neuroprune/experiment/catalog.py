"""What a plan can ask for by name, without torch."""

from typing import Literal

from neuroprune.choices import Choice

Analysis = Literal["features"]
ANALYSES = (
    Choice(
        "features",
        "intra-class variance of the features, and their similarity between training and test set",
        "Figure 3 of criticality",
    ),
)
"""They take time or space of each trial, so that a plan names those it wants."""
