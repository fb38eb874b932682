"""Removing channels is the same as silencing them, on every kind of network."""

from typing import Any

import numpy as np
import pytest
import torch
from masking import mask_channels
from spikingjelly.activation_based import base, functional
from torch import nn

from neuroprune.compression.channels import ChannelGroup, channel_groups
from neuroprune.compression.cost import count_macs, synapse_work
from neuroprune.compression.select import Mask
from neuroprune.compression.surgery import duplicate, remove_channels
from neuroprune.graph.trace import trace


def spikes_of(network: nn.Module, frames: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Every neuron layer's spikes, over all time steps, and the output."""
    seen: dict[str, list[torch.Tensor]] = {}

    def record(name: str) -> Any:
        return lambda module, args, spikes: seen.setdefault(name, []).append(spikes)

    hooks = [
        module.register_forward_hook(record(name))
        for name, module in network.named_modules()
        if isinstance(module, base.MemoryModule) and hasattr(module, "v_threshold")
    ]
    functional.reset_net(network)
    with torch.no_grad():
        output = network(frames)
    functional.reset_net(network)
    for hook in hooks:
        hook.remove()
    return {name: torch.stack(calls) for name, calls in seen.items()}, output


def some_kept(groups: tuple[ChannelGroup, ...], seed: int = 0) -> dict[str, Mask]:
    """Three quarters of each group, taken at random."""
    generator = np.random.default_rng(seed)
    return {group.name: generator.permutation(group.channels) < 3 * group.channels // 4 for group in groups}


@pytest.mark.parametrize("seed", range(3))
def test_a_slimmed_network_fires_exactly_as_the_masked_one(network: nn.Module, frames: torch.Tensor, seed: int) -> None:
    groups = channel_groups(trace(network, frames))
    kept = some_kept(groups, seed)
    masked, masked_output = spikes_of(mask_channels(network, groups, kept), frames)
    slim, slim_output = spikes_of(remove_channels(network, groups, kept), frames)
    by_neuron = {stage.neuron: group for group in groups for stage in group.stages}
    assert masked.keys() == slim.keys()
    for name, spikes in masked.items():
        if name in by_neuron:
            axis = spikes.dim() - 3
            stays = torch.from_numpy(kept[by_neuron[name].name])
            gone = spikes.index_select(axis, (~stays).nonzero().flatten())
            assert not gone.any(), f"{name} fires in a masked channel"
            spikes = spikes.index_select(axis, stays.nonzero().flatten())
        assert 0 < spikes.mean() < 1, f"{name} shows nothing"
        assert torch.equal(spikes, slim[name]), name
    torch.testing.assert_close(masked_output, slim_output, rtol=1e-12, atol=1e-12)


def test_the_slimmed_network_states_its_new_widths_everywhere(network: nn.Module, frames: torch.Tensor) -> None:
    groups = channel_groups(trace(network, frames))
    kept = some_kept(groups)
    slim = remove_channels(network, groups, kept)
    for group in groups:
        width = int(kept[group.name].sum())
        for stage in group.stages:
            producer, norm = slim.get_submodule(stage.producer), slim.get_submodule(stage.norm)
            if stage.gathers is not None:
                chosen = torch.tensor(stage.gathers)[torch.from_numpy(kept[group.name])]
                assert torch.equal(producer.channels, chosen) and norm.num_features == producer.width
                continue
            assert producer.out_channels == width == norm.num_features == len(norm.running_var)
            if producer.groups > 1:
                assert producer.groups == producer.in_channels == width
        for consumer in map(slim.get_submodule, group.consumers):
            inputs = consumer.in_channels if isinstance(consumer, nn.Conv2d) else consumer.in_features
            assert inputs == consumer.weight.shape[1] < network.get_submodule(group.consumers[0]).weight.shape[1]


def test_surgery_leaves_the_given_network_as_it_was(network: nn.Module, frames: torch.Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    groups = channel_groups(trace(network, frames))
    remove_channels(network, groups, some_kept(groups))
    mask_channels(network, groups, some_kept(groups))
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_network_whose_neurons_still_hold_gradients_can_be_copied(network: nn.Module, frames: torch.Tensor) -> None:
    functional.reset_net(network)
    network.train()(frames).sum().backward()
    assert duplicate(network).training


def test_the_slimmed_network_can_be_trained(network: nn.Module, frames: torch.Tensor) -> None:
    groups = channel_groups(trace(network, frames))
    slim = remove_channels(network, groups, some_kept(groups)).train()
    slim(frames).sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.shape == parameter.shape for parameter in slim.parameters()
    )


def test_a_layer_held_under_two_names_is_cut_under_both(network: nn.Module, frames: torch.Tensor) -> None:
    for group in channel_groups(trace(network, frames)):
        for layer in (group.stages[0].producer, group.stages[0].norm, group.consumers[0]):
            network.add_module(f"again_{layer.replace('.', '_')}", network.get_submodule(layer))
    groups = channel_groups(trace(network, frames))
    kept = some_kept(groups)
    masked_output = spikes_of(mask_channels(network, groups, kept), frames)[1]
    slim_output = spikes_of(remove_channels(network, groups, kept), frames)[1]
    torch.testing.assert_close(masked_output, slim_output, rtol=1e-12, atol=1e-12)


def test_a_slimmed_network_can_be_slimmed_again(network: nn.Module, frames: torch.Tensor) -> None:
    groups = channel_groups(trace(network, frames))
    once = remove_channels(network, groups, some_kept(groups))
    fewer = channel_groups(trace(once, frames))
    assert [group.name for group in fewer] == [group.name for group in groups]
    kept = some_kept(fewer, seed=1)
    masked_output = spikes_of(mask_channels(once, fewer, kept), frames)[1]
    slim_output = spikes_of(remove_channels(once, fewer, kept), frames)[1]
    torch.testing.assert_close(masked_output, slim_output, rtol=1e-12, atol=1e-12)


def test_macs_predicted_for_a_selection_are_those_of_the_slimmed_network(
    network: nn.Module, frames: torch.Tensor
) -> None:
    graph = trace(network, frames)
    groups = channel_groups(graph)
    kept = some_kept(groups)
    predicted = count_macs(synapse_work(graph, groups), {name: int(mask.sum()) for name, mask in kept.items()})
    assert predicted == count_macs(synapse_work(trace(remove_channels(network, groups, kept), frames)))
    assert predicted < count_macs(synapse_work(graph, groups))
