"""Frames as a network of somebody else's was trained on them: pixels of 0..1, by a mean and deviation of its own."""

from collections.abc import Sequence
from dataclasses import replace

from neuroprune.data.types import Coding, Dataset
from neuroprune.errors import InputError


def with_normalisation(
    data: Dataset, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> Dataset:
    """`data` whose frames are (x - mean) / std, with x the pixels from 0, black, to 1, white: as torchvision's ToTensor
    and Normalize(mean, std) make them.

    mean, std: a value for each channel, or one for all, in those units; without them frames are x itself. Images that
    are coded to spikes are coded from x, and event counts stay what they are.
    Raises InputError where one is given without the other, for numbers of values that do not fit, a mean outside 0 to
    1, a deviation not above 0 or beyond 1, and for event counts or spikes, which are not normalised.

    >>> from neuroprune import frames_of, load_dataset, with_normalisation
    >>> data = load_dataset("digits")
    >>> plain = with_normalisation(data)
    >>> float(frames_of(data.test.images, plain.coding).max())
    1.0
    >>> with_normalisation(data, mean=[0.5], std=[0.25]).coding
    Coding(mean=(8.0,), std=(4.0,), kind='direct', steps=None)
    """
    if (mean is None) != (std is None):
        given, lacking = ("mean", "deviation") if std is None else ("deviation", "mean")
        raise InputError(
            f"frames of {data.name} cannot be normalised by a {given} without a {lacking}: give both (--mean and --std)"
        )
    recorded = data.train.images.ndim == 5
    if mean is not None and (recorded or data.coding.kind in ("poisson", "latency")):
        kind = "event counts" if recorded else f"{data.coding.kind} spikes"
        raise InputError(f"frames of {data.name} are {kind}, which are not normalised: leave out --mean and --std")
    if recorded:
        return data
    channels = data.input_shape[0]
    means = _for_each("mean", (0.0,) if mean is None else mean, channels, data.name)
    deviations = _for_each("deviation", (1.0,) if std is None else std, channels, data.name)
    coding = Coding(
        tuple(data.full_scale * value for value in means),
        tuple(data.full_scale * value for value in deviations),
        data.coding.kind,
        data.coding.steps,
    )
    return replace(data, coding=coding)


def normalisation_of(data: Dataset) -> str:
    """How frames of `data` are normalised, for people; "" for event counts, and for spikes, coded as they may be."""
    if data.train.images.ndim == 5 or data.coding.kind in ("poisson", "latency"):
        return ""
    mean, std = (
        [f"{value / data.full_scale:.4g}" for value in values] for values in (data.coding.mean, data.coding.std)
    )
    if set(mean) == {"0"} and set(std) == {"1"}:
        return "pixels from 0 to 1"
    return f"pixels from 0 to 1, less the mean {','.join(mean)}, by the deviation {','.join(std)}"


def _for_each(what: str, values: Sequence[float], channels: int, name: str) -> tuple[float, ...]:
    """A value for each of the channels. Raises InputError."""
    if len(values) not in (1, channels):
        raise InputError(
            f"frames of {name} have {channels} channels, but {len(values)} values are given as their {what}: give one "
            "for each, or one for all"
        )
    for value in values:
        if not (0.0 <= value <= 1.0 and (value > 0.0 or what == "mean")):
            least = "0" if what == "mean" else "above 0"
            raise InputError(
                f"the {what} {value} of frames of {name} is not a share of a white pixel's value, {least} to 1: divide "
                "it by 255 if it is one of pixels from 0 to 255"
            )
    return tuple(map(float, values)) * (channels // len(values))
