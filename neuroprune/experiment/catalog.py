"""What a plan can ask for by name, without torch."""

from typing import Literal

from neuroprune.choices import Choice

Analysis = Literal["features", "importance"]
ANALYSES = (
    Choice(
        "features",
        "intra-class variance of the features, and their similarity between training and test set",
        "Figure 3 of criticality",
    ),
    Choice(
        "importance",
        "|gamma| of channels that only one of two methods kept, through fine-tuning; of structured pruning",
        "Figure 2 b of criticality",
    ),
)
"""They take time or space of each trial, so that a plan names those it wants."""
