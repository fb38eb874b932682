"""What a network takes of a chip is what its deployment takes, or a sentence."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from own_objects import NeuronsOnly
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.chips.load import load_chip
from neuroprune.compression.chip_cost import CALIBRATION, chip_cost
from neuroprune.compression.record import ChipCost
from neuroprune.graph.trace import trace
from neuroprune.pipeline import deploy
from neuroprune.simulation.verification import LavaSettings

CHIP = load_chip("loihi-sim")


class Net(nn.Module):
    """Frames at every step through `body`."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x.unsqueeze(0).repeat(3, 1, 1, 1, 1)).mean(0)


def wide(pixels: int) -> Net:
    torch.manual_seed(0)
    return Net(layer.Flatten(), layer.Linear(pixels**2, 3), neuron.LIFNode()).eval()


def frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (CALIBRATION, *shape)).astype(np.float32)


def cost_of(network: Net, calibration: np.ndarray) -> ChipCost:
    return chip_cost(trace(network, torch.from_numpy(calibration[:1])), calibration, CHIP)


def test_a_network_costs_what_its_deployment_takes() -> None:
    torch.manual_seed(0)
    network = Net(
        layer.Conv2d(1, 40, 3, padding=1),
        neuron.LIFNode(),
        layer.AvgPool2d(2),
        layer.Conv2d(40, 40, 3, padding=1),
        neuron.LIFNode(),
        layer.Flatten(),
        layer.Linear(40 * 36, 5),
        neuron.LIFNode(),
    ).eval()
    calibration = frames(1, 12, 12)
    totals = deploy(network, calibration, CHIP, lava=LavaSettings(samples=0)).report.totals
    memory = next(each.used for each in totals.resources if each.name == "synapse memory")
    cost = cost_of(network, calibration)
    assert cost == ChipCost(chip="loihi-sim", cores=totals.cores, chips=totals.chips, kib=memory / 8192)
    assert totals.cores > 5


def test_a_network_that_does_not_fit_says_why_and_fits_with_most_weights_at_zero() -> None:
    network = wide(72)
    network.body[1].weight.data.fill_(0.5)
    cost = cost_of(network, frames(1, 72, 72))
    assert cost == ChipCost(chip="loihi-sim", why_not=cost.why_not)
    assert re.fullmatch(
        r"layer body\.2: one neuron needs \d+ input axons, a core of loihi-sim has 4096: prune the layer or pool "
        r"before it, or choose a target with larger cores",
        str(cost.why_not),
    )
    weight = network.body[1].weight.data
    weight[:, torch.rand(weight.shape[1]) < 0.95] = 0
    assert cost_of(network, frames(1, 72, 72)).cores == 1


def test_a_network_that_cannot_be_folded_says_why() -> None:
    torch.manual_seed(0)
    norm = layer.BatchNorm2d(2)
    norm.bias.data += 1.0
    network = Net(
        layer.Conv2d(1, 2, 1), neuron.LIFNode(), norm, layer.Conv2d(2, 2, 3, padding=1), neuron.LIFNode(),
        layer.Flatten(), layer.Linear(72, 2), neuron.LIFNode(),
    ).eval()  # fmt: skip
    cost = cost_of(network, frames(1, 6, 6))
    assert cost.cores is None
    assert cost.why_not is not None
    assert "it pads the output of body.2 with zeros, but a bias or an offset was added" in cost.why_not


def test_frames_that_are_no_numbers_say_so() -> None:
    network, calibration = wide(6), frames(1, 6, 6)
    calibration[0, 0, 0, 0] = np.nan
    graph = trace(network, torch.zeros(1, 1, 6, 6))
    assert str(chip_cost(graph, calibration, CHIP).why_not).startswith("the calibration batch has 1 values that are")


@pytest.mark.parametrize("neurons", [2, 8])
def test_a_chip_without_memory_of_its_own_has_no_kib(neurons: int) -> None:
    network, calibration = wide(6), frames(1, 6, 6)
    chip = replace(CHIP, name="toy", core=NeuronsOnly(neurons))
    cost = chip_cost(trace(network, torch.from_numpy(calibration[:1])), calibration, chip)
    assert cost == ChipCost(chip="toy", cores=-(-3 // neurons), chips=1)
