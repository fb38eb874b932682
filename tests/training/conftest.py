"""A data set and a network small enough to be trained in a second."""

import numpy as np
import pytest

from neuroprune.data.types import Augmentation, Dataset, Split, make_dataset
from neuroprune.networks.build import SpikingNetwork, build
from neuroprune.networks.recipe import Recipe, parse_recipe


def bars(count: int, seed: int) -> Split:
    """Noisy 6x6 frames with a bright bar across, down, or none."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 90, (count, 1, 6, 6), dtype=np.uint8)
    labels = np.arange(count) % 3
    images[labels == 0, :, 2:4, :] = 255
    images[labels == 1, :, :, 2:4] = 255
    return Split(images, labels)


@pytest.fixture(scope="session")
def data() -> Dataset:
    return make_dataset("bars", bars(96, 0), bars(30, 1), ("across", "down", "none"), Augmentation(1, flip=True))


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    layers = [{"conv": 4}, {"pool": "max"}, {"dropout": 0.2}, {"conv": 6}]
    return parse_recipe({"name": "tiny", "title": "t", "data": "bars", "steps": 3, "layers": layers}, "tiny")


@pytest.fixture
def network(recipe, data) -> SpikingNetwork:
    return build(recipe, data.input_shape, len(data.classes))
