"""Codings: exact where they are exact, with the right odds where they are drawn, the same whatever the batch."""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based.encoding import LatencyEncoder

from neuroprune.data.coding import CodedFrames, encode, frames_of, time_first
from neuroprune.data.types import Coding

RNG = np.random.default_rng(0)
POISSON = Coding((0.0,), (255.0,), "poisson", 9)


def images(count: int = 6, shape: tuple[int, int, int] = (1, 5, 7)) -> np.ndarray:
    return RNG.integers(0, 256, (count, *shape), dtype=np.uint8)


def test_direct_frames_are_normalised_a_channel_at_a_time():
    pixels = images(20, (3, 8, 6))
    mean, std = (12.345, 99.9, 200.1), (3.3, 77.7, 0.123)
    frames = frames_of(pixels, Coding(mean, std))
    assert frames.dtype == np.float32
    centred = pixels.astype(np.float32) - np.array(mean, np.float32)[:, None, None]
    assert np.array_equal(frames, centred / np.array(std, np.float32)[:, None, None])


@pytest.mark.parametrize("steps", [1, 2, 5, 8, 20])
def test_latency_spikes_are_those_of_spikingjelly_but_black_never_fires(steps):
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    frames = frames_of(pixels, Coding((0.0,), (255.0,), "latency", steps))
    assert frames.shape == (1, steps, 1, 16, 16) and frames.dtype == np.float32
    encoder, x = LatencyEncoder(steps), torch.from_numpy(pixels).float() / 255
    expected = torch.stack([encoder(x) for _ in range(steps)], dim=1).numpy()
    expected[..., 0, 0] = 0
    assert np.array_equal(frames, expected)
    assert np.array_equal(frames.sum(1), pixels > 0)


def test_poisson_spikes_have_the_odds_of_the_brightness():
    pixels = np.tile(np.array([0, 1, 51, 128, 204, 254, 255], np.uint8), (2000, 1)).reshape(2000, 1, 1, 7)
    generator = torch.Generator().manual_seed(3)
    frames = encode(torch.from_numpy(pixels), POISSON, generator).numpy()
    assert set(np.unique(frames)) == {0.0, 1.0}
    odds = pixels[0, 0, 0] / 255
    draws = 2000 * 9
    assert (np.abs(frames.mean((0, 1, 2, 3)) - odds) <= 4 * np.sqrt(odds * (1 - odds) / draws)).all()


def test_steps_and_pixels_of_poisson_spikes_are_independent():
    pixels = np.full((1, 1, 40, 40), 128, np.uint8)
    spikes = frames_of(pixels, Coding((0.0,), (255.0,), "poisson", 50))[0, :, 0].reshape(50, -1)
    assert abs(np.corrcoef(spikes[:-1].ravel(), spikes[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(spikes[:, :-1].ravel(), spikes[:, 1:].ravel())[0, 1]) < 0.02


def test_evaluation_gives_an_image_the_same_spikes_in_every_batch():
    pixels = images()
    whole = frames_of(pixels, POISSON)
    one_by_one = [frames_of(pixels[index : index + 1], POISSON) for index in range(len(pixels))]
    assert np.array_equal(whole, np.concatenate(one_by_one))
    assert not np.array_equal(*frames_of(np.stack([pixels[0], pixels[0] ^ 1]), Coding((0.0,), (510.0,), "poisson", 9)))


@pytest.mark.parametrize(
    ("shape", "coding"),
    [
        ((3, 5, 7), Coding((1.0, 2.0, 3.0), (3.0, 2.0, 1.0))),
        ((1, 5, 7), POISSON),
        ((1, 5, 7), Coding((0.0,), (255.0,), "latency", 4)),
        ((6, 2, 5, 7), Coding((0.0, 0.0), (1.0, 1.0), "direct", 6)),
    ],
    ids=["direct", "poisson", "latency", "events"],
)
def test_frames_that_are_coded_when_they_are_taken_are_those_of_all_images(shape, coding):
    pixels = RNG.integers(0, 256, (7, *shape), dtype=np.uint8)
    whole, lazy = frames_of(pixels, coding), CodedFrames(pixels, coding)
    assert (len(lazy), lazy.shape) == (7, whole.shape)
    for chosen in (slice(0, 3), slice(3, 99), slice(2, 2), slice(None)):
        assert lazy[chosen].dtype == np.float32 and np.array_equal(lazy[chosen], whole[chosen])


def test_training_draws_from_the_generator():
    pixels = torch.from_numpy(images())
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    once = encode(pixels, POISSON, first)
    assert torch.equal(once, encode(pixels, POISSON, second))
    assert not torch.equal(once, encode(pixels, POISSON, first))


@pytest.mark.parametrize("kind", ["poisson", "latency"])
def test_brighter_than_bright_is_bright(kind):
    frames = frames_of(np.array([[[[255, 16]]]], np.uint8), Coding((0.0,), (16.0,), kind, 4))
    assert np.array_equal(frames[..., 0], frames[..., 1])


def test_networks_take_the_steps_first():
    sequences = torch.arange(24).reshape(2, 3, 1, 2, 2)
    assert torch.equal(time_first(sequences)[2, 1], sequences[1, 2])
    assert time_first(sequences[:, 0]).shape == (2, 1, 2, 2)
