"""What a network answers is what its output rates say, on frames made like everywhere else."""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional

from neuroprune.data.coding import frames_of, time_first
from neuroprune.data.types import make_dataset
from neuroprune.training.evaluate import measure_accuracy, predict


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_predictions_do_not_depend_on_the_batch_nor_on_what_was_there_before(network, data, batch):
    frames = torch.from_numpy(frames_of(data.test.images, data.coding))
    network.eval()
    functional.reset_net(network)
    with torch.no_grad():
        expected = network(frames).argmax(1).numpy()
    network.train()
    assert np.array_equal(predict(network, data.test.images, data.coding, batch), expected)
    assert network.training


@pytest.mark.parametrize("kind", ["poisson", "latency"])
@pytest.mark.parametrize("batch", [7, 500])
def test_predictions_from_coded_images_are_those_of_the_frames_that_deployment_gets(network, data, kind, batch):
    coding = make_dataset("bars", data.train, data.test, data.classes, coding=kind, steps=3).coding
    frames = frames_of(data.test.images, coding)
    network.eval()
    with torch.no_grad():
        expected = network(time_first(torch.from_numpy(frames))).argmax(1).numpy()
    assert np.array_equal(predict(network, data.test.images, coding, batch), expected)


def test_accuracy_is_the_share_of_right_answers(network, data):
    answers = predict(network, data.test.images, data.coding)
    wrong = (answers + 1) % 3
    labels = np.concatenate([answers[:12], wrong[12:]])
    assert measure_accuracy(network, data.test.images, labels, data.coding) == 12 / 30
