"""Numbers of any type become bytes where that loses nothing, and are refused in a sentence where it would."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from neuroprune.data.types import Split
from neuroprune.errors import InputError

PIXELS = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
LABELS = [0, 1, 0, 1]


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "f2", "f4", "f8"])
def test_whole_numbers_stay_as_they_are_whatever_their_type(dtype):
    assert np.array_equal(Split(PIXELS.astype(dtype), LABELS).images, PIXELS)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_brightness_from_0_to_1_comes_back_as_the_bytes_that_it_was_made_of(dtype):
    assert np.array_equal(Split((PIXELS / 255).astype(dtype), LABELS).images, PIXELS)


def test_tensors_lists_and_truth_values_are_taken():
    tensor = torch.from_numpy(PIXELS).float() / 255
    assert np.array_equal(Split(tensor, torch.tensor(LABELS)).images, PIXELS)
    assert np.array_equal(Split(PIXELS.tolist(), LABELS).images, PIXELS)
    assert np.array_equal(Split(PIXELS > 99, np.array(LABELS)[:, None].astype(float)).images, PIXELS > 99)


@given(st.lists(st.floats(-2, 300, width=32), min_size=1, max_size=6))
def test_no_value_is_ever_changed_by_more_than_rounding(values):
    frames = np.array(values, np.float32).reshape(-1, 1, 1, 1)
    try:
        images = Split(frames, np.zeros(len(values), int)).images
    except InputError:
        return
    factor = 1 if np.array_equal(frames, np.rint(frames)) else 255
    assert np.allclose(images, frames * factor, atol=2e-3)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (
            np.array([-1.5, 2.0]),
            "are float64 from -1.5 to 2, of which bytes would lose something, since they hold whole ",
        ),
        (
            np.array([0.1, 0.2]),
            "are float64 from 0.1 to 0.2, of which bytes .*, or 255ths from 0 to 1: give the raw ones",
        ),
        (np.array([0, 256]), "are int64 from 0 to 256, of which bytes would lose something"),
        (np.array([-1, 3]), "are int64 from -1 to 3, of which bytes would lose something"),
        (np.array([1.0, np.nan]), r"hold values that are not finite \(NaN or infinite\): replace them"),
        (np.array([1.0, -np.inf]), "hold values that are not finite"),
        (np.array(["a", "b"]), "are of the type <U1, but pixels and counts are numbers: give those"),
        (np.array([1j, 2]), "are of the type complex128, but pixels and counts are numbers"),
    ],
)
def test_frames_that_bytes_cannot_hold_say_why(images, said):
    with pytest.raises(InputError, match=f"^images of a split {said}"):
        Split(images.reshape(2, 1, 1, 1), [0, 0])


def test_counts_of_events_must_be_whole():
    halves = np.full((1, 3, 2, 4, 4), 51 / 255)
    with pytest.raises(InputError, match=r"from 0\.2 to 0\.2, .* since they hold whole numbers from 0 to 255: give"):
        Split(halves, [0])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0.5, 1.0], "are not all whole numbers, but number the classes from 0: round them"),
        ([np.nan, 1.0], "are not all whole numbers"),
        (["cat", "dog"], "are of the type <U3, but must be the numbers of classes: number them"),
        ([[0], [1, 2]], "are of different sizes, so that no array holds them: make them alike"),
    ],
)
def test_labels_that_number_no_classes_say_why(labels, said):
    with pytest.raises(InputError, match=f"^labels of a split {said}"):
        Split(np.zeros((2, 1, 1, 1)), labels)


def test_frames_of_different_sizes_are_refused():
    with pytest.raises(
        InputError, match=r"^images of a split are of different sizes, so that no array holds them: make"
    ):
        Split([[[[1]]], [[[1, 2]]]], [0, 1])
