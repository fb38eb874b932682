"""Data sets: their shapes are checked, their figures measured on the training split."""

import numpy as np
import pytest

from neuroprune.data.coding import frames_of
from neuroprune.data.types import Coding, Split, make_dataset, pixel_statistics
from neuroprune.errors import InputError


def split(count: int = 4, shape: tuple[int, ...] = (1, 2, 2), labels: object = None) -> Split:
    pixels = np.arange(count * int(np.prod(shape)), dtype=np.uint8).reshape(count, *shape)
    return Split(pixels, np.zeros(count, np.int64) if labels is None else np.asarray(labels))


def test_splits_are_read_only_copies():
    pixels = np.zeros((1, 1, 2, 2), np.uint8)
    made = Split(pixels, np.zeros(1, np.int64))
    pixels[:] = 9
    assert made.images.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        made.images[0] = 1


def test_statistics_are_those_of_numpy_for_each_channel():
    images = np.random.default_rng(0).integers(0, 256, (2500, 3, 5, 4), dtype=np.uint8)
    mean, std = pixel_statistics(images)
    assert np.allclose(mean, images.mean((0, 2, 3)), rtol=1e-12)
    assert np.allclose(std, images.std((0, 2, 3)), rtol=1e-12)


def test_training_frames_normalise_to_mean_0_and_deviation_1():
    data = make_dataset("x", split(40), split(2), ("a",))
    frames = frames_of(data.train.images, data.coding)
    assert frames.dtype == np.float32
    assert abs(frames.mean()) < 1e-6
    assert abs(frames.std() - 1) < 1e-6


@pytest.mark.parametrize("kind", ["poisson", "latency"])
def test_the_brightest_training_pixel_is_full_brightness_of_coded_images(kind):
    data = make_dataset("x", split(2, (2, 3, 4)), split(4, (2, 3, 4)), ("a",), coding=kind, steps=5)
    assert data.coding == Coding((0.0, 0.0), (47.0, 47.0), kind, 5)
    black = Split(np.zeros((1, 1, 2, 2)), np.zeros(1))
    assert make_dataset("x", black, black, ("a",), coding=kind, steps=5).coding.std == (1.0,)


def test_event_counts_stay_as_they_are():
    data = make_dataset("x", split(3, (6, 2, 4, 5)), split(2, (6, 2, 4, 5)), ("a",))
    assert data.input_shape == (2, 4, 5)
    assert data.coding == Coding((0.0, 0.0), (1.0, 1.0), "direct", 6)
    frames = frames_of(data.train.images, data.coding)
    assert frames.dtype == np.float32 and np.array_equal(frames, data.train.images)


def test_a_channel_that_never_changes_normalises_to_zeros():
    images = np.full((3, 1, 2, 2), 7, np.uint8)
    mean, std = pixel_statistics(images)
    assert (mean, std) == ((7.0,), (1.0,))
    assert not frames_of(images, Coding(mean, std)).any()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Split(np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64)),
            r"images of shape \(2, 4, 4\) and labels of shape \(2,\), but needs \[N, C, H, W\] or .*: reshape",
        ),
        (
            lambda: make_dataset("x", split(), split(shape=(1, 3, 3)), ("a",)),
            r"data set x has training frames of \(1, 2, 2\) and test frames of \(1, 3, 3\); both need one .* check",
        ),
        (
            lambda: make_dataset("x", split(), split(0), ("a",)),
            "data set x has no test samples, but needs at least 1: fetch",
        ),
        (
            lambda: make_dataset("x", split(labels=[0, 1, 2, 0]), split(), ("a", "b")),
            "data set x has training labels from 0 to 2, but its 2 classes are numbered 0 to 1: check",
        ),
        (
            lambda: make_dataset("x", split(shape=(3, 1, 2, 2)), split(shape=(3, 1, 2, 2)), ("a",), coding="poisson"),
            "data set x is recorded in events, which are spikes already and cannot be coded as poisson ones: take",
        ),
        (
            lambda: make_dataset("x", split(), split(), ("a",), coding="latency"),
            "the coding latency has no number of time steps, but needs at least 1: give a number with --steps",
        ),
        (lambda: Coding((0.0,), (1.0,), "direct", 0), "the coding direct has 0 time steps, but needs at least 1: give"),
        (
            lambda: Coding((0.0,), (1.0,), "morse", 3),
            "there is no coding 'morse': choose one of direct, poisson, latency",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
