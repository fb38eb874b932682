"""The handwritten digits that come with scikit-learn: 8x8 pixels of 0..16, no download."""

import numpy as np

from neuroprune.data.types import Split

TEST_SAMPLES = 360


def read_digits() -> tuple[Split, Split]:
    """1437 training and 360 test samples, split once and for all with the shares of the classes kept."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = digits.images.astype(np.uint8)[:, None]
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=TEST_SAMPLES, stratify=digits.target, random_state=0
    )
    return Split(train_images, train_labels), Split(test_images, test_labels)
