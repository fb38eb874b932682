"""Data sets of labelled images and event recordings, as bytes, with their coding to frames."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import Labels, frozen_array
from neuroprune.choices import check_choice
from neuroprune.data.codings import CODINGS, Kind
from neuroprune.data.pixels import bytes_of, labels_of
from neuroprune.errors import InputError

Images = npt.NDArray[np.uint8]

CHUNK = 1024
"""Images whose pixels are counted at once: numpy counts 8-byte copies of them."""


@dataclass(frozen=True, eq=False)
class Split:
    """images: uint8 [N, C, H, W], raw pixels, or [N, T, C, H, W], event counts; labels: int64 [N]. Read-only copies.

    Both may be given as lists or arrays of any numbers that are these without loss: whole ones, or for images floats
    that are 255ths of 0 to 1. Raises InputError for others, such as images that are normalised already: pixels are
    kept as bytes, and made to floats by their data set's `Coding`.
    """

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", frozen_array(bytes_of("images of a split", self.images), np.uint8))
        object.__setattr__(self, "labels", frozen_array(labels_of("labels of a split", self.labels), np.int64))
        if self.images.ndim not in (4, 5) or self.labels.shape != self.images.shape[:1]:
            raise InputError(
                f"a split has images of shape {self.images.shape} and labels of shape {self.labels.shape}, "
                "but needs [N, C, H, W] or [N, T, C, H, W] and [N]: reshape them so that every image has one label"
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Augmentation:
    """How training frames are varied: moved by up to `shift` pixels each way over a black border, and mirrored."""

    shift: int = 0
    flip: bool = False


@dataclass(frozen=True)
class Coding:
    """How raw pixels become the frames that a network sees (`neuroprune.data.coding.encode` says how exactly).

    mean, std: one value per channel in raw pixel units; a pixel becomes (pixel - mean) / std.
    kind: "direct" presents that value at every step, and "rows" a row of an image at each; "poisson" (rate coding) and
    "latency" (time-to-first-spike coding) turn it, clipped to 0..1, into spikes over time.
    steps: T of the sequences; None where a sample is one frame, which is presented at every step.
    Raises InputError for an unknown kind, or spikes without steps.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    kind: Kind = "direct"
    steps: int | None = None

    def __post_init__(self) -> None:
        check_choice("coding", self.kind, CODINGS)
        if (self.steps is None and self.kind != "direct") or (self.steps is not None and self.steps < 1):
            stated = "no number of" if self.steps is None else self.steps
            raise InputError(
                f"the coding {self.kind} has {stated} time steps, but needs at least 1: give a number with --steps"
            )


@dataclass(frozen=True)
class Origin:
    """Where data of one's own were read and what was read there, so that they can be read again.

    path: absolute, of a file or folder; None for a data set that has a name. digest: SHA-256, in hexadecimal, of the
    images and labels of both splits. samples: how many training samples were taken of them, None for all.
    """

    path: str | None = None
    digest: str | None = None
    samples: int | None = None


NAMED = Origin()
"""Of data sets that are found by their name."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in splits, and how its frames are made (see `make_dataset`).

    validation: samples that nothing is trained on and everything is chosen by, where there are any (see `hold_out`).
    full_scale: the value of a white pixel, which torchvision's ToTensor makes 1.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    coding: Coding
    augmentation: Augmentation = Augmentation()
    validation: Split | None = None
    full_scale: int = 255
    origin: Origin = NAMED

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one frame as a network sees it."""
        channels, height, width = self.train.images.shape[-3:]
        return channels, 1 if self.coding.kind == "rows" else height, width


def make_dataset(
    name: str,
    train: Split,
    test: Split,
    classes: tuple[str, ...],
    augmentation: Augmentation = Augmentation(),
    coding: Kind = "direct",
    steps: int | None = None,
    full_scale: int = 255,
) -> Dataset:
    """A `Dataset` whose coding is measured on its training split.

    Images as they are, whole or in rows, are normalised to mean 0 and standard deviation 1 over the split; coded to
    spikes over `steps`, its brightest pixel is 1 and black 0. Event counts stay small integers, which a chip represents
    exactly. full_scale: the value of a white pixel, for frames that are normalised otherwise (`with_normalisation`).
    Raises InputError when a split is empty, the splits have different shapes, a label names no class, event counts
    should be coded, or a spike coding has no steps.

    >>> import numpy as np
    >>> from neuroprune import Split, make_dataset
    >>> images, labels = np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16)), np.arange(20) % 2
    >>> train, test = Split(images[:15], labels[:15]), Split(images[15:], labels[15:])
    >>> data = make_dataset("noise", train, test, classes=("even", "odd"))
    >>> data.input_shape, data.coding.kind
    ((3, 16, 16), 'direct')
    """
    if train.images.shape[1:] != test.images.shape[1:]:
        raise InputError(
            f"data set {name} has training frames of {train.images.shape[1:]} and test frames of "
            f"{test.images.shape[1:]}; both need one (channels, height, width), after one T in sequences: check that "
            "the files belong together"
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
    if train.images.ndim == 5 and coding != "direct":
        raise InputError(
            f"data set {name} is recorded in events, which are spikes already and cannot be coded as {coding} ones: "
            "take the coding direct"
        )
    rows = train.images.shape[-2]
    if coding == "rows" and steps not in (None, rows):
        raise InputError(
            f"frames of data set {name} have {rows} rows, of which the coding rows shows one a step, so that they "
            f"cannot be shown in {steps} steps: give --steps {rows}"
        )
    return Dataset(
        name, train, test, classes, _measure(train.images, coding, steps), augmentation, full_scale=full_scale
    )


def _measure(images: Images, kind: Kind, steps: int | None) -> Coding:
    channels = images.shape[-3]
    zeros = (0.0,) * channels
    if images.ndim == 5:
        return Coding(zeros, (1.0,) * channels, kind, images.shape[1])
    if kind in ("direct", "rows"):
        return Coding(*pixel_statistics(images), kind, images.shape[-2] if kind == "rows" else None)
    return Coding(zeros, (float(images.max()) or 1.0,) * channels, kind, steps)


def pixel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 [N, C, H, W], exact up to the last division.

    A channel that never changes gets the deviation 1, so it is normalised to zeros.
    """
    values, counts = np.arange(256, dtype=np.float64), np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(images), CHUNK):
        for channel, count in enumerate(counts):
            count += np.bincount(images[start : start + CHUNK, channel].ravel(), minlength=256)
    means, deviations = [], []
    for share in counts / images[:, 0].size:
        mean = float(share @ values)
        means.append(mean)
        deviations.append(float(np.sqrt(share @ (values - mean) ** 2)) or 1.0)
    return tuple(means), tuple(deviations)
