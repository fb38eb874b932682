"""Channels chosen at once: the parts of a method, and targets in other currencies than FLOPs."""

import numpy as np
import pytest
import torch
from channel_pruning import job_for, small_network, stripes

from neuroprune.compression.catalog import Regrowth
from neuroprune.compression.compress import compress
from neuroprune.compression.methods.one_shot import OneShot
from neuroprune.compression.settings import CompressSettings
from neuroprune.errors import InputError


def chosen(method: str = "slimming", targets: dict[str, float] | None = None, **settings: object) -> OneShot:
    network = small_network().eval()
    return OneShot(job_for(network, stripes(), method, targets or {"flops": 0.5}, **settings))


def test_slimming_keeps_the_largest_scales_of_all_layers() -> None:
    algorithm = chosen()
    network, kept = algorithm.job.module, algorithm.choose().kept
    scales = {"conv1": network.norm1.weight.detach().numpy(), "conv2": network.norm2.weight.detach().numpy()}
    assert min(scales[name][kept[name]].min() for name in kept) > max(scales[name][~kept[name]].max() for name in kept)


def test_uniform_keeps_the_same_share_of_each_layer_and_its_largest() -> None:
    algorithm = chosen("uniform")
    network, kept = algorithm.job.module, algorithm.choose().kept
    assert kept["conv1"].mean() == pytest.approx(kept["conv2"].mean(), abs=0.05)
    scale = network.norm2.weight.detach().numpy()
    assert scale[kept["conv2"]].min() > scale[~kept["conv2"]].max()


def test_a_floor_keeps_a_share_of_the_layer_that_would_starve() -> None:
    network = small_network().eval()
    with torch.no_grad():
        network.norm1.weight.mul_(0.01)
    data = stripes()
    starved = OneShot(job_for(network, data, "slimming", {"flops": 0.12})).choose().kept["conv1"].sum()
    held = OneShot(job_for(network, data, "slimming", {"flops": 0.12}, layer_floor=0.2)).choose().kept["conv1"].sum()
    assert starved == 2 and held == 4


@pytest.mark.parametrize("regrowth", ["criticality", "random", "grad", "magnitude"])
def test_every_regrowth_brings_back_its_share(regrowth: Regrowth) -> None:
    selection = chosen(regenerate_by=regrowth, regeneration=0.3).choose()
    stay = sum(int(mask.sum()) for mask in selection.kept.values())
    back = sum(int(mask.sum()) for mask in selection.regenerated.values())
    assert back == int(stay * 0.3)
    plain = chosen().choose().kept
    assert all((plain[name] == mask).all() for name, mask in selection.kept.items()) == (regrowth == "magnitude")


def test_random_channels_come_from_the_seed() -> None:
    first, second = (chosen(regenerate_by="random", regeneration=0.3).choose() for _ in range(2))
    assert all((first.kept[name] == mask).all() for name, mask in second.kept.items())


def test_gradients_leave_no_trace_in_the_network() -> None:
    algorithm = chosen(regenerate_by="grad", regeneration=0.3)
    before = {name: tensor.clone() for name, tensor in algorithm.job.module.state_dict().items()}
    algorithm.choose()
    assert all(torch.equal(tensor, before[name]) for name, tensor in algorithm.job.module.state_dict().items())
    assert all(parameter.grad is None for parameter in algorithm.job.module.parameters())


def test_all_targets_hold_and_the_tightest_binds() -> None:
    result = compress(small_network(), stripes(), CompressSettings(flops=0.9, params=0.4, method="slimming"))
    reached = {target.of: target.reached for target in result.targets}
    assert reached["flops"] <= 0.9 and abs(reached["params"] - 0.4) <= 0.01
    assert reached["params"] == pytest.approx(result.pruned.parameters / result.dense.parameters)
    assert reached["flops"] == pytest.approx(result.pruned.flops / result.dense.flops)


def test_a_target_in_synops_is_of_the_network_that_is_left_on_training_samples() -> None:
    from neuroprune.compression.channel_scorer import first_frames, synops_by_input
    from neuroprune.compression.surgery import remove_channels
    from neuroprune.graph.trace import trace

    algorithm = chosen(targets={"synops": 0.5})
    selection, job = algorithm.choose(), algorithm.job
    slim = remove_channels(job.module, job.groups, selection.kept)
    left = algorithm._spent(selection)
    dense = sum(float(each.sum()) for each in synops_by_input(job).values())
    assert selection.shares["synops"] == pytest.approx(left / dense)
    assert abs(left / dense - 0.5) <= 0.01
    assert trace(slim, first_frames(job)).nodes and np.isfinite(left)


def test_a_target_that_whole_channels_cannot_meet_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"cannot leave 50\.0% of its FLOPs: the nearest share it can reach is 8"):
        compress(small_network(), stripes(), CompressSettings(flops=0.5, layer_floor=0.9, method="slimming"))
