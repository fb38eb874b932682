"""CUBALIFNode, SpikingJelly's neurons with a current, are read as they compute."""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune import UnsupportedNetwork, fold, run_module, trace
from neuroprune.simulation.floats import run_float

FRAMES = torch.rand((6, 1, 3, 3), generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self, node):
        super().__init__()
        torch.manual_seed(0)
        body = (
            layer.Flatten(),
            layer.Linear(9, 8, bias=False),
            node,
            layer.Linear(8, 4, bias=False),
            neuron.IFNode(0.3),
        )
        self.body = nn.Sequential(*body)
        functional.set_step_mode(self, "m")

    def forward(self, frames):
        return self.body(frames.unsqueeze(0).repeat(12, 1, 1, 1, 1)).mean(0)


@pytest.mark.parametrize("v_reset", [0.0, None])
def test_its_program_fires_as_the_module_does(v_reset):
    net = Net(neuron.CUBALIFNode(c_decay=0.75, v_decay=0.5, v_threshold=0.6, v_reset=v_reset))
    program = fold(trace(net, FRAMES))
    spikes = run_float(program, FRAMES.numpy())
    np.testing.assert_allclose(spikes.outputs / 12, run_module(net, FRAMES.numpy()), atol=1e-6)
    assert spikes.spikes["body.2"] > 50


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"c_decay": 1.0}, r"layer body.2: c_decay 1 cannot be mapped; it must be at least 0 and below 1"),
        ({"v_reset": 0.2}, r"layer body.2: hard reset to 0.2 cannot be mapped; use v_reset=0.0 or None"),
        ({"v_decay": 0.0}, r"layer body.2: voltage decay 1 cannot be mapped; it must be at least 0 and below 1"),
    ],
)
def test_what_the_chip_does_not_have_is_refused(options, said):
    with pytest.raises(UnsupportedNetwork, match=said):
        trace(Net(neuron.CUBALIFNode(**options)), FRAMES)
