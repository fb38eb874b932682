"""What a network answers to frames, in evaluation mode."""

import numpy as np
import numpy.typing as npt
import torch
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.data.types import Images, Labels


def normalise_on_device(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """As `neuroprune.data.types.normalise`, to the same bits: uint8 [N, C, H, W], float32 [C, 1, 1], one device."""
    return (images.float() - mean) / std


def channel_tensor(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """One value a channel as float32 [C, 1, 1]."""
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


def predict(
    module: nn.Module, images: Images, mean: tuple[float, ...], std: tuple[float, ...], batch: int = 256
) -> npt.NDArray[np.int64]:
    """The class with the most output spikes, the first of equals: uint8 [N, C, H, W] -> int64 [N].

    mean, std: what the network was trained with, in raw pixel units. The module is evaluated where its parameters lie;
    its training mode comes back as it was.
    """
    device = next(module.parameters()).device
    mean_, std_ = channel_tensor(mean, device), channel_tensor(std, device)
    was_training = module.training
    module.eval()
    answers = []
    try:
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                frames = torch.tensor(images[start : start + batch], device=device)
                functional.reset_net(module)
                answers.append(module(normalise_on_device(frames, mean_, std_)).argmax(1).cpu())
    finally:
        functional.reset_net(module)
        module.train(was_training)
    return torch.cat(answers).numpy()


def accuracy(
    module: nn.Module,
    images: Images,
    labels: Labels,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    batch: int = 256,
) -> float:
    """The share, 0..1, of `images` whose predicted class is their label; arguments as for `predict`."""
    return float(np.mean(predict(module, images, mean, std, batch) == labels))
