"""The weights of a synapse that fine-tuning may change: those that a pool made equal stay equal, zeros stay zeros.

An average pool that was folded into a kernel repeats its taps, and a chip stores taps that are equal once. Weights that
pruning holds at zero are no synapses. Both would be lost if every weight of the folded kernel trained by itself.
"""

import numpy as np
import torch
from torch import Tensor

from neuroprune.arrays import FloatArray
from neuroprune.graph.nodes import Shape


class FreeWeights:
    """A parameter for all taps of equal weights together, over the root mean square of the weights that are not zero.

    weight: float64, of a synapse. in_shape: of what it reads; a dense layer that reads maps has a tap for each pixel.
    Taps count as equal where all their weights are, from every input channel to every output channel.
    """

    def __init__(self, weight: FloatArray, in_shape: Shape, ends: tuple[float, float]) -> None:
        present = weight[weight != 0]
        self.unit = float(np.sqrt(np.mean(present**2))) if present.size else 1.0
        self._ends = ends[0] / self.unit, ends[1] / self.unit
        self._shape = weight.shape
        if weight.ndim == 4:
            taps = weight.reshape(*weight.shape[:2], -1)
        else:
            taps = weight.reshape(len(weight), in_shape[0], -1)
        numbers: dict[bytes, int] = {}
        self._tap = torch.tensor([numbers.setdefault(tap.tobytes(), len(numbers)) for tap in np.moveaxis(taps, 2, 0)])
        firsts = np.unique(self._tap.numpy(), return_index=True)[1]
        free = taps[:, :, firsts]
        self._present = torch.tensor(free != 0)
        self.parameter = torch.tensor(free.clip(*ends) / self.unit, dtype=torch.float32).requires_grad_()

    def whole(self) -> Tensor:
        """Every weight of the synapse, in its shape and in the unit of `weight`, with gradients."""
        held = self.parameter * self._present
        return held.index_select(2, self._tap).reshape(self._shape) * self.unit

    @torch.no_grad()
    def keep_in_range(self) -> None:
        """Clip to `ends`."""
        self.parameter.clamp_(*self._ends)
