"""A smaller data set cut from a large one: fewer samples, smaller frames."""

from dataclasses import dataclass, replace

import numpy as np

from neuroprune.data.types import Dataset, Images, Split, make_dataset
from neuroprune.errors import InputError


@dataclass(frozen=True)
class Subset:
    """Which part of a data set is taken.

    train_per_class, test_per_class: samples of each class, drawn at random with `seed`; None for all.
    crop: height and width of the middle of each frame that is kept, in pixels; None for the whole frame.
    pool: side of the squares of pixels that become one pixel, after cropping: of images their mean, to the nearest
    whole number; of event recordings their sum, at most 255, since events that fall on larger pixels add up.
    Raises InputError for values out of range.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  as pydantic reads it

    train_per_class: int | None = None
    test_per_class: int | None = None
    crop: int | None = None
    pool: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, lowest in (("train_per_class", 1), ("test_per_class", 1), ("crop", 1), ("pool", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise InputError(f"{name} of a subset is {value}, but must be at least {lowest}: give a larger one")


def take_subset(data: Dataset, subset: Subset) -> Dataset:
    """That part of `data`; samples keep their order, and the coding is measured anew on what is trained on.

    Augmentation shifts frames by as much of their size as before. Raises InputError where a class has fewer samples
    than asked for, or frames are smaller than the crop or do not divide into squares.

    >>> from neuroprune import Subset, load_dataset, take_subset
    >>> data = take_subset(load_dataset("digits"), Subset(train_per_class=20, test_per_class=10, pool=2))
    >>> data.input_shape, len(data.train), len(data.test)
    ((1, 4, 4), 200, 100)
    """
    if subset == Subset(seed=subset.seed):
        return data
    augmentation = replace(data.augmentation, shift=data.augmentation.shift // subset.pool)
    parts = []
    for number, (noun, split, count) in enumerate(
        (("training", data.train, subset.train_per_class), ("test", data.test, subset.test_per_class))
    ):
        chosen = _choose(data, noun, split, count, (subset.seed, number))
        parts.append(Split(_resize(data.name, split.images[chosen], subset), split.labels[chosen]))
    train, test = parts
    kind, steps = data.coding.kind, None if data.coding.kind == "rows" else data.coding.steps
    made = make_dataset(data.name, train, test, data.classes, augmentation, kind, steps, data.full_scale)
    return replace(made, origin=data.origin)


def take_samples(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """`data` with only so many training samples, of each class as many, to within one, as far as it has them.

    They are drawn at random and keep their order; fewer samples are a part of more with the same seed, which commands
    leave at 0, so that a run's samples are found again whatever its random seed. The coding stays that of all samples.
    Raises InputError for fewer than one sample, or more than there are.

    >>> from neuroprune import load_dataset, take_samples
    >>> data = take_samples(load_dataset("digits"), 100)
    >>> len(data.train), int((data.train.labels == 3).sum())
    (100, 10)
    """
    total = len(data.train)
    if not 1 <= samples <= total:
        raise InputError(
            f"{samples} training samples cannot be taken of the {total} of data set {data.name}: ask for 1 to {total}"
        )
    labels = data.train.labels
    # The raw stream of a bit generator is the one that NumPy promises to keep; how `Generator` shuffles may change.
    draws = np.random.PCG64(seed).random_raw(total)
    by_class = np.lexsort((draws, labels))
    starts = np.searchsorted(labels[by_class], labels[by_class])
    turn = np.empty(total, np.int64)
    turn[by_class] = np.arange(total) - starts
    chosen = np.sort(np.lexsort((draws, turn))[:samples])
    train = Split(data.train.images[chosen], labels[chosen])
    return replace(data, train=train, origin=replace(data.origin, samples=samples))


def _choose(
    data: Dataset, noun: str, split: Split, count: int | None, seed: tuple[int, int]
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Indices, in order, of `count` samples of each class."""
    if count is None:
        return np.arange(len(split))
    shuffled = np.random.default_rng(seed).permutation(len(split))
    chosen = []
    for number, title in enumerate(data.classes):
        of_class = shuffled[split.labels[shuffled] == number]
        if len(of_class) < count:
            raise InputError(
                f"data set {data.name} has {len(of_class)} {noun} samples of class {title}, but the subset takes "
                f"{count} of each class: ask for fewer"
            )
        chosen.append(of_class[:count])
    return np.sort(np.concatenate(chosen))


def _resize(name: str, images: Images, subset: Subset) -> Images:
    """uint8 [..., H, W], its middle, with squares of pixels as one."""
    height, width = images.shape[-2:]
    crop, pool = subset.crop, subset.pool
    if crop is not None:
        if crop > min(height, width):
            raise InputError(
                f"frames of data set {name} are {height} x {width} pixels, so that their middle {crop} x {crop} cannot "
                "be taken: crop to less"
            )
        top, left = (height - crop) // 2, (width - crop) // 2
        images = images[..., top : top + crop, left : left + crop]
    if pool == 1:
        return images
    height, width = images.shape[-2:]
    if height % pool or width % pool:
        raise InputError(
            f"frames of {height} x {width} pixels of data set {name} do not divide into squares of {pool} x {pool}: "
            "crop them first, or pool by another number"
        )
    squares = images.reshape(*images.shape[:-2], height // pool, pool, width // pool, pool)
    sums = squares.sum(axis=(-3, -1), dtype=np.int64)
    whole = np.minimum(sums, 255) if images.ndim == 5 else (2 * sums + pool * pool) // (2 * pool * pool)
    return whole.astype(np.uint8)
