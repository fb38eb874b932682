"""Samples that are held out of training, to choose by."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import Labels
from neuroprune.data.types import Dataset, Split
from neuroprune.errors import InputError


def hold_out(data: Dataset, share: float, seed: int = 0) -> Dataset:
    """`data` with a share of its training samples, drawn at random, as its validation split instead.

    The validation split has round(share * samples) of them, and of each class the same share to within one sample; both
    splits keep the order of the data set. Which samples they are follows from the data, the share and `seed`, which
    commands leave at 0: the random seed of a training says nothing of it, so that whatever is done to a network later,
    it learns nothing from the samples that it is chosen by. The coding stays that of the whole training split.

    Data that has a validation split stays as it is, and so does all data for a share of 0. Raises InputError for a
    share outside 0 to 0.5, or one that holds out no sample.

    >>> from neuroprune import hold_out, load_dataset
    >>> data = hold_out(load_dataset("digits"), 0.1)
    >>> len(data.train), len(data.validation), len(data.test)
    (1293, 144, 360)
    """
    check_share(share)
    if data.validation is not None or share == 0.0:
        return data
    samples = len(data.train)
    held = round(share * samples)
    if not held:
        raise InputError(
            f"a share of {share} of the {samples} training samples of {data.name} holds out none of them, but needs at "
            "least 1: give a larger share"
        )
    is_held = evenly_of_classes(data.train.labels, held, seed)
    return replace(data, train=part_of(data.train, ~is_held), validation=part_of(data.train, is_held))


def check_share(share: float) -> None:
    """Raise InputError unless that share of the training samples can be held out."""
    if not 0.0 <= share <= 0.5:
        raise InputError(
            f"a share of {share} of the training samples cannot be held out for validation: it must be at least 0 and "
            "at most 0.5, such as 0.1"
        )


def evenly_of_classes(labels: Labels, count: int, seed: int) -> npt.NDArray[np.bool_]:
    """`count` samples, drawn at random, of each class its share to within one."""
    # The raw stream of a bit generator is the one that NumPy promises to keep; how `Generator` shuffles may change.
    by_class = np.lexsort((np.random.PCG64(seed).random_raw(len(labels)), labels))
    chosen = np.zeros(len(labels), np.bool_)
    chosen[by_class[(2 * np.arange(count) + 1) * len(labels) // (2 * count)]] = True
    return chosen


def part_of(split: Split, chosen: npt.NDArray[np.bool_]) -> Split:
    """The chosen samples of `split`."""
    return Split(split.images[chosen], split.labels[chosen])
