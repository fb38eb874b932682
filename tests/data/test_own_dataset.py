"""A data set of one's own: an object with a name and a function that finds its files goes wherever a name goes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroprune.compression.compress import compress
from neuroprune.compression.settings import CompressSettings
from neuroprune.data.catalog import DATASETS, DatasetInfo
from neuroprune.data.load import load_dataset
from neuroprune.data.types import Augmentation, Split
from neuroprune.errors import InputError
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.training.checkpoint import load_checkpoint
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import train


def find_stripes(folder: Path, steps: int | None) -> tuple[Split, Split] | None:
    """Arrays in one file of numpy's."""
    file = folder / "stripes.npz"
    if not file.is_file():
        return None
    arrays = np.load(file)
    return Split(arrays["train"], arrays["train_labels"]), Split(arrays["test"], arrays["test_labels"])


def find_moving(folder: Path, steps: int | None) -> tuple[Split, Split] | None:
    """Random recordings, made when they are asked for."""
    assert steps is not None
    counts = np.ones((6, steps, 2, 4, 4), np.uint8)
    return Split(counts, np.arange(6) % 2), Split(counts[:2], np.arange(2))


STRIPES = DatasetInfo("stripes", "across or down", (1, 6, 6), 80, 20, ("across", "down"), Augmentation(1), find_stripes)
MOVING = DatasetInfo("moving", "dots", (2, 4, 4), 6, 2, ("left", "right"), Augmentation(), find_moving, recordings=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 60, (100, 1, 6, 6), dtype=np.uint8), np.arange(100) % 2
    images[labels == 0, :, ::2] = 255
    images[labels == 1, :, :, ::2] = 255
    np.savez(
        tmp_path / "stripes.npz",
        train=images[:80],
        train_labels=labels[:80],
        test=images[80:],
        test_labels=labels[80:],
    )
    return tmp_path


def test_a_data_set_of_ones_own_is_loaded_trained_on_kept_and_pruned_with(folder: Path) -> None:
    data = load_dataset(STRIPES, folder)
    assert (data.name, data.classes, data.augmentation, data.input_shape) == (
        "stripes",
        ("across", "down"),
        Augmentation(1),
        (1, 6, 6),
    )
    layers = [{"conv": 40}, {"pool": "average"}, {"conv": 40}]
    recipe = parse_recipe({"name": "r", "title": "t", "data": "stripes", "steps": 2, "layers": layers}, "recipe r")
    settings = TrainSettings(epochs=10, batch=20, lr=0.02, device="cpu")
    result = train(build(recipe, data.input_shape, 2), data, settings, folder / "run", recipe)
    assert result.history[-1].test_accuracy > 0.9
    assert load_checkpoint(folder / "run").data.name == "stripes"
    assert compress(result.module, data, CompressSettings(0.6, "slimming")).pruned.flops > 0


def test_images_of_ones_own_are_coded_and_recordings_have_their_steps(folder: Path) -> None:
    assert load_dataset(STRIPES, folder, coding="latency", steps=5).coding.steps == 5
    assert load_dataset(MOVING, folder, steps=3).train.images.shape == (6, 3, 2, 4, 4)
    with pytest.raises(InputError, match="moving is recorded in events, which are binned to T frames, but T is None"):
        load_dataset(MOVING, folder)


def test_files_of_ones_own_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_dataset(STRIPES, tmp_path)
    said = (
        f"data set stripes was not found in {tmp_path}: name the folder of its files with --data-dir or NEUROPRUNE_DATA"
    )
    assert str(caught.value) == said
    with pytest.raises(
        InputError, match=r"in .*; it consists of stripes\.npz: get them from a friend and name the fold"
    ):
        load_dataset(replace(STRIPES, files="stripes.npz", source="a friend"), tmp_path)


def test_each_data_set_of_the_catalogue_has_a_way_to_be_found_of_its_own() -> None:
    assert len({info.find for info in DATASETS}) == len(DATASETS) == 11
