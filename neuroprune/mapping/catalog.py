"""What a mapping can be good at, and how cores can be placed."""

from typing import Literal

from neuroprune.choices import Choice

Placement = Literal["search", "curve"]
Optimize = Literal["cores", "traffic", "time"]
OPTIMIZE = (
    Choice("cores", "the fewest cores"),
    Choice("traffic", "few messages, on no more cores than layers that are cut one by one take, or than --cores"),
    Choice("time", "the shortest step that the chip's first time model says, on as many cores"),
)
PLACEMENTS = (
    Choice("search", "tiles and cores where measured spikes take few hops"),
    Choice("curve", "cores in the order of the layers, along a curve that fills the mesh"),
)
