"""Subsets: the samples asked for of each class, the middle of frames, squares of pixels as one."""

import numpy as np
import pytest

from neuroprune.data.load import load_dataset
from neuroprune.data.subset import Subset, take_subset
from neuroprune.data.types import Augmentation, Dataset, Split, make_dataset
from neuroprune.errors import InputError


def numbered(size: int = 6) -> Dataset:
    """Forty training and twenty test images of two classes, of which each pixel is the number of its image."""
    train, test = (
        Split(np.broadcast_to(np.arange(count)[:, None, None, None], (count, 1, size, size)), np.arange(count) % 2)
        for count in (40, 20)
    )
    return make_dataset("numbered", train, test, ("even", "odd"), Augmentation(shift=2, flip=True))


def test_each_class_gives_as_many_samples_as_asked_for_in_their_order() -> None:
    data = take_subset(numbered(), Subset(train_per_class=7, test_per_class=3))
    for split, count in ((data.train, 7), (data.test, 3)):
        assert np.bincount(split.labels).tolist() == [count, count]
        numbers = split.images[:, 0, 0, 0]
        assert (np.diff(numbers.astype(int)) > 0).all()
        assert (numbers % 2 == split.labels).all()


def test_equal_seeds_take_the_same_samples_and_others_take_others() -> None:
    first, again, other = (
        take_subset(numbered(), Subset(train_per_class=7, seed=seed)).train.images[:, 0, 0, 0] for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_a_larger_subset_holds_the_smaller_one() -> None:
    small, large = (
        set(take_subset(numbered(), Subset(train_per_class=count)).train.images[:, 0, 0, 0].tolist())
        for count in (5, 9)
    )
    assert small < large


def test_the_middle_is_kept_and_squares_become_their_rounded_mean() -> None:
    image = np.array([[9, 9, 9, 9], [9, 0, 1, 9], [9, 1, 1, 9], [9, 9, 9, 9]])
    split = Split(image[None, None], [0])
    data = make_dataset("one", split, split, ("a",), Augmentation(shift=3))
    middle = take_subset(data, Subset(crop=2))
    assert middle.train.images[0, 0].tolist() == [[0, 1], [1, 1]]
    pooled = take_subset(data, Subset(crop=2, pool=2))
    assert pooled.test.images.tolist() == [[[[1]]]]  # 0.75 rounds up
    assert pooled.augmentation.shift == 1


def test_events_of_recordings_add_up_to_at_most_255() -> None:
    counts = np.array([[1, 2, 200, 0], [3, 4, 100, 0]])
    split = Split(np.broadcast_to(counts, (1, 3, 2, 2, 4)), [0])
    data = take_subset(make_dataset("events", split, split, ("a",), steps=3), Subset(pool=2))
    assert data.train.images[0, 0, 0].tolist() == [[10, 255]]
    assert data.coding.steps == 3


def test_the_coding_is_measured_on_the_subset() -> None:
    whole = load_dataset("digits")
    data = take_subset(whole, Subset(train_per_class=3))
    assert data.coding != whole.coding
    assert data.coding.mean[0] == pytest.approx(data.train.images.mean())


def test_nothing_asked_for_is_the_data_itself() -> None:
    data = numbered()
    assert take_subset(data, Subset(seed=5)) is data


@pytest.mark.parametrize(
    ("subset", "sentence"),
    [
        (
            Subset(train_per_class=21),
            "data set numbered has 20 training samples of class even, but the subset takes 21",
        ),
        (Subset(test_per_class=11), "data set numbered has 10 test samples of class even, but the subset takes 11"),
        (Subset(crop=7), "frames of data set numbered are 6 x 6 pixels, so that their middle 7 x 7 cannot be taken"),
        (Subset(pool=4), "frames of 6 x 6 pixels of data set numbered do not divide into squares of 4 x 4"),
    ],
)
def test_what_the_data_cannot_give_is_said(subset: Subset, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        take_subset(numbered(), subset)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="pool of a subset is 0, but must be at least 1"):
        Subset(pool=0)
