"""The catalogue of codings of images, which `neuroprune.data.coding` computes."""

from typing import Literal

from neuroprune.choices import Choice

Kind = Literal["direct", "poisson", "latency", "rows"]
CODINGS = (
    Choice("direct", "as they are, the same frame at every step"),
    Choice("poisson", "rate coding: at each step a spike whose probability is the brightness"),
    Choice(
        "latency",
        "time-to-first-spike coding: one spike, the earlier the brighter",
        "LatencyEncoder of SpikingJelly, linear",
    ),
    Choice("rows", "as they are, but a row at a time, from the top, in as many steps as there are rows"),
)
