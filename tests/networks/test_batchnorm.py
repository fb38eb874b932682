"""An untrained network whose BatchNorm was re-estimated fires in every layer."""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, neuron
from torch import nn

from neuroprune.networks.batchnorm import reestimate_batchnorm
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe, parse_recipe
from neuroprune.networks.residual import BLOCKS


def rates(network: nn.Module, frames: torch.Tensor) -> dict[str, float]:
    """Spikes of each layer of neurons, as the share of all its neurons and steps."""
    found: dict[str, float] = {}
    for name, module in network.named_modules():
        if isinstance(module, neuron.BaseNode):
            module.register_forward_hook(
                lambda module, inputs, spikes, name=name: found.update({name: float(spikes.mean())})
            )
    with torch.no_grad():
        functional.reset_net(network)
        network(frames)
    return found


def deep(kind: str, **changes: object) -> nn.Module:
    """ResNet-19 with few channels."""
    blocks = [{"block": kind, "channels": 8, "repeat": 3}, {"block": kind, "channels": 16, "repeat": 5, "stride": 2}]
    layers = [{"conv": 8}, *blocks, {"pool": "global"}, {"linear": 16}]
    values = {"name": "deep", "title": "t", "data": "digits", "steps": 4, "layers": layers, **changes}
    return build(parse_recipe(values, "recipe deep"), (1, 8, 8), 10)


@pytest.mark.parametrize("kind", sorted(BLOCKS))
@pytest.mark.parametrize("neurons", [{}, {"kind": "plif", "tau": 4 / 3, "reset": "subtract"}], ids=["lif", "soft"])
def test_every_layer_of_a_deep_untrained_network_fires(kind: str, neurons: dict[str, object]) -> None:
    torch.manual_seed(0)
    frames = torch.randn(32, 1, 8, 8)
    network = deep(kind, neuron=neurons)
    reestimate_batchnorm(network, frames)
    found = rates(network, frames)
    assert len(found) >= 18
    assert min(found.values()) > 0.01 and max(found.values()) < 0.6, found


@pytest.mark.parametrize(
    ("name", "shape"),
    [("digits-conv", (1, 8, 8)), *((name, (1, 28, 28)) for name in ("depthwise-conv", "sew-resnet", "ms-resnet"))],
)
def test_every_layer_of_the_small_recipes_fires_before_training(name: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    frames = torch.randn(8, *shape)
    network = build(load_recipe(name), shape, 10)
    reestimate_batchnorm(network, frames)
    assert not network.training
    found = rates(network, frames)
    assert min(found.values()) > 0.01 and max(found.values()) < 0.6, found


def test_a_sequence_serves_as_well() -> None:
    torch.manual_seed(0)
    network, sequence = deep("td"), torch.randn(4, 16, 1, 8, 8)
    reestimate_batchnorm(network, sequence)
    assert min(rates(network, sequence).values()) > 0.01


def test_only_linear_layers_are_scaled() -> None:
    network = deep("preact", readout="voltage")
    before = {name: value.clone() for name, value in network.named_parameters()}
    reestimate_batchnorm(network, torch.randn(32, 1, 8, 8))
    changed = {name for name, value in network.named_parameters() if not torch.equal(before[name], value)}
    assert changed == {
        f"body.{layer}.{tensor}" for layer in ("linear10", "classifier") for tensor in ("weight", "bias")
    }
    linear = network.body.linear10
    factors = linear.weight / before["body.linear10.weight"]
    torch.testing.assert_close(factors, factors[0, 0].expand_as(factors))
    torch.testing.assert_close(linear.bias, before["body.linear10.bias"] * factors[0, 0])


def test_outputs_of_linear_layers_have_mean_square_1_and_silence_stays() -> None:
    frames = torch.randn(64, 1, 2, 3)
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Linear(5, 4))
    reestimate_batchnorm(network, frames)
    torch.testing.assert_close(network(frames).square().mean(), torch.tensor(1.0))
    silent = nn.Linear(6, 5, bias=False)
    reestimate_batchnorm(silent, torch.zeros(3, 6))
    assert silent.weight.isfinite().all()


def test_statistics_are_those_of_the_batch() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3))
    frames = torch.from_numpy(np.random.default_rng(0).normal(2.0, 3.0, (50, 3, 4, 4))).float()
    reestimate_batchnorm(network, frames)
    torch.testing.assert_close(network[0].running_mean, frames.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(network[0].running_var, frames.var(dim=(0, 2, 3)))
    assert network[0].momentum == 0.1
