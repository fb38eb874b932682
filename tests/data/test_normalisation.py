"""Frames as torchvision's ToTensor and Normalize make them, whatever bytes a data set keeps its pixels in."""

from collections.abc import Sequence

import numpy as np
import pytest

from neuroprune.data.coding import frames_of
from neuroprune.data.load import load_dataset
from neuroprune.data.normalisation import normalisation_of, with_normalisation
from neuroprune.data.types import Coding, Dataset, Split, make_dataset
from neuroprune.errors import InputError

CIFAR = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def photographs(channels: int = 3) -> Dataset:
    images = np.random.default_rng(0).integers(0, 200, (12, channels, 4, 4), dtype=np.uint8)
    split = Split(images, np.arange(12) % 2)
    return make_dataset("photographs", split, split, ("a", "b"))


def test_pixels_go_from_0_to_1_by_the_scale_of_a_byte_and_not_by_the_brightest_that_is_there() -> None:
    data = with_normalisation(photographs())
    assert np.array_equal(frames_of(data.test.images, data.coding), data.test.images.astype(np.float32) / 255)
    assert normalisation_of(data) == "pixels from 0 to 1"


def test_each_channel_has_its_own_mean_and_deviation() -> None:
    data = with_normalisation(photographs(), *CIFAR)
    mean, std = (np.array(values)[:, None, None] for values in CIFAR)
    expected = (data.test.images / 255 - mean) / std  # what torchvision documents
    assert np.allclose(frames_of(data.test.images, data.coding), expected, atol=1e-6)
    assert normalisation_of(data) == (
        "pixels from 0 to 1, less the mean 0.4914,0.4822,0.4465, by the deviation 0.247,0.2435,0.2616"
    )


def test_one_value_goes_for_all_channels() -> None:
    assert with_normalisation(photographs(), (0.5,), (0.25,)).coding == Coding((127.5,) * 3, (63.75,) * 3)


def test_white_is_16_for_the_digits() -> None:
    data = with_normalisation(load_dataset("digits"))
    assert frames_of(data.train.images, data.coding).max() == 1.0


def test_spikes_are_coded_from_pixels_of_the_whole_scale() -> None:
    split = photographs().test
    data = make_dataset("photographs", split, split, ("a", "b"), coding="poisson", steps=3)
    assert with_normalisation(data).coding == Coding((0.0,) * 3, (255.0,) * 3, "poisson", 3)
    with pytest.raises(
        InputError, match="frames of photographs are poisson spikes, which are not normalised: leave out"
    ):
        with_normalisation(data, (0.5,), (0.5,))


def test_event_counts_stay_what_they_are() -> None:
    split = Split(np.ones((4, 3, 2, 5, 5), np.uint8), np.arange(4) % 2)
    data = make_dataset("events", split, split, ("a", "b"))
    assert with_normalisation(data) is data
    assert normalisation_of(data) == ""
    with pytest.raises(
        InputError, match="frames of events are event counts, which are not normalised: leave out --mean"
    ):
        with_normalisation(data, (0.5,), (0.5,))


@pytest.mark.parametrize(
    ("mean", "std", "sentence"),
    [
        ((0.5,), None, "by a mean without a deviation: give both"),
        (None, (0.5,), "by a deviation without a mean: give both"),
        (
            (0.5, 0.5),
            (0.5,),
            "have 3 channels, but 2 values are given as their mean: give one for each, or one for all",
        ),
        ((0.5,), (0.5,) * 4, "have 3 channels, but 4 values are given as their deviation"),
        ((), (0.5,), "have 3 channels, but 0 values are given as their mean"),
        ((125.3,), (0.5,), "the mean 125.3 of frames of photographs is not a share of a white pixel's value, 0 to 1"),
        ((-0.1,), (0.5,), "the mean -0.1 of frames of photographs is not a share"),
        ((float("nan"),), (0.5,), "the mean nan of frames of photographs is not a share"),
        (
            (0.5,),
            (0.0,),
            "the deviation 0.0 of frames of photographs is not a share of a white pixel's value, above 0 to 1",
        ),
        ((0.5,), (63.0,), "the deviation 63.0 .*: divide it by 255 if it is one of pixels from 0 to 255"),
    ],
)
def test_other_values_are_refused(mean: Sequence[float] | None, std: Sequence[float] | None, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        with_normalisation(photographs(), mean, std)
