"""Importance through fine-tuning: what is noted of which channel, by hand and in a compression that is killed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from channel_pruning import Small, small_network, stripes
from torch import nn

from neuroprune.compression.compress import compress, resume_compress
from neuroprune.compression.settings import CompressSettings
from neuroprune.data.coding import frames_of
from neuroprune.experiment.importance import ImportanceLog
from neuroprune.experiment.plots.importance import Survivors
from neuroprune.experiment.record import IMPORTANCE, load_importance
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.training.checkpoint import facts_of, load_checkpoint, restore, save_checkpoint
from neuroprune.training.observer import Observer, Step
from neuroprune.training.settings import TrainSettings

SETTINGS = CompressSettings(0.5, method="slimming", fine_tune=TrainSettings(epochs=3, batch=16, lr=0.02, device="cpu"))


def log(folder: Path) -> ImportanceLog:
    data = stripes()
    return ImportanceLog(folder, torch.from_numpy(frames_of(data.train.images[:1], data.coding)), "gather")


class Scales(Observer):
    """All |gamma| at the start of each epoch."""

    def __init__(self) -> None:
        self.begins: list[dict[str, np.ndarray]] = []

    def before_forward(self, step: Step) -> None:
        if step.begins_epoch:
            module = step.run.module
            norms = {"conv1": module.norm1, "conv2": module.norm2}
            self.begins.append({name: norm.weight.detach().double().abs().numpy() for name, norm in norms.items()})


def test_the_scales_of_each_epoch_are_noted_in_mean_channels(tmp_path: Path) -> None:
    watch = Scales()
    result = compress(small_network(), stripes(), SETTINGS, observers=(log(tmp_path), watch))
    layers = load_importance(tmp_path / IMPORTANCE).layers
    final = {"conv1": result.module.norm1, "conv2": result.module.norm2}
    ends = {name: norm.weight.detach().double().abs().numpy() for name, norm in final.items()}
    for epoch, scales in enumerate([*watch.begins, ends]):
        mean = np.concatenate(list(scales.values())).mean()
        for name, expected in scales.items():
            assert layers[name][epoch] == pytest.approx(expected / mean)
    assert {name: len(rows) for name, rows in layers.items()} == {"conv1": 4, "conv2": 4}
    assert {layer.name: layer.kept for layer in result.layers} == {
        name: tuple(np.flatnonzero(mask)) for name, mask in result.kept.items()
    }


def test_watching_changes_no_number(tmp_path: Path) -> None:
    plain = compress(small_network(), stripes(), SETTINGS).module.state_dict()
    watched = compress(small_network(), stripes(), SETTINGS, observers=(log(tmp_path),)).module.state_dict()
    assert all(torch.equal(tensor, watched[name]) for name, tensor in plain.items())


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_a_killed_compression_goes_on_to_the_same_log(epochs: int, tmp_path: Path, recipe_run: Path) -> None:
    data, dense = stripes(), recipe_run

    def run(folder: Path, stop: int | None = None) -> None:
        def interrupt(task: str, done: int, total: int, **_: object) -> None:
            if task == "training" and stop is not None and done > stop:
                raise KeyboardInterrupt

        module: nn.Module = restore(load_checkpoint(dense))
        compress(module, data, SETTINGS, interrupt, observers=(log(folder),), folder=folder, source=dense)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole)
    per_epoch = len(data.train) // 16
    with pytest.raises(KeyboardInterrupt):
        run(broken, epochs * per_epoch + 1)
    checkpoint = load_checkpoint(broken)
    resume_compress(restore(checkpoint), data, broken, checkpoint, observers=(log(broken),))
    assert (whole / IMPORTANCE).read_bytes() == (broken / IMPORTANCE).read_bytes()


@pytest.fixture
def recipe_run(tmp_path: Path) -> Path:
    """A run whose network is rebuilt from a recipe."""
    values = {
        "name": "r",
        "title": "t",
        "data": "stripes",
        "steps": 2,
        "layers": [{"conv": 24}, {"conv": 40}, {"linear": 12}],
    }
    recipe = parse_recipe({**values, "neuron": {"v_threshold": 0.4}}, "recipe r")
    data, folder = stripes(), tmp_path / "dense"
    network = build(recipe, data.input_shape, len(data.classes), 0)
    save_checkpoint(folder, network, recipe, facts_of(data), TrainSettings(epochs=1), ())
    return folder


def test_what_one_alone_kept_by_hand() -> None:
    common = np.array([[7.0], [8.0]])
    scales = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    first = Survivors({"a": (0, 2, 5), "b": (1,)}, {"a": scales, "b": common})
    other = Survivors({"a": (2, 3), "b": (1,)}, {"a": np.array([[1.0, 9.0], [1.0, 10.0]]), "b": common})
    # `first` alone has 0 and 5 of a; `other` alone has 3 of a.
    assert np.array_equal(first.apart_from(other), [2.0, 5.0])
    assert np.array_equal(other.apart_from(first), [9.0, 10.0])
    assert first.apart_from(first) is None
    assert Survivors({}, {}).apart_from(first) is None


def test_a_network_without_scales_has_an_empty_log(tmp_path: Path) -> None:
    class Plain(Small):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.Identity(), nn.Identity()

    settings = CompressSettings(0.5, method="uniform", score="l1", fine_tune=SETTINGS.fine_tune)
    compress(Plain(), stripes(), settings, observers=(log(tmp_path),))
    assert load_importance(tmp_path / IMPORTANCE).layers == {}
