"""Algorithms of one's own under `compress`: recorded by their names, resumed, and held to what they promise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from channel_pruning import outcome
from rich.console import Console
from torch import nn

from neuroprune.compression.catalog import METHODS
from neuroprune.compression.compress import compress, resume_compress
from neuroprune.compression.pruning import ChannelPruning, WeightPruning
from neuroprune.compression.record import load_compress_record
from neuroprune.compression.search import Selection
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.table import render
from neuroprune.data.types import Dataset, Split, make_dataset
from neuroprune.errors import InputError
from neuroprune.experiment.plan import parse_plan
from neuroprune.experiment.trials import trials_of
from neuroprune.networks.build import build
from neuroprune.networks.recipe import Recipe, parse_recipe
from neuroprune.training.checkpoint import facts_of, load_checkpoint, restore, save_checkpoint
from neuroprune.training.observer import ObserverState, Step
from neuroprune.training.settings import TrainSettings

TRAIN = TrainSettings(epochs=2, batch=16, lr=5e-3, device="cpu")
RECIPE: Recipe = parse_recipe(
    {"name": "r", "title": "t", "data": "noise", "steps": 2, "layers": [{"conv": 24}, {"conv": 40}]}, "recipe r"
)


@pytest.fixture(scope="module")
def data() -> Dataset:
    generator = np.random.default_rng(0)
    train, test = (
        Split(generator.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8), np.arange(count) % 3) for count in (96, 48)
    )
    return make_dataset("noise", train, test, ("a", "b", "c"))


@pytest.fixture
def source(data: Dataset, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "dense", network(data), RECIPE, facts_of(data), TRAIN, ())
    return tmp_path / "dense"


def network(data: Dataset) -> nn.Module:
    return build(RECIPE, data.input_shape, len(data.classes), seed=1)


class Loudest(ChannelPruning):
    """The channels whose scales had the largest gradients, summed over a training of its own."""

    def __init__(self, job: Any) -> None:
        super().__init__(job)
        self.sum = torch.zeros(sum(group.channels for group in job.groups))

    def after_backward(self, step: Step) -> None:
        named = dict(step.run.module.named_parameters())
        self.sum += torch.cat([named[f"{norm}.weight"].grad.abs() for g in self.job.groups for norm in g.norms])

    def choose(self) -> Selection:
        return self.search(self.sum.double().numpy())

    def state(self) -> ObserverState:
        return ObserverState({"sum": self.sum})

    def restore(self, state: ObserverState) -> None:
        self.sum = state.tensors["sum"]


class ByEpoch(WeightPruning):
    """At the end of each epoch of pruning, the weights of largest |w dL/dw|."""

    def prune(self, step: Step) -> None:
        epochs = self.job.strategy.prune_epochs
        if step.ends_epoch and step.epoch < epochs:
            scores = {name: (each * each.grad).detach().abs() for name, each in self.parameters.items()}
            self.cut_to(self.sparsity * (step.epoch + 1) / epochs, step.iteration, scores)


STRUCTURED = CompressSettings(0.5, "own", prune_epochs=2, fine_tune=TRAIN)
UNSTRUCTURED = CompressSettings(sparsity=0.8, method="own", prune_epochs=2, fine_tune=TRAIN)
CASES = [(Loudest, STRUCTURED), (ByEpoch, UNSTRUCTURED)]


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_a_killed_one_goes_on_to_the_same_bytes_under_its_name(
    kind: Any, settings: CompressSettings, data: Dataset, source: Path, tmp_path: Path
) -> None:
    def run(name: str, progress: Callable[..., None]) -> None:
        folder = tmp_path / name
        compress(network(data), data, settings, progress, algorithm=kind, folder=folder, source=source)

    calls: list[int] = []
    run("whole", lambda *_, **__: calls.append(1))
    tensors, record = outcome(tmp_path / "whole")
    assert (record["strategy"]["method"], record["strategy"]["algorithm"]) == (kind.__name__, "own")
    (target,) = record["targets"]
    assert target["reached"] == pytest.approx(target["asked"], abs=0.01)
    for share in (0.4, 0.9):
        stop, seen, folder = int(share * len(calls)), list[int](), tmp_path / str(share)

        def interrupted(*_: object, stop: int = stop, seen: list[int] = seen, **__: object) -> None:
            seen.append(1)
            if len(seen) == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(str(share), interrupted)
        checkpoint = load_checkpoint(folder)
        for other in (None, type("Other", (kind,), {})):
            if share < 0.5:
                sentence = (
                    "method own is an algorithm of your own, but none is given: pass it to compress, as algorithm"
                    if other is None
                    else f"started with the algorithm {kind.__name__}, but resuming passes Other: pass the same one"
                )
                with pytest.raises(InputError, match=sentence):
                    resume_compress(restore(checkpoint), data, folder, checkpoint, {}, {}, algorithm=other)
        resume_compress(restore(checkpoint), data, folder, checkpoint, {}, {}, algorithm=kind)
        assert outcome(folder) == (tensors, record)


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_the_table_names_its_class_and_claims_no_method_of_the_catalogue(
    kind: Any, settings: CompressSettings, data: Dataset, source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pruned"
    compress(network(data), data, settings, algorithm=kind, folder=folder, source=source)
    console = Console(width=90)
    with console.capture() as capture:
        console.print(render(load_compress_record(folder)))
    shown = capture.get()
    assert f"Pruned by {kind.__name__} to" in shown and f"{kind.__name__} is an algorithm of one's own" in shown
    assert not any(f" {method.name} " in shown for method in METHODS) and "score" not in shown


def test_what_a_selection_made_by_hand_leaves_is_measured(data: Dataset) -> None:
    class EveryOther(ChannelPruning):
        def choose(self) -> Selection:
            kept = {group.name: np.arange(group.channels) % 2 == 0 for group in self.job.groups}
            return Selection(kept, {name: np.zeros_like(mask) for name, mask in kept.items()})

    result = compress(network(data), data, CompressSettings(0.5, "own", params=0.5), algorithm=EveryOther)
    assert [layer.after for layer in result.layers] == [12, 20]
    reached = {target.of: target.reached for target in result.targets}
    assert reached == {
        "flops": result.pruned.flops / result.dense.flops,
        "params": result.pruned.parameters / result.dense.parameters,
    }


@pytest.mark.parametrize(
    ("settings", "kind", "sentence"),
    [
        (CompressSettings(0.5), Loudest, "method criticality and an algorithm of your own cannot both prune: give the"),
        (CompressSettings(0.5, "own"), None, "method own is an algorithm of your own, but none is given: pass it to"),
        (
            CompressSettings(0.5, "own"),
            ByEpoch,
            "ByEpoch prunes single weights, which is not structured: give spar",
        ),
        (UNSTRUCTURED, Loudest, "Loudest prunes whole channels, which is not unstructured: give flops, params or syn"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(
    settings: CompressSettings, kind: Any, sentence: str, data: Dataset
) -> None:
    with pytest.raises(InputError, match=sentence):
        compress(network(data), data, settings, algorithm=kind)


def test_a_training_that_is_told_no_rate_is_a_sentence() -> None:
    with pytest.raises(InputError, match="method own prunes while it trains, but there are 0 epochs of training"):
        CompressSettings(0.5, "own", prune_epochs=2)


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (None, "algorithm Wrong has no mask as kept of stem.conv1: give a mask of bools, one for each of its 24 chan"),
        (np.ones(24), r"algorithm Wrong has float64 in the shape \(24,\) as kept of stem.conv1"),
        (np.ones(23, np.bool_), r"algorithm Wrong has bool in the shape \(23,\) as kept of stem.conv1"),
        (np.zeros(24, np.bool_), "algorithm Wrong keeps 0 of the 24 channels of stem.conv1: keep at least 1"),
    ],
)
def test_a_selection_that_does_not_fit_the_network_is_a_sentence(mask: Any, sentence: str, data: Dataset) -> None:
    class Wrong(ChannelPruning):
        def choose(self) -> Selection:
            kept = {group.name: np.ones(group.channels, np.bool_) for group in self.job.groups}
            nothing = {name: ~each for name, each in kept.items()}
            first = self.job.groups[0].name
            others = {name: each for name, each in kept.items() if name != first}
            return Selection(others if mask is None else {**others, first: mask}, nothing)

    with pytest.raises(InputError, match=sentence):
        compress(network(data), data, CompressSettings(0.5, "own"), algorithm=Wrong)


def test_a_plan_cannot_name_an_algorithm_of_ones_own() -> None:
    variants = {"mine": {"method": "own"}}
    comparison = {"name": "c", "targets": [{"flops": 0.5}], "baseline": "mine", "variants": variants}
    values = {"title": "t", "data": {"name": "digits"}, "networks": ["digits-conv"], "seeds": [0]}
    plan = parse_plan({"name": "p", **values, "comparisons": [comparison]}, "plan p")
    with pytest.raises(InputError, match="there is no pruning method 'own': choose one of criticality, "):
        trials_of(plan)
