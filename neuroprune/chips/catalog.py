"""The families of chips that there are; imports no torch."""

from neuroprune.chips.family import Family
from neuroprune.chips.loihi.family import Loihi

FAMILIES: tuple[type[Family], ...] = (Loihi,)
