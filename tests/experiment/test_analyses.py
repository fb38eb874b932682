"""What classifiers see: counted by another road, and figures worked out by hand."""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.data.types import Coding
from neuroprune.errors import InputError
from neuroprune.experiment.analyses import features_of, intra_class_variance, similarity

CODING = Coding((0.0,), (255.0,))


class MultiStep(nn.Module):
    """Four channels of 2 x 2 that spike, then a classifier; three steps at once."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fire = layer.Conv2d(1, 4, 1), neuron.IFNode(v_threshold=0.3)
        self.classifier, self.out = layer.Linear(16, 3), neuron.IFNode()
        functional.set_step_mode(self, "m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        spikes = self.fire(self.conv(frames.unsqueeze(0).repeat(3, 1, 1, 1, 1)))
        return self.out(self.classifier(spikes.flatten(2))).mean(0)


class SingleStep(MultiStep):
    """The same, a step at a time."""

    def __init__(self) -> None:
        super().__init__()
        functional.set_step_mode(self, "s")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return sum(self.out(self.classifier(self.fire(self.conv(frames)).flatten(1))) for _ in range(3)) / 3


@pytest.mark.parametrize("make", [MultiStep, SingleStep])
def test_features_are_the_spikes_of_the_last_hidden_neurons_in_all_time_and_space(make: type[MultiStep]) -> None:
    network = make()
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 2, 2), dtype=np.uint8)
    # By hand: integrate, fire at 0.3, reset to zero.
    with torch.no_grad():
        current = (
            network.conv(torch.tensor(images / 255.0, dtype=torch.float32).unsqueeze(0))[0]
            if (make is MultiStep)
            else network.conv(torch.tensor(images / 255.0, dtype=torch.float32))
        )
    voltage, counts = torch.zeros_like(current), torch.zeros(5, 4)
    for _ in range(3):
        voltage = voltage + current
        spikes = voltage >= 0.3
        voltage = torch.where(spikes, 0.0, voltage)
        counts += spikes.float().sum((2, 3))
    low, high = counts.min(1, keepdim=True).values, counts.max(1, keepdim=True).values
    expected = (counts - low) / torch.where(high > low, high - low, torch.ones_like(high))
    found = features_of(network, images, CODING, batch=2)
    assert np.allclose(found, expected.numpy())
    assert found.max() == 1.0


def test_a_network_without_hidden_neurons_has_no_features() -> None:
    network = nn.Sequential(nn.Flatten(), layer.Linear(4, 2), neuron.IFNode())
    with pytest.raises(InputError, match="has no neurons before its last linear layer, so no features"):
        features_of(network, np.zeros((1, 1, 2, 2), np.uint8), CODING)


def test_variance_within_classes_by_hand() -> None:
    features = np.array([[0.0, 1.0], [1.0, 1.0], [0.2, 0.4]])
    # Of class 0: variances 1/4 and 0, mean 1/8; class 1 has one sample, class 2 none.
    assert intra_class_variance(features, np.array([0, 0, 1]), 3) == [0.125, 0.0, 0.0]


def test_similarity_of_class_means_by_hand() -> None:
    train, test = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [2.0, 2.0]])
    found = similarity(train, np.array([0, 0, 1]), test, np.array([0, 1]), 3)
    assert found == pytest.approx([1 / 2**0.5, 1.0, 0.0])
