"""Pruning to a step of so many microseconds: counted as a report counts it, met, recorded, resumed, or refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from channel_pruning import outcome
from torch import nn

from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.compression.channels import channel_groups
from neuroprune.compression.chip_cost import CALIBRATION, chip_samples, program_on
from neuroprune.compression.chip_limits import ChipLimits
from neuroprune.compression.compress import compress, resume_compress
from neuroprune.compression.record import load_compress_record
from neuroprune.compression.result import CompressResult
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.surgery import removable, remove_channels
from neuroprune.data.load import load_dataset
from neuroprune.data.types import Dataset
from neuroprune.errors import InputError
from neuroprune.graph.trace import trace
from neuroprune.mapping.budget import Budget
from neuroprune.networks.batchnorm import reestimate_batchnorm
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.pipeline import deploy
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.verification import LavaSettings
from neuroprune.training.checkpoint import load_checkpoint, restore
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import train

CHIP = load_chip("loihi-sim")
SMALL = replace(CHIP, name="small", core=replace(CHIP.core, neurons_per_core=128))
"""Cores of so few neurons that digits-conv takes 37 of them."""
SENDING = replace(SMALL, name="sending", costs=SMALL.costs[::-1])
"""The same, timed by a model in which messages take time, too."""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    data = load_dataset("digits")
    few = replace(data.test, images=data.test.images[:20], labels=data.test.labels[:20])
    some = replace(data.train, images=data.train.images[:300], labels=data.train.labels[:300])
    return replace(data, train=some, test=few)


def digits_network() -> nn.Module:
    """Of random weights, with scales that rank channels, and statistics with which all layers fire."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = build(load_recipe("digits-conv"), (1, 8, 8), 10)
        for each in made.modules():
            if isinstance(each, nn.BatchNorm2d):
                nn.init.uniform_(each.weight, 0.2, 1.5)
    reestimate_batchnorm(made, torch.from_numpy(chip_samples(load_dataset("digits"))[:64]))
    return made.eval()


def deployed_us(module: nn.Module, data: Dataset, chip: Chip, cores: int | None = None) -> float:
    """Microseconds of a step in the report of a deployment for time, on the samples that a compression counts on.

    cores: that it may take, by default those that it needs.
    """
    samples = chip_samples(data)
    report = deploy(
        module,
        samples[:CALIBRATION],
        chip,
        samples,
        effort="layers",
        optimize="time",
        placement="curve",
        budget=Budget(cores=cores),
        lava=LavaSettings(samples=0),
    ).report
    step = report.costs[0].step
    assert step is not None
    return step.total_ns / 1e3


def pruned(data: Dataset, **settings: object) -> CompressResult:
    return compress(digits_network(), data, CompressSettings(**{"method": "slimming", **settings}), chip=SMALL)  # type: ignore[arg-type]


