"""The whole of pruning on small data: a trained-looking network in, a slimmed one and its figures out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from channel_pruning import stripes
from rich.console import Console
from spikingjelly.activation_based import layer, neuron
from torch import nn

from neuroprune.compression.compress import compress
from neuroprune.compression.cost import FLOPS_PER_MAC, count_macs, synapse_work
from neuroprune.compression.record import load_compress_record
from neuroprune.compression.result import CompressResult
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.table import render
from neuroprune.data.types import Dataset
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.training.checkpoint import facts_of, load_checkpoint, restore, save_checkpoint
from neuroprune.training.evaluate import measure_accuracy, predict
from neuroprune.training.history import EpochRecord
from neuroprune.training.settings import TrainSettings

FINE_TUNE = TrainSettings(epochs=2, batch=16, lr=1e-3, device="cpu")


class Wide(nn.Module):
    """Wide enough for steps below 1 %; `rigid` writes the number of features into its code."""

    def __init__(self, rigid: bool = False, affine: bool = True) -> None:
        super().__init__()
        self.rigid = rigid
        self.conv1 = layer.Conv2d(1, 24, 3, padding=1, bias=False, step_mode="m")
        self.norm1 = layer.BatchNorm2d(24, affine=affine, step_mode="m")
        self.fire1 = neuron.LIFNode(tau=2.0, step_mode="m")
        self.conv2 = layer.Conv2d(24, 40, 3, padding=1, stride=2, bias=False, step_mode="m")
        self.norm2 = layer.BatchNorm2d(40, affine=affine, step_mode="m")
        self.fire2 = neuron.LIFNode(tau=2.0, step_mode="m")
        self.linear = layer.Linear(40 * 4, 3, step_mode="m")
        self.output = neuron.IFNode(v_threshold=0.5, step_mode="m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames.unsqueeze(0).repeat(3, 1, 1, 1, 1)
        x = self.fire2(self.norm2(self.conv2(self.fire1(self.norm1(self.conv1(x))))))
        x = x.view(3, -1, 160) if self.rigid else x.flatten(2)
        return self.output(self.linear(x)).mean(0)


def network(rigid: bool = False, affine: bool = True) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Wide(rigid, affine)
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d) and affine:
                nn.init.uniform_(module.weight, 0.2, 1.5)
    return made


@pytest.fixture(scope="module")
def data() -> Dataset:
    return stripes()


@pytest.fixture(scope="module")
def result(data: Dataset) -> CompressResult:
    return compress(network(), data, CompressSettings(0.5, regeneration=0.2, fine_tune=FINE_TUNE))


def test_the_share_of_flops_is_met_and_is_that_of_the_slimmed_network(result: CompressResult, data: Dataset) -> None:
    assert 0.49 <= result.targets[0].reached <= 0.51
    assert result.pruned.flops / result.dense.flops == result.targets[0].reached
    frames = torch.zeros(1, 1, 4, 4)
    assert result.pruned.flops == FLOPS_PER_MAC * count_macs(synapse_work(trace(result.module, frames)))
    assert [width.name for width in result.layers] == ["conv1", "conv2"]
    assert (result.before.prunable, result.before.total) == (24 + 40, 24 + 40 + 3)
    for width in result.layers:
        assert result.module.get_submodule(width.name).out_channels == width.after < width.before


def test_figures_are_those_of_the_networks(result: CompressResult, data: Dataset) -> None:
    def right(module: nn.Module) -> float:
        return measure_accuracy(module, data.test.images, data.test.labels, data.coding)

    dense = network()
    assert result.dense.accuracy == right(dense)
    assert result.pruned.accuracy == right(result.module) == result.history[-1].test_accuracy
    assert not result.module.training
    for cost, module in ((result.dense, dense), (result.pruned, result.module)):
        assert cost.parameters == sum(parameter.numel() for parameter in module.parameters())
        # float32 all but the two counters of batches, which are int64
        assert cost.bytes == 4 * (cost.parameters + 2 * (len(module.norm1.weight) + len(module.norm2.weight))) + 2 * 8
    assert 0 < result.pruned.unfolded_synops < result.dense.unfolded_synops
    assert len(result.history) == FINE_TUNE.epochs


def test_the_change_of_accuracy_is_counted_on_the_same_samples(result: CompressResult, data: Dataset) -> None:
    record = result.record("runs/2")
    samples, change = len(data.test), record.change
    assert record.samples == samples
    assert change.gained - change.lost == round(samples * (result.pruned.accuracy - result.dense.accuracy))
    before, after = (
        predict(module, data.test.images, data.coding) == data.test.labels for module in (network(), result.module)
    )
    assert (change.gained, change.lost) == (np.sum(after & ~before), np.sum(before & ~after))
    low, high = result.pruned.accuracy_interval
    assert low < result.pruned.accuracy < high
    chance = np.unique(data.test.labels, return_counts=True)[1].max() / samples
    assert bool(record.warnings) == (low <= chance)


def test_without_fine_tuning_the_network_is_as_it_was_cut(data: Dataset) -> None:
    given = network()
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    result = compress(given, data, CompressSettings(0.4, regeneration=0.1))
    assert result.pruned == result.cut and result.history == ()
    assert all(torch.equal(before[name], tensor) for name, tensor in given.state_dict().items())
    assert given.training
    columns = torch.from_numpy(np.flatnonzero(result.kept["conv1"]))
    assert torch.equal(result.module.conv1.weight, given.conv1.weight[columns])


def test_the_cost_after_the_cut_is_separate_from_the_one_at_the_end(result: CompressResult, data: Dataset) -> None:
    untuned = compress(network(), data, replace(result.before.settings, fine_tune=None))
    assert result.cut == untuned.pruned
    assert result.cut.flops == result.pruned.flops


def test_slimming_is_the_same_with_nothing_regenerated(data: Dataset) -> None:
    slimming = compress(network(), data, CompressSettings(0.5, "slimming"))
    nothing = compress(network(), data, CompressSettings(0.5, "criticality", regeneration=0.0))
    assert all(np.array_equal(slimming.kept[name], mask) for name, mask in nothing.kept.items())
    assert all(width.regenerated == 0 for width in slimming.layers)
    scales = network().norm2.weight.detach().numpy()
    kept = slimming.kept["conv2"]
    assert scales[kept].min() > scales[~kept].max()


def test_criticality_regenerates_its_share_of_the_channels_that_stay(result: CompressResult) -> None:
    stay = sum(width.after for width in result.layers)
    assert sum(width.regenerated for width in result.layers) == int(stay * 0.2)


def test_scoring_tells_how_far_it_is(data: Dataset) -> None:
    calls: list[tuple[str, int, int]] = []
    compress(
        network(), data, CompressSettings(0.5), lambda task, done, total, **figures: calls.append((task, done, total))
    )
    assert calls == [("criticality", 96, 96)]


def test_a_slimmed_network_comes_back_from_its_checkpoint(data: Dataset, tmp_path: Path) -> None:
    layers = [{"conv": 24}, {"pool": "average"}, {"conv": 40}, {"linear": 12}]
    recipe = parse_recipe({"name": "r", "title": "t", "data": data.name, "steps": 3, "layers": layers}, "recipe r")
    result = compress(build(recipe, data.input_shape, 3, seed=1), data, CompressSettings(0.5, fine_tune=FINE_TUNE))
    save_checkpoint(tmp_path, result.module, recipe, facts_of(data), FINE_TUNE, result.history)
    checkpoint = load_checkpoint(tmp_path)
    assert {width.name: width.after for width in result.layers}.items() <= checkpoint.widths.items()
    again = restore(checkpoint).eval()
    images, labels = data.test.images, data.test.labels
    assert measure_accuracy(again, images, labels, data.coding) == result.pruned.accuracy
    tensors = result.module.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in again.state_dict().items())


def test_a_compression_in_a_folder_leaves_the_whole_run(result: CompressResult, data: Dataset, tmp_path: Path) -> None:
    recipe = parse_recipe(
        {"name": "r", "title": "t", "data": data.name, "steps": 3, "layers": [{"conv": 4}]}, "recipe r"
    )
    before = (EpochRecord(1, 1.5, 0.4, 0.5, 0.001, 2.0),)
    save_checkpoint(tmp_path / "dense", network(), recipe, facts_of(data), FINE_TUNE, before)
    with pytest.raises(
        InputError, match="a compression that is kept must say which run is pruned: pass source, its fol"
    ):
        compress(network(), data, result.before.settings, folder=tmp_path / "slim")
    for fine_tune, epochs in ((FINE_TUNE, FINE_TUNE.epochs), (None, 0)):
        folder = tmp_path / f"slim-{epochs}"
        settings = replace(result.before.settings, fine_tune=fine_tune)
        kept = compress(network(), data, settings, folder=folder, source=tmp_path / "dense")
        checkpoint, record = load_checkpoint(folder), load_compress_record(folder)
        assert record == kept.record(str(folder)) and record.source == str(tmp_path / "dense")
        assert checkpoint.history == (*before, *kept.history) and len(kept.history) == epochs
        assert all(torch.equal(kept.module.state_dict()[name], tensor) for name, tensor in checkpoint.tensors.items())
        assert not (folder / "training.safetensors").exists()


@pytest.mark.parametrize("kind", ["td", "preact", "depthwise"])
def test_slimmed_blocks_come_back_from_their_checkpoint_too(kind: str, data: Dataset, tmp_path: Path) -> None:
    if kind == "depthwise":
        layers: list[dict[str, object]] = [{"conv": 40}, {"depthwise": 3}, {"conv": 40, "kernel": 1}]
    else:
        layers = [{"conv": 16}, *[{"block": kind, "channels": 40, "repeat": 2}]]
    recipe = parse_recipe({"name": "r", "title": "t", "data": data.name, "steps": 3, "layers": layers}, "recipe r")
    result = compress(build(recipe, data.input_shape, 3, seed=1), data, CompressSettings(0.6))
    share = result.pruned.flops / result.dense.flops
    assert share == result.targets[0].reached and abs(share - 0.6) <= 0.01
    save_checkpoint(tmp_path, result.module, recipe, facts_of(data), FINE_TUNE, result.history)
    checkpoint = load_checkpoint(tmp_path)
    assert {width.name: width.after for width in result.layers}.items() <= checkpoint.widths.items()
    frames = torch.rand(8, *data.input_shape)
    with torch.no_grad():
        assert torch.equal(restore(checkpoint)(frames), result.module(frames))


def test_channels_that_code_picks_out_are_left_alone(data: Dataset) -> None:
    class Picking(Wide):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            x = self.norm1(self.conv1(frames.unsqueeze(0).repeat(3, 1, 1, 1, 1)))
            x = self.fire1(torch.cat([x[:, :, 12:], x[:, :, :12]], 2))
            return self.output(self.linear(self.fire2(self.norm2(self.conv2(x))).flatten(2))).mean(0)

    result = compress(Picking(), data, CompressSettings(0.7))
    assert [width.name for width in result.layers] == ["conv2"]
    assert (result.before.prunable, result.before.total) == (40, 24 + 24 + 40 + 3)


def test_the_table_fits_80_columns_and_shows_every_figure(result: CompressResult) -> None:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(render(result.record("run")))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    dense, slim = result.dense, result.pruned
    for shown in (
        f"Pruned by criticality to {result.targets[0].reached:.1%} of the FLOPs",
        f"{dense.accuracy:.2%}", f"{slim.accuracy:.2%}", "before fine-tuning", f"{result.cut.accuracy:.2%}",
        f"{dense.flops / 1e3:.4g} k", f"{slim.parameters / 1e3:.4g} k", f"{slim.bytes / 1e3:.4g} kB", "unfolded SynOps",
        "conv1", "conv2", "regenerated", "64 of the 67 channels of all layers are prunable",
    ):  # fmt: skip
        assert shown in text
    for width in result.layers:
        assert any(
            line.split()[1::2][:3] == [width.name, str(width.before), str(width.after)] for line in text.splitlines()
        )


def test_a_network_without_scales_is_refused(data: Dataset) -> None:
    sentence = (
        "Wide has no channels that can be removed: pruning takes those of a convolution (not grouped) or linear layer "
        "with a weight of its own, followed by neurons and another such layer, where a BatchNorm in between has a "
        "scale, and with no addition, product or number by channel in between"
    )
    with pytest.raises(InputError) as caught:
        compress(network(affine=False), data, CompressSettings(0.5))
    assert str(caught.value) == sentence


def test_a_network_that_writes_its_widths_into_its_code_is_refused(data: Dataset) -> None:
    with pytest.raises(
        InputError, match=r"Wide does not run with fewer channels \(.*\): let its forward method take sizes"
    ):
        compress(network(rigid=True), data, CompressSettings(0.5))


def test_a_network_that_cannot_be_traced_is_refused_before_any_work(data: Dataset) -> None:
    module = network()
    module.fire1 = neuron.QIFNode(step_mode="m")
    calls: list[str] = []
    with pytest.raises(UnsupportedNetwork, match="layer fire1"):
        compress(module, data, CompressSettings(0.5), lambda task, *_, **__: calls.append(task))
    assert calls == []
