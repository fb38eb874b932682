"""The float run of a module as it is."""

import numpy as np
import pytest
import torch
from torch import nn

from neuroprune.simulation.floats import run_module


class Weighted(nn.Module):
    """Adds up what it gets, each step and sample with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(1.0, len(frames) + 1)[:, None]
        return self.weight * (steps * frames.flatten(2).sum(2)).sum(0)[:, None]


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_module_gets_sequences_with_the_steps_first(batch: int) -> None:
    frames = np.random.default_rng(0).integers(0, 9, (5, 4, 2, 3, 3)).astype(np.float32)
    expected = (frames.sum((2, 3, 4)) * np.arange(1, 5)).sum(1)
    assert np.array_equal(run_module(Weighted(), frames, batch)[:, 0], expected)
