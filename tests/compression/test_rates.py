"""Forces on weights: what they do over the iterations of a training."""

import pytest
import torch
from torch import nn

from neuroprune.compression.rates import STRONGEST, strength, summed_rate
from neuroprune.training.observer import TrainingRun
from neuroprune.training.settings import TrainSettings


def test_rates_are_summed_over_the_iterations_of_the_first_epochs():
    settings = TrainSettings(epochs=4, lr=0.5, schedule="step", milestones=(2,))
    module = nn.Linear(1, 1)
    run = TrainingRun(module, torch.optim.SGD(module.parameters()), settings, 10)
    assert summed_rate(run, 2) == pytest.approx(10.0)
    assert summed_rate(run, 3) == pytest.approx(10.5)


def test_a_force_takes_a_parameter_as_far_in_any_number_of_iterations_up_to_the_strongest():
    for summed in (0.6, 10.0, 1000.0):
        assert strength(0.25, summed) * summed == pytest.approx(0.25)
    assert strength(0.25, 0.1) == STRONGEST
