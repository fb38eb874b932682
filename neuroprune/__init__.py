"""neuroprune takes a spiking network from training to a neuromorphic chip."""

__version__ = "0.1.0"
