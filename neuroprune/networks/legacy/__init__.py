"""Imports as a network's file was written for them: SpikingJelly's names before release 2, packages that are not there.

Earlier releases had their modules in `spikingjelly.clock_driven` and `spikingjelly.cext`, and called the methods
neuronal_charge, neuronal_fire and neuronal_reset of their neurons, which release 2 does not. Neurons here are written
by the equations of the documentation of releases 0.0.0.0.4 to 0.0.0.0.14.
"""

from neuroprune.networks.legacy.imports import importing, imports_as

__all__ = ["importing", "imports_as"]
