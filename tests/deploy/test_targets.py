"""Networks deployed, end to end, on chips of every bundled kind."""

from typing import Any

import numpy as np
import pytest
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.chips.load import list_chips, load_chip
from neuroprune.mapping.catalog import Placement
from neuroprune.pipeline import deploy
from neuroprune.simulation.verification import LavaSettings


@pytest.fixture(scope="module")
def network() -> Any:
    """Without leak, as Speck wants it; its layers need more of different memories than the next core has."""
    made = nn.Sequential(
        layer.Conv2d(1, 8, 3, padding=1, bias=False),
        neuron.IFNode(),
        layer.AvgPool2d(2),
        layer.Conv2d(8, 16, 3, padding=1, bias=False),
        neuron.IFNode(),
        layer.Flatten(),
        layer.Linear(16 * 8 * 8, 10, bias=False),
        neuron.IFNode(),
    )
    functional.set_step_mode(made, "m")
    return made


@pytest.mark.parametrize("placement", ["search", "curve"])
@pytest.mark.parametrize("target", list_chips())
def test_a_network_is_placed_within_the_limits_of_every_core(network: Any, target: str, placement: Placement) -> None:
    frames = (np.random.default_rng(0).random((2, 4, 1, 16, 16)) < 0.3).astype(np.float32)
    done = deploy(network, frames, target, placement=placement, effort="layers", lava=LavaSettings(samples=0))
    assert sum(core.neurons for core in done.report.cores) == 8 * 256 + 16 * 64 + 10
    assert max(use.percent for core in done.report.cores for use in core.resources) <= 100
    if load_chip(target).core.layer_per_core:
        assert [core.layers for core in done.report.cores] == [("1",), ("4",), ("7",)]
        assert done.report.bound is None
    assert done.report.traffic is not None
    assert (done.report.traffic.messages_per_sample > 0) == (len(done.report.cores) > 1)
