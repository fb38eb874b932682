"""Every method from start to end on its smallest network: its target is met, masks hold, and a kill loses nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from channel_pruning import outcome, stripes
from torch import nn

from neuroprune.compression.catalog import METHODS, methods_of
from neuroprune.compression.compress import compress, resume_compress
from neuroprune.compression.masks import count_kept
from neuroprune.compression.record import load_compress_record
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.weights import prunable_weights
from neuroprune.data.types import Dataset
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import Recipe, parse_recipe
from neuroprune.runs import STATE
from neuroprune.training.checkpoint import facts_of, load_checkpoint, restore, save_checkpoint
from neuroprune.training.settings import TrainSettings

TRAIN = TrainSettings(epochs=2, batch=16, lr=5e-3, device="cpu")
LAYERS = [{"conv": 24}, {"conv": 44}, {"linear": 12}]
CASES = [(kind, method.name) for kind in ("structured", "unstructured") for method in methods_of(kind)]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return stripes()


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    neuron = {"v_threshold": 0.4}
    values = {"name": "r", "title": "t", "data": "stripes", "steps": 2, "layers": LAYERS, "neuron": neuron}
    return parse_recipe(values, "recipe r")


@pytest.fixture(scope="module")
def source(recipe: Recipe, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to prune, of other weights than the initial ones."""
    folder = tmp_path_factory.mktemp("runs") / "dense"
    save_checkpoint(folder, network(recipe, data, seed=1), recipe, facts_of(data), TRAIN, ())
    return folder


def network(recipe: Recipe, data: Dataset, seed: int) -> nn.Module:
    made = build(recipe, data.input_shape, len(data.classes), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.2, 1.5)
    return made.eval()


def settings_for(kind: str, method: str) -> CompressSettings:
    target = {"flops": 0.5} if kind == "structured" else {"sparsity": 0.8}
    return CompressSettings(**target, method=method, fine_tune=TRAIN)


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_method_meets_its_target_and_a_killed_one_goes_on_to_the_same_bytes(
    kind: str, method: str, recipe: Recipe, data: Dataset, source: Path, tmp_path: Path
) -> None:
    settings = settings_for(kind, method)
    dense = restore(load_checkpoint(source))

    def run(name: str, progress: Callable[..., None]) -> None:
        compress(
            dense, data, settings, progress, initial=network(recipe, data, 2), folder=tmp_path / name, source=source
        )

    calls: list[int] = []
    run("whole", lambda *_, **__: calls.append(1))
    tensors, record = outcome(tmp_path / "whole")
    (target,) = record["targets"]
    if kind == "structured":
        assert abs(target["reached"] - 0.5) <= 0.01
        assert record["pruned"]["flops"] / record["dense"]["flops"] == pytest.approx(target["reached"])
    else:
        module = restore(load_checkpoint(tmp_path / "whole"))
        weights = prunable_weights(module, trace(module, torch.zeros(1, *data.input_shape)))
        total = sum(module.get_parameter(weight.parameter).numel() for weight in weights)
        kept = sum(layer["after"] for layer in record["layers"])
        assert kept == count_kept(total, 0.8)
        living = sum(int(module.get_parameter(weight.parameter).count_nonzero()) for weight in weights)
        assert 0.5 * kept < living <= kept

    for number, share in enumerate((0.45, 0.9)):
        stop, seen = int(share * len(calls)), []

        def interrupted(*_: object, stop: int = stop, seen: list[int] = seen, **__: object) -> None:
            seen.append(1)
            if len(seen) == stop:
                raise KeyboardInterrupt

        folder = tmp_path / str(number)
        with pytest.raises(KeyboardInterrupt):
            run(str(number), interrupted)
        assert (folder / STATE).exists()
        checkpoint = load_checkpoint(folder)
        resume_compress(restore(checkpoint), data, folder, checkpoint, {"method": method}, {})
        assert outcome(folder) == (tensors, record)
        assert not (folder / STATE).exists()


def test_every_method_of_the_catalogue_is_among_the_cases() -> None:
    assert {method for _, method in CASES} == {method.name for method in METHODS}


def test_two_runs_of_one_seed_are_the_same_and_of_two_seeds_are_not(recipe: Recipe, data: Dataset) -> None:
    def pruned(seed: int) -> dict[str, torch.Tensor]:
        settings = replace(settings_for("unstructured", "random"), fine_tune=replace(TRAIN, seed=seed))
        return compress(network(recipe, data, 1), data, settings, initial=network(recipe, data, 2)).module.state_dict()

    first, second, other = pruned(3), pruned(3), pruned(4)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not all(torch.equal(tensor, other[name]) for name, tensor in first.items())


def test_a_record_of_single_weights_says_how_each_pruning_went(recipe: Recipe, data: Dataset, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "dense", network(recipe, data, 1), recipe, facts_of(data), TRAIN, ())
    compress(
        network(recipe, data, 1),
        data,
        replace(settings_for("unstructured", "criticality"), interval=2, prune_epochs=2),
        initial=network(recipe, data, 2),
        folder=tmp_path / "sparse",
        source=tmp_path / "dense",
    )
    record = load_compress_record(tmp_path / "sparse")
    assert [step.iteration for step in record.survival] == [1, 3, 5, 7, 9, 11]
    assert record.survival[-1].sparsity == pytest.approx(0.8)
    assert all(0 < step.rescued <= step.cut for step in record.survival[1:])
    assert record.cut is None and record.strategy.regeneration == 0.5
    classifier = record.layers[-1]
    assert classifier.regenerated == 0 and sum(layer.regenerated for layer in record.layers) > 0
