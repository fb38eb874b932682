"""Predictions and accuracy of a network, in evaluation mode."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.arrays import Labels
from neuroprune.data.coding import frames_on, time_first
from neuroprune.data.types import Coding, Images, Split
from neuroprune.evaluation import evaluation_mode
from neuroprune.training.loss import loss_of
from neuroprune.training.settings import TrainSettings


def outputs_of(module: nn.Module, images: Images, coding: Coding, batch: int = 256) -> torch.Tensor:
    """What `module` returns for uint8 [N, C, H, W] or [N, T, C, H, W]: [N, classes], on the device of its parameters.

    coding: what the network was trained with. The training mode of the module is left as it was.
    """
    device = next(module.parameters()).device
    outputs = []
    with evaluation_mode(module), torch.inference_mode():
        for start in range(0, len(images), batch):
            frames = frames_on(device, images[start : start + batch], coding)
            functional.reset_net(module)
            outputs.append(module(time_first(frames)))
    return torch.cat(outputs)


def predict(module: nn.Module, images: Images, coding: Coding, batch: int = 256) -> npt.NDArray[np.int64]:
    """The class with the highest output, the first of equals, int64 [N]; arguments as for `outputs_of`."""
    predictions: npt.NDArray[np.int64] = outputs_of(module, images, coding, batch).argmax(1).cpu().numpy()
    return predictions


class Figures(NamedTuple):
    """Of a split: the share of its samples that are classified correctly, and their mean loss; None where not read."""

    accuracy: float | None = None
    loss: float | None = None


def measure_split(module: nn.Module, split: Split, coding: Coding, settings: TrainSettings) -> Figures:
    """Accuracy of `module` on `split`, and the loss that `settings` train by; other arguments as for `outputs_of`."""
    outputs = outputs_of(module, split.images, coding)
    labels = torch.tensor(split.labels, device=outputs.device)
    correct = (outputs.argmax(1) == labels).double()
    return Figures(float(correct.mean()), float(loss_of(outputs, labels, settings)))


def measure_accuracy(module: nn.Module, images: Images, labels: Labels, coding: Coding, batch: int = 256) -> float:
    """The share, 0..1, of `images` whose predicted class is their label; arguments as for `predict`."""
    return float(np.mean(predict(module, images, coding, batch) == labels))
