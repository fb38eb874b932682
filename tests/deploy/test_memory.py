"""Frames are made a few samples at a time: none of the commands ever asks for those of a whole set."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lava_dl import sample_net
from torch import nn

from neuroprune.arrays import Frames
from neuroprune.compression import channel_scorer
from neuroprune.compression.compress import compress
from neuroprune.compression.settings import CompressSettings
from neuroprune.data import coding as data_coding
from neuroprune.data.coding import CodedFrames, encode
from neuroprune.data.types import Coding, Dataset, Images, Split, make_dataset
from neuroprune.deployment import Deployment
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.pipeline import deploy, deploy_program
from neuroprune.simulation import engine
from neuroprune.simulation.verification import LavaSettings
from neuroprune.training import samples
from neuroprune.training.settings import TrainSettings
from tests.support.reports import measured

SAMPLES, AT_ONCE = 300, 64
NO_LAVA = LavaSettings(samples=0)
RECIPE = {
    "name": "r",
    "title": "t",
    "data": "digits",
    "steps": 5,
    "layers": [{"conv": 6}, {"pool": "average"}, {"conv": 6}, {"linear": 3}],
    "neuron": {"v_threshold": 0.3},
}


class Watched(CodedFrames):
    """Remembers how many samples were asked for at once."""

    def __getitem__(self, samples: slice, /) -> Frames:
        taken.append(len(self.images[samples]))
        return super().__getitem__(samples)


taken: list[int] = []


@pytest.fixture(autouse=True)
def small_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine runs `AT_ONCE` samples of the network below, whose largest layer has 6 x 8 x 8 neurons in 5 steps."""
    taken.clear()
    monkeypatch.setattr(engine, "CPU_BYTES", 4 * 5 * 6 * 8 * 8 * AT_ONCE)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build(parse_recipe(RECIPE, "recipe r"), (1, 8, 8), 3).eval()


def images(shape: tuple[int, ...] = (1, 8, 8)) -> Images:
    return np.random.default_rng(0).integers(0, 256, (SAMPLES, *shape), dtype=np.uint8)


LABELS = np.arange(SAMPLES) % 3
CODING = Coding((0.0,), (255.0,), "poisson", 5)


def same(left: Deployment, right: Deployment) -> bool:
    return measured(left.report) == measured(right.report) and np.array_equal(left.trace.outputs, right.trace.outputs)


def test_a_deployment_takes_a_few_samples_at_a_time_and_measures_what_it_does_of_an_array(
    network: nn.Module, tmp_path: Path
) -> None:
    frames = Watched(images(), CODING)
    calibration = frames[:32]
    taken.clear()
    done = deploy(network, calibration, frames=frames, labels=LABELS, lava=NO_LAVA, folder=tmp_path)
    again = deploy_program(tmp_path / "program.net", frames, LABELS, lava=NO_LAVA)
    assert max(taken) == AT_ONCE
    assert sum(taken) > 3 * SAMPLES
    whole = frames[:]
    assert same(done, deploy(network, calibration, frames=whole, labels=LABELS, lava=NO_LAVA, folder=tmp_path))
    assert same(again, deploy_program(tmp_path / "program.net", whole, LABELS, lava=NO_LAVA))


def test_calibration_frames_may_be_coded_when_they_are_taken(network: nn.Module) -> None:
    frames = CodedFrames(images()[:20], CODING)
    assert same(deploy(network, frames, lava=NO_LAVA), deploy(network, frames[:], lava=NO_LAVA))


def test_a_file_of_lava_dls_is_fitted_to_its_samples_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its input is larger than its layers, and the bytes of the frames decide how many run at once."""
    monkeypatch.setattr(engine, "CPU_BYTES", engine.COPIES * 4 * 5 * 2 * 6 * 5 * AT_ONCE)
    path = sample_net(tmp_path / "trained.net", in_shape=(2, 6, 5))
    frames = Watched(images((5, 2, 6, 5)) // 128, Coding((0.0, 0.0), (1.0, 1.0), "direct", 5))
    done = deploy_program(path, frames, steps=5, lava=NO_LAVA)
    assert max(taken) == AT_ONCE
    assert done.program.input.bits == 0 and done.report.samples == SAMPLES


def test_compression_codes_a_few_images_at_a_time(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def watched(pixels: torch.Tensor, coding: Coding, generator: torch.Generator | None = None) -> torch.Tensor:
        taken.append(len(pixels))
        return encode(pixels, coding, generator)

    data = rate_coded()
    for module in (data_coding, samples):
        monkeypatch.setattr(module, "encode", watched)
    tuning = TrainSettings(epochs=1, batch=50, device="cpu")
    compress(network, data, CompressSettings(flops=0.7, fine_tune=tuning))
    assert max(taken) == channel_scorer.BATCH < SAMPLES
    assert taken.count(50) == SAMPLES // 50


def rate_coded() -> Dataset:
    split = Split(images(), LABELS)
    return make_dataset("noise", split, split, ("a", "b", "c"), coding="poisson", steps=5)
