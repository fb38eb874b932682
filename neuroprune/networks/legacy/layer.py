"""SpikingJelly's layers of today, with the arguments that earlier releases gave them."""

from typing import Any

from spikingjelly.activation_based import layer
from spikingjelly.activation_based.layer import *  # noqa: F403


class Dropout(layer.Dropout):
    """Dropout that may be told that its inputs are spikes, which plays no part in evaluation."""

    def __init__(self, p: float = 0.5, dropout_spikes: bool = False, **named: Any) -> None:
        super().__init__(p, **named)


class MultiStepDropout(layer.Dropout):
    """Dropout on [T, N, ...]."""

    def __init__(self, p: float = 0.5, dropout_spikes: bool = False) -> None:
        super().__init__(p, step_mode="m")
