"""The catalogue of chip families; imports no torch."""

from neuroprune.chips.dynapcnn.family import Dynapcnn
from neuroprune.chips.family import Family
from neuroprune.chips.loihi.family import Loihi

FAMILIES: tuple[type[Family], ...] = (Loihi, Dynapcnn)
