"""Residual blocks compute what their papers say, and stand in a network under readable names."""

import pytest
import torch
from spikingjelly.activation_based import functional, neuron
from torch import nn
from torch.nn import functional as F

from neuroprune.networks.build import SpikingNetwork, build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.networks.residual import BLOCKS
from neuroprune.selection import ChannelSelection

STEPS, CHANNELS = 3, 4


def fire() -> nn.Module:
    return neuron.IFNode(v_threshold=0.7)


def block(kind: str, inputs: int, stride: int) -> nn.Module:
    """One in evaluation mode whose normalisation has statistics of its own."""
    made = BLOCKS[kind](inputs, CHANNELS, (stride, stride), fire)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.3, 1.0)
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.uniform_(module.bias, -0.2, 0.5)
    functional.set_step_mode(made, "m")
    return made.double().eval()


def spikes_of(current: torch.Tensor) -> torch.Tensor:
    """Of integrate-and-fire neurons with threshold 0.7 and reset to 0, written out; [T, ...]."""
    potential, fired = torch.zeros_like(current[0]), []
    for step in current:
        potential = potential + step
        fired.append((potential >= 0.7).to(current))
        potential = torch.where(potential >= 0.7, 0.0, potential)
    return torch.stack(fired)


def norm(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    mean, scale = module.running_mean, module.weight / (module.running_var + module.eps).sqrt()
    return (x - mean[:, None, None]) * scale[:, None, None] + module.bias[:, None, None]


def conv(module: nn.Module, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
    kernel = module.weight
    return torch.stack([F.conv2d(step, kernel, stride=stride, padding=kernel.shape[-1] // 2) for step in x])


def expected(kind: str, made: nn.Module, x: torch.Tensor, stride: int) -> torch.Tensor:
    """What the block gives, from its parameters alone."""
    way = made.shortcut
    same = way is None or isinstance(way, nn.Identity)
    if kind in ("td", "sew"):
        inner = conv(made.conv2, spikes_of(norm(made.norm1, conv(made.conv1, x, stride))))
        current = norm(made.norm2, inner)
        short = x if same else norm(way.norm, conv(way.conv, x, stride))
        if kind == "td":
            return spikes_of(current + short)
        return spikes_of(current) + (short if same else spikes_of(short))
    if kind == "ms":
        spikes = spikes_of(x)
        inner = spikes_of(norm(made.norm1, conv(made.conv1, spikes, stride)))
        short = x if same else norm(way.norm, conv(way.conv, spikes, stride))
        return norm(made.norm2, conv(made.conv2, inner)) + short
    spikes = spikes_of(norm(made.norm1, x)[:, :, made.selection.channels])
    inner = spikes_of(norm(made.norm2, conv(made.conv1, spikes, stride)))
    return conv(made.conv2, inner) + (x if same else conv(way, spikes, stride))


@pytest.mark.parametrize("kind", sorted(BLOCKS))
@pytest.mark.parametrize(("inputs", "stride"), [(CHANNELS, 1), (3, 1), (CHANNELS, 2), (6, 2)])
def test_a_block_computes_what_its_paper_says(kind: str, inputs: int, stride: int) -> None:
    torch.manual_seed(0)
    made = block(kind, inputs, stride)
    x = torch.randn(STEPS, 2, inputs, 7, 5, dtype=torch.float64)
    if kind in ("td", "sew"):
        x = (x > 0.5).double()
    with torch.no_grad():
        found, wanted = made(x), expected(kind, made, x, stride)
    assert found.shape == (STEPS, 2, CHANNELS, -(-7 // stride), -(-5 // stride))
    assert found.any()
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("mode", ["m", "s"])
def test_a_selection_gathers_channels_in_both_step_modes(mode: str) -> None:
    selection = ChannelSelection(5)
    x = torch.randn(2, 3, 5, 4, 4) if mode == "m" else torch.randn(3, 5, 4, 4)
    assert torch.equal(selection(x), x)
    selection.channels = torch.tensor([1, 4])
    assert torch.equal(selection(x), x[..., [1, 4], :, :])
    assert "channels" in selection.state_dict() and repr(selection) == "ChannelSelection(2 of 5)"


def network(kind: str) -> SpikingNetwork:
    layers = [{"conv": 4}, {"block": kind, "channels": 4}, {"block": kind, "channels": 6, "stride": 2, "repeat": 2}]
    values = {"name": "r", "title": "t", "data": "digits", "steps": 3, "layers": [*layers, {"pool": "global"}]}
    return build(parse_recipe(values, "recipe r"), (1, 8, 8), 5)


@pytest.mark.parametrize(
    ("kind", "stem", "body"),
    [
        ("td", ["conv1", "norm1"], ["neuron1", "block2", "block3", "block4"]),
        ("sew", ["conv1", "norm1"], ["neuron1", "block2", "block3", "block4"]),
        ("ms", ["conv1", "norm1"], ["block2", "block3", "block4", "neuron4"]),
        ("preact", ["conv1"], ["block2", "block3", "block4", "norm4", "selection4", "neuron4"]),
    ],
)
def test_neurons_stand_where_the_kind_of_block_wants_them(kind: str, stem: list[str], body: list[str]) -> None:
    made = network(kind)
    assert [name for name, _ in made.stem.named_children()] == stem
    assert [name for name, _ in made.body.named_children()] == [*body, "pool4", "flatten", "classifier", "output"]
    assert made.body.block3.conv1.stride == (2, 2) and made.body.block4.conv1.stride == (1, 1)
    assert made(torch.randn(2, 1, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_every_parameter_of_a_residual_network_is_trained(kind: str) -> None:
    made = network(kind)
    made(torch.randn(8, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())
