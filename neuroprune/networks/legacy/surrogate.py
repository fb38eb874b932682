"""SpikingJelly's surrogate functions of today, with the arguments that earlier releases gave them."""

from spikingjelly.activation_based import surrogate
from spikingjelly.activation_based.surrogate import *  # noqa: F403


class ATan(surrogate.ATan):
    """The arc tangent, whose alpha some releases could learn, which plays no part in what neurons give."""

    def __init__(self, alpha: float = 2.0, spiking: bool = True, learnable: bool = False) -> None:
        super().__init__(alpha, spiking)


class Sigmoid(surrogate.Sigmoid):
    """The sigmoid, likewise."""

    def __init__(self, alpha: float = 4.0, spiking: bool = True, learnable: bool = False) -> None:
        super().__init__(alpha, spiking)
