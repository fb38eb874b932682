"""Data sets of labelled frames, as bytes, with the figures that normalise them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.errors import InputError
from neuroprune.frozen import frozen_array

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Frames = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Split:
    """images: uint8 [N, C, H, W], raw pixels; labels: int64 [N]. Both become read-only copies."""

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", frozen_array(self.images, np.uint8))
        object.__setattr__(self, "labels", frozen_array(self.labels, np.int64))
        if self.images.ndim != 4 or self.labels.shape != self.images.shape[:1]:
            raise InputError(
                f"a split has images of shape {self.images.shape} and labels of shape {self.labels.shape}, "
                "but needs [N, C, H, W] and [N]: reshape them so that every image has one label"
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Augmentation:
    """How training frames are varied: moved by up to `shift` pixels each way over a black border, and mirrored."""

    shift: int = 0
    flip: bool = False


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in two splits; mean and std, one value a channel, are in raw pixel units (see `make_dataset`)."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation = Augmentation()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one frame."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def make_dataset(
    name: str, train: Split, test: Split, classes: tuple[str, ...], augmentation: Augmentation = Augmentation()
) -> Dataset:
    """A `Dataset` whose mean and standard deviation are measured on its training split.

    Raises InputError when a split is empty, the splits have different shapes, or a label names no class.
    """
    if train.images.shape[1:] != test.images.shape[1:]:
        raise InputError(
            f"data set {name} has training frames of {train.images.shape[1:]} and test frames of "
            f"{test.images.shape[1:]}; both need one (channels, height, width): check that the files belong together"
        )
    for part, split in (("training", train), ("test", test)):
        if not len(split):
            raise InputError(f"data set {name} has no {part} samples, but needs at least 1: fetch its files again")
        lowest, highest = int(split.labels.min()), int(split.labels.max())
        if lowest < 0 or highest >= len(classes):
            raise InputError(
                f"data set {name} has {part} labels from {lowest} to {highest}, but its {len(classes)} classes are "
                f"numbered 0 to {len(classes) - 1}: check that the files belong to this data set"
            )
    mean, std = pixel_statistics(train.images)
    return Dataset(name, train, test, classes, mean, std, augmentation)


def pixel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 [N, C, H, W], exact up to the last division.

    A channel that never changes gets the deviation 1, so that it normalises to zeros.
    """
    values = np.arange(256, dtype=np.float64)
    means, deviations = [], []
    for channel in range(images.shape[1]):
        share = np.bincount(images[:, channel].ravel(), minlength=256) / images[:, channel].size
        mean = float(share @ values)
        means.append(mean)
        deviations.append(float(np.sqrt(share @ (values - mean) ** 2)) or 1.0)
    return tuple(means), tuple(deviations)


def normalise(images: Images, mean: tuple[float, ...], std: tuple[float, ...]) -> Frames:
    """float32 [N, C, H, W] = (pixel - mean) / std, with one mean and std a channel in raw pixel units."""
    shape = (1, -1, 1, 1)
    centred = images.astype(np.float32) - np.asarray(mean, dtype=np.float32).reshape(shape)
    return centred / np.asarray(std, dtype=np.float32).reshape(shape)
