"""neuroprune takes a spiking network from training to a neuromorphic chip.

The public API is what `neuroprune/__init__.pyi` lists. Each name is loaded when it is first used, so that
`import neuroprune` is quick and needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
