"""Predictions and accuracy of a network, in evaluation mode."""

import numpy as np
import numpy.typing as npt
import torch
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.arrays import Labels
from neuroprune.data.coding import frames_on, time_first
from neuroprune.data.types import Coding, Images
from neuroprune.evaluation import evaluation_mode


def predict(module: nn.Module, images: Images, coding: Coding, batch: int = 256) -> npt.NDArray[np.int64]:
    """The class with the highest output, the first of equals: uint8 [N, C, H, W] or [N, T, C, H, W] -> int64 [N].

    coding: what the network was trained with. The module runs on the device of its parameters; its training mode is
    left as it was.
    """
    device = next(module.parameters()).device
    predictions = []
    with evaluation_mode(module), torch.inference_mode():
        for start in range(0, len(images), batch):
            frames = frames_on(device, images[start : start + batch], coding)
            functional.reset_net(module)
            predictions.append(module(time_first(frames)).argmax(1).cpu())
    return torch.cat(predictions).numpy()


def measure_accuracy(module: nn.Module, images: Images, labels: Labels, coding: Coding, batch: int = 256) -> float:
    """The share, 0..1, of `images` whose predicted class is their label; arguments as for `predict`."""
    return float(np.mean(predict(module, images, coding, batch) == labels))
