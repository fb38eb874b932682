"""The training and the test part of data of one's own: what they are called, and how samples are split that are one."""

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import Labels
from neuroprune.data.hold_out import evenly_of_classes, part_of
from neuroprune.data.types import Split

TRAIN, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")
"""Names of parts; of several for testing the first of these is taken."""

TEST_SHARE = 0.2
"""Of samples that come as one part."""


def held_for_test(labels: Labels) -> npt.NDArray[np.bool_]:
    """Which samples of one part are for testing: TEST_SHARE of them, at random, of each class its share to within one.

    Which ones follows from the labels alone.
    """
    return evenly_of_classes(labels, max(1, round(TEST_SHARE * len(labels))), seed=0)


def split_for_test(whole: Split) -> tuple[Split, Split]:
    """The training and the test part of samples that come as one: see `held_for_test`."""
    is_held = held_for_test(whole.labels)
    return part_of(whole, ~is_held), part_of(whole, is_held)
