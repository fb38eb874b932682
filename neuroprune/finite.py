"""Tensors of a module as arrays, checked to be finite."""

import numpy as np
import numpy.typing as npt
import torch

from neuroprune.arrays import frozen_array
from neuroprune.errors import InputError


def finite_array(layer: str, what: str, tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    """The values of `tensor`, `what` of the layer of that name, as float64. Raises InputError if any is not finite."""
    array = frozen_array(tensor.detach().cpu().double().numpy(), np.float64)
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise InputError(
            f"layer {layer}: {bad} of its {array.size} {what} values are not finite numbers; train it again, "
            "with a lower learning rate"
        )
    return array
