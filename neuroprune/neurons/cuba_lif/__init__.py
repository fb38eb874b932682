"""Current-based leaky integrate-and-fire neurons: all neurons of SpikingJelly and lava-dl that are supported."""

from neuroprune.neurons.cuba_lif.neurons import CubaLif, IntCubaLif
from neuroprune.neurons.cuba_lif.read import MODEL

__all__ = ["MODEL", "CubaLif", "IntCubaLif"]
