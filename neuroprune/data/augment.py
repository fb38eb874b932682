"""The usual random variations of training images, drawn from a generator so that a seed repeats them."""

import torch
from torch.nn import functional

from neuroprune.data.types import Augmentation


def augment(images: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Each image shifted and perhaps mirrored on its own; same shape and type as `images`, of any number type.

    images: [N, C, H, W], or sequences [N, T, C, H, W], whose frames move together.
    Shifts are uniform over -shift..shift pixels in both directions, over a border of zeros (raw black; so augment
    before normalising); one in two images is mirrored where `augmentation.flip` says so. Every draw is made from
    `generator` (on the CPU), the same number of them for every batch of N images.
    """
    count, height, width = len(images), *images.shape[-2:]
    shift = augmentation.shift
    top = torch.randint(0, 2 * shift + 1, (count, 1), generator=generator)
    left = torch.randint(0, 2 * shift + 1, (count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < (0.5 if augmentation.flip else 0.0)
    rows = top + torch.arange(height)
    columns = left + torch.where(mirrored, torch.arange(width - 1, -1, -1), torch.arange(width))
    padded = functional.pad(images.flatten(1, -3), (shift, shift, shift, shift))
    sample = torch.arange(count, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[
        sample, rows.to(images.device)[:, :, None], columns.to(images.device)[:, None, :]
    ]
    return moved.permute(0, 3, 1, 2).contiguous().reshape(images.shape)
