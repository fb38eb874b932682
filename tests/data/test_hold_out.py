"""Samples held out of training: how many, which, and that they are the same ones every time."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from neuroprune.data.hold_out import hold_out
from neuroprune.data.load import load_dataset
from neuroprune.data.types import Dataset, Split, make_dataset
from neuroprune.errors import InputError


def dataset(labels: list[int], images: np.ndarray | None = None) -> Dataset:
    """A data set whose training samples are numbered by their pixels."""
    number = np.arange(len(labels), dtype=np.uint16)
    pixels = number.view(np.uint8).reshape(-1, 1, 1, 2) if images is None else images
    split = Split(pixels, np.array(labels))
    return make_dataset("numbered", split, split, tuple(str(each) for each in range(max(labels) + 1)))


def numbers(split: Split | None) -> list[int]:
    assert split is not None
    return [int(number) for number in np.ascontiguousarray(split.images).reshape(-1, 2).view(np.uint16).ravel()]


@given(st.lists(st.integers(0, 5), min_size=2, max_size=200), st.floats(0.0, 0.5), st.integers(0, 3))
def test_every_sample_is_in_one_split_and_each_class_gives_its_share(
    labels: list[int], share: float, seed: int
) -> None:
    data, held = dataset(labels), round(share * len(labels))
    if not held:
        return
    found = hold_out(data, share, seed)
    assert found.validation is not None
    train, validation = numbers(found.train), numbers(found.validation)
    assert len(validation) == held
    assert sorted(train + validation) == list(range(len(labels)))
    assert train == sorted(train) and validation == sorted(validation)
    assert [labels[number] for number in train] == found.train.labels.tolist()
    assert [labels[number] for number in validation] == found.validation.labels.tolist()
    for label in set(labels):
        given_up = found.validation.labels.tolist().count(label)
        assert abs(given_up - held * labels.count(label) / len(labels)) < 1 + 1e-9
    assert found.test is data.test and found.coding == data.coding


def test_the_same_samples_are_held_out_every_time_and_others_by_another_seed() -> None:
    labels = [number % 3 for number in range(60)]
    first, again, other = (numbers(hold_out(dataset(labels), 0.2, seed).validation) for seed in (0, 0, 1))
    assert first == again != other
    assert numbers(hold_out(dataset(labels), 0.2).validation) == first


def test_which_samples_are_held_out_stays_as_it_is() -> None:
    """Runs that are kept depend on it: another version must not train on what their networks were chosen by."""
    labels = [number % 3 for number in range(30)]
    assert numbers(hold_out(dataset(labels), 0.2).validation) == [2, 4, 12, 14, 15, 25]
    digits = hold_out(load_dataset("digits"), 0.1)
    assert digits.validation is not None
    assert int(digits.validation.images.astype(np.int64).sum()) == 45224
    assert np.bincount(digits.validation.labels).tolist() == [14, 15, 14, 15, 14, 15, 14, 15, 14, 14]


def test_they_are_drawn_at_random() -> None:
    drawn = [numbers(hold_out(dataset([0] * 20), 0.25, seed).validation) for seed in range(400)]
    counts = np.bincount(np.concatenate(drawn), minlength=20)
    assert counts.sum() == 2000 and counts.min() > 60 and counts.max() < 140


def test_data_that_has_a_validation_split_or_needs_none_stays_as_it_is() -> None:
    data = dataset([0, 1] * 10)
    held = hold_out(data, 0.2)
    assert hold_out(held, 0.2) is held and hold_out(held, 0.0) is held
    assert hold_out(data, 0.0) is data and data.validation is None


@pytest.mark.parametrize("share", [-0.1, 0.6, float("nan")])
def test_a_share_that_cannot_be_held_out_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=f"a share of {share} of the training samples cannot be held out for validati"):
        hold_out(dataset([0, 1] * 10), share)


def test_a_share_that_holds_out_nothing_is_refused() -> None:
    sentence = (
        "a share of 0.01 of the 20 training samples of numbered holds out none of them, but needs at least 1: "
        "give a larger share"
    )
    with pytest.raises(InputError, match=sentence):
        hold_out(dataset([0, 1] * 10), 0.01)