def doubled(module: nn.Module) -> None:
    """Make the second half of all channels the same as the first, and read by nobody."""
    for each in module.modules():
        tensors = [*each.parameters(recurse=False), *each.buffers(recurse=False)]
        outputs = [tensor for tensor in tensors if tensor.ndim and len(tensor) > 10]  # but for the ten classes
        for tensor in outputs:
            tensor.data[len(tensor) // 2 :] = tensor.data[: len(tensor) // 2]
        if isinstance(each, nn.Conv2d | nn.Linear) and each.weight.shape[1] > 1:
            each.weight.data[:, each.weight.shape[1] // 2 :] = 0


@pytest.mark.parametrize("chip", [CHIP, SMALL, SENDING], ids=lambda chip: chip.name)
def test_channels_that_nobody_reads_are_counted_out_as_a_deployment_without_them_is(
    digits: Dataset, chip: Chip
) -> None:
    """All that stay fire as before then, so the estimate is no estimate; those that go fire as much as they."""
    network = digits_network()
    doubled(network)
    graph, samples = trace(network, torch.zeros(1, 1, 8, 8)), chip_samples(digits)
    groups = removable(network, channel_groups(graph))
    activity = simulate(program_on(graph, samples, chip), samples)
    limits = ChipLimits(network, groups, samples, chip, {"step-time": 1.0}, activity=activity)
    kept = {group.name: np.arange(group.channels) < group.channels // 2 for group in groups}
    slim = remove_channels(network, groups, kept)
    counted = limits.cost(np.concatenate(list(kept.values()))).step_us
    assert counted == pytest.approx(deployed_us(slim, digits, chip), rel=1e-12)
    whole = limits.cost(np.ones(sum(group.channels for group in groups), dtype=np.bool_)).step_us
    assert whole is not None and counted is not None and counted < whole


@pytest.mark.parametrize(
    ("chip", "cores"), [(CHIP, 6), (SMALL, 37), (SENDING, 37)], ids=["loihi-sim", "small", "sending"]
)
def test_fewer_channels_make_no_step_longer(digits: Dataset, chip: Chip, cores: int) -> None:
    """On as many cores as the dense network takes; on the fewest, 75 % of the channels are slower than 80 %."""
    network, samples = digits_network(), chip_samples(digits)
    graph = trace(network, torch.zeros(1, 1, 8, 8))
    groups = removable(network, channel_groups(graph))
    activity = simulate(program_on(graph, samples, chip), samples)
    limits = ChipLimits(network, groups, samples, chip, {"step-time": 1.0}, activity=activity, timed_on=cores)
    costs = [
        limits.cost(np.concatenate([np.arange(group.channels) < share * group.channels for group in groups]))
        for share in (1, 0.9, 0.8, 0.75, 0.6, 0.4, 0.2)
    ]
    steps = [cost.step_us or 0.0 for cost in costs]
    assert all(after < before for before, after in pairwise(steps)), steps
    assert costs[0].cores == cores and all((cost.cores or 0) <= cores for cost in costs)


@pytest.mark.parametrize("most", [16.0, 8.0])
def test_a_step_is_no_longer_than_asked_and_not_much_shorter(digits: Dataset, most: float) -> None:
    result = pruned(digits, step_time=most)
    (limit,) = result.limits
    assert (limit.of, limit.chip, limit.asked) == ("step-time", "small", most)
    assert limit.counted is not None and 0.9 * most < limit.counted <= most
    network, samples = digits_network(), chip_samples(digits)
    graph = trace(network, torch.zeros(1, 1, 8, 8))
    groups = removable(network, channel_groups(graph))
    activity = simulate(program_on(graph, samples, SMALL), samples)
    on = result.before.timed_on
    limits = ChipLimits(network, groups, samples, SMALL, {"step-time": most}, activity=activity, timed_on=on)
    kept = np.concatenate([result.kept[group.name] for group in groups])
    assert limits.cost(kept).step_us == limit.counted


def test_the_record_has_the_step_of_the_deployed_network_beside_the_one_counted(digits: Dataset) -> None:
    """What is left fires otherwise than it did in the dense network, here by less than a quarter."""
    result = pruned(digits, step_time=5.0)
    (limit,) = result.limits
    assert limit.reached is not None and limit.counted is not None
    cores = result.record("run").timed_on
    assert cores == 37
    assert limit.reached == pytest.approx(deployed_us(result.module, digits, SMALL, cores), rel=1e-12)
    assert limit.reached != limit.counted
    assert limit.reached == pytest.approx(limit.counted, rel=0.25)
    dense = result.dense.on_chip
    assert dense is not None
    assert dense.step_us == pytest.approx(deployed_us(digits_network(), digits, SMALL), rel=1e-12)


def test_a_step_that_is_longer_in_the_end_is_told_of(digits: Dataset) -> None:
    result = pruned(digits, step_time=16.0)
    longer = replace(result, limits=(result.limits[0].model_copy(update={"reached": 16.5}),))
    sentence = (
        "16 us a step of small were asked for, and the network takes 16.5 as it fires, 14.784 if it fired as the dense "
        "one does"
    )
    assert sentence in longer.record("run").warnings


def test_cores_and_shares_hold_beside_the_time_of_a_step(digits: Dataset) -> None:
    cores, step = pruned(digits, cores=20, step_time=12.0).limits
    assert cores.holds and step.counted is not None and step.counted <= 12.0
    alone, both = pruned(digits, flops=0.5), pruned(digits, flops=0.5, step_time=8.0)
    assert alone.cut is not None and both.cut is not None
    assert both.cut.flops < alone.cut.flops
    assert both.limits[0].counted is not None and both.limits[0].counted <= 8.0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"step_time": 400.0},
            r"this network takes \d\d\.\d+ us a step on small as it is, no more than the 400 asked for: ask for fewer, "
            "or deploy it with --optimize time --cores 37",
        ),
        (
            {"step_time": 400.0, "cores": 40},
            r"this network takes \d\d cores of small and \d\d\.\d+ us a step on small as it is, no more than the 40 "
            r"and 400 asked for: ask for fewer, or deploy it with --optimize time --cores 40",
        ),
        (
            {"step_time": 1.0, "layer_floor": 0.5},
            r"removing whole channels of this network while every layer keeps 50\.0% of them cannot leave at most 1 us "
            r"a step on small: with the fewest channels it takes (\d+) us a step on small; ask for \1 instead",
        ),
    ],
)
def test_times_that_cannot_be_met_or_are_met_already_are_refused(
    digits: Dataset, settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        pruned(digits, **settings)
    assert re.fullmatch(sentence, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("chip", "sentence"),
    [
        (
            "speck",
            "the time of a step is not known of speck: its cost models are none, and one with synop_time "
            "of all encodings or active_neuron_time is needed, such as davies-2018 of loihi1; take such "
            "a chip, or name a model in its YAML",
        ),
        (
            None,
            "step-time (microseconds of a step by the chip's first time model, at the activity of the dense network) "
            "is counted on a chip, and none is given: pass chip, such as loihi-sim",
        ),
    ],
)
def test_a_chip_that_tells_no_time_is_refused_before_anything_is_read(
    digits: Dataset, chip: str | None, sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        compress(nn.Identity(), digits, CompressSettings(step_time=80.0), chip=chip)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("time", [0.0, -3.0, float("inf"), float("nan")])
def test_a_step_takes_time(time: float) -> None:
    with pytest.raises(InputError) as caught:
        CompressSettings(step_time=time)
    assert str(caught.value) == f"step-time is {time:g} us, but a step takes more than 0: give a number such as 80"


def test_single_weights_are_not_pruned_to_a_time() -> None:
    with pytest.raises(InputError) as caught:
        CompressSettings(sparsity=0.5, step_time=80.0)
    assert str(caught.value) == (
        "sparsity 0.5 is of single weights and step-time 80.0 of whole channels, so they cannot both be the target: "
        "give one of the two"
    )


@pytest.mark.parametrize(("method", "prune_epochs", "epoch"), [("sca", 2, 2), ("slimming", None, 1)])
def test_a_compression_that_is_resumed_counts_by_the_dense_network_as_an_unbroken_one_does(
    digits: Dataset, tmp_path: Path, method: str, prune_epochs: int | None, epoch: int
) -> None:
    """sca chooses anew in each epoch, of a network that has changed since; slimming has chosen before it trains."""
    recipe, short = load_recipe("digits-conv"), TrainSettings(epochs=1, batch=100, device="cpu")
    dense = train(digits_network(), digits, short, tmp_path / "dense", recipe).module
    most = deployed_us(dense, digits, SMALL) / 2
    tuning = replace(short, lr=0.1)
    settings = CompressSettings(step_time=most, method=method, prune_epochs=prune_epochs, fine_tune=tuning)

    def run(name: str, progress: Callable[..., None]) -> None:
        folder, source = tmp_path / name, tmp_path / "dense"
        compress(dense, digits, settings, progress, chip=SMALL, folder=folder, source=source)

    def interrupt(task: str, *_: int, **figures: float) -> None:
        if task == "training" and figures["epoch"] == epoch:
            raise KeyboardInterrupt

    run("whole", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        run("broken", interrupt)
    checkpoint = load_checkpoint(tmp_path / "broken")
    resume_compress(restore(checkpoint), digits, tmp_path / "broken", checkpoint, {"step_time": most}, chip=SMALL)
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")
    (limit,) = load_compress_record(tmp_path / "broken").limits
    assert limit.counted is not None and 0.9 * most < limit.counted <= most
