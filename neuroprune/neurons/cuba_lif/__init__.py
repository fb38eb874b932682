"""Current-based leaky integrate-and-fire neurons: every neuron of SpikingJelly and lava-dl that is read so far."""

from neuroprune.neurons.cuba_lif.neurons import CubaLif, IntCubaLif
from neuroprune.neurons.cuba_lif.read import MODEL

__all__ = ["MODEL", "CubaLif", "IntCubaLif"]
