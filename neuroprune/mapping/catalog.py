"""How cores can be placed."""

from typing import Literal

from neuroprune.choices import Choice

Placement = Literal["search", "curve"]
PLACEMENTS = (
    Choice("search", "tiles and cores where measured spikes take few hops"),
    Choice("curve", "cores in the order of the layers, along a curve that fills the mesh"),
)
