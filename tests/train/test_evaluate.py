"""What a network answers is what its output rates say, on frames normalised like everywhere else."""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional

from neuroprune.data.types import normalise
from neuroprune.train.evaluate import accuracy, channel_tensor, normalise_on_device, predict


def test_frames_on_the_device_are_those_of_the_data_module_to_the_bit():
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    mean, std = (12.345, 99.9, 200.1), (3.3, 77.7, 0.123)
    device = torch.device("cpu")
    found = normalise_on_device(torch.tensor(images), channel_tensor(mean, device), channel_tensor(std, device))
    assert np.array_equal(found.numpy(), normalise(images, mean, std))


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_predictions_do_not_depend_on_the_batch_nor_on_what_was_there_before(network, data, batch):
    frames = torch.from_numpy(normalise(data.test.images, data.mean, data.std))
    network.eval()
    functional.reset_net(network)
    with torch.no_grad():
        expected = network(frames).argmax(1).numpy()
    network.train()
    assert np.array_equal(predict(network, data.test.images, data.mean, data.std, batch), expected)
    assert network.training


def test_accuracy_is_the_share_of_right_answers(network, data):
    answers = predict(network, data.test.images, data.mean, data.std)
    wrong = (answers + 1) % 3
    labels = np.concatenate([answers[:12], wrong[12:]])
    assert accuracy(network, data.test.images, labels, data.mean, data.std) == 12 / 30
