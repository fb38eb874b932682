"""Augmentation: frames move and mirror, nothing else, and a seed repeats it."""

import pytest
import torch

from neuroprune.data.augment import augment
from neuroprune.data.types import Augmentation


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def possible(image: torch.Tensor, shift: int, flip: bool) -> set[bytes]:
    """All variations of one [C, H, W] image, made by slicing."""
    height, width = image.shape[1:]
    found = set()
    for mirrored in [image, image.flip(2)] if flip else [image]:
        padded = torch.zeros(image.shape[0], height + 2 * shift, width + 2 * shift, dtype=image.dtype)
        padded[:, shift : shift + height, shift : shift + width] = mirrored
        for top in range(2 * shift + 1):
            for left in range(2 * shift + 1):
                found.add(padded[:, top : top + height, left : left + width].numpy().tobytes())
    return found


@pytest.mark.parametrize(("shift", "flip"), [(0, False), (0, True), (1, False), (2, True)])
def test_every_variation_and_no_other_occurs(shift, flip):
    image = torch.arange(1, 41, dtype=torch.uint8).reshape(2, 4, 5)
    varied = augment(image.repeat(2000, 1, 1, 1), Augmentation(shift, flip), draw())
    assert {sample.numpy().tobytes() for sample in varied} == possible(image, shift, flip)


def test_no_augmentation_changes_nothing():
    images = torch.randint(0, 256, (7, 3, 6, 5), dtype=torch.uint8, generator=draw())
    assert torch.equal(augment(images, Augmentation(), draw()), images)


def test_a_seed_repeats_the_variations_for_bytes_and_floats_alike():
    images = torch.randint(0, 256, (32, 1, 8, 8), dtype=torch.uint8, generator=draw())
    first = augment(images, Augmentation(2, True), draw(3))
    assert torch.equal(first, augment(images, Augmentation(2, True), draw(3)))
    assert torch.equal(first.float(), augment(images.float(), Augmentation(2, True), draw(3)))
    assert not torch.equal(first, augment(images, Augmentation(2, True), draw(4)))
