"""Where the steps and the samples lie among the axes of a tensor."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch

Merged = Literal["time first", "batch first"]
"""One axis of steps and samples, [T * N] or [N * T]."""


@dataclass(frozen=True)
class Layout:
    """Which axis holds the samples, and which the steps; all others are those of a sample, in their order.

    time: None for a tensor of one step, or one that is the same at all. merged: the order of the steps and samples that
    lie in the axis `batch` together; time is None then.
    """

    batch: int = 0
    time: int | None = None
    merged: Merged | None = None

    @property
    def has_steps(self) -> bool:
        """Whether such a tensor holds all steps."""
        return self.time is not None or self.merged is not None

    def sample_axes(self, ndim: int) -> tuple[int, ...]:
        """The axes of a sample in a tensor of `ndim` axes."""
        return tuple(axis for axis in range(ndim) if axis not in (self.batch, self.time))

    def sample(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a sample in a tensor of `shape`."""
        return tuple(shape[axis] for axis in self.sample_axes(len(shape)))

    def without(self, axes: list[int]) -> "Layout":
        """The layout that is left of it once `axes` of the sample are gone."""
        batch, time = (
            None if axis is None else axis - sum(each < axis for each in axes) for axis in (self.batch, self.time)
        )
        assert batch is not None
        return Layout(batch, time, self.merged)

    def steps_first(self, tensor: torch.Tensor, batch: int) -> torch.Tensor:
        """`tensor` with `batch` samples as [T, N, *sample], T of 1 where it has no steps."""
        ordered = tensor.permute(*self._leading(), *self.sample_axes(tensor.ndim))
        if self.time is not None:
            return ordered
        sample = ordered.shape[1:]
        if self.merged == "batch first":
            return ordered.reshape(batch, -1, *sample).transpose(0, 1)
        return ordered.reshape(-1, batch, *sample)

    def arranged(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor of this layout that `steps_first` would make [T, N, *sample] of."""
        sample = tensor.shape[2:]
        if self.time is None:
            tensor = (tensor.transpose(0, 1) if self.merged == "batch first" else tensor).reshape(-1, *sample)
        leading = self._leading()
        places = iter(range(len(leading), tensor.ndim))
        order = [leading.index(axis) if axis in leading else next(places) for axis in range(tensor.ndim)]
        return tensor.permute(order)

    def _leading(self) -> tuple[int, ...]:
        return (self.batch,) if self.time is None else (self.time, self.batch)


FRAMES, SEQUENCE = Layout(), Layout(1, 0)
"""[N, ...] and [T, N, ...]."""


def steps_of(layout: Layout, shape: tuple[int, ...], batch: int) -> int:
    """The steps in a tensor of `shape` with `batch` samples; 1 where it has none."""
    return shape[layout.time] if layout.time is not None else shape[layout.batch] // batch


@dataclass(frozen=True)
class Rearranged:
    """What a change of axes made of a tensor: its new layout, the shape of a sample in it, and its steps.

    steps: more than before where the tensor is repeated over time; 1 for a tensor without steps.
    """

    layout: Layout
    sample: tuple[int, ...]
    steps: int


def rearranged(
    change: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...], layout: Layout, batch: int
) -> Rearranged | None:
    """What `change`, which moves or repeats the elements of a tensor of `shape`, does to `layout`.

    It is applied to the places of the elements, so the result is exact; with one step and an axis of it, that is the
    first of size 1 where it may be. None where samples or steps are taken apart, reversed or mixed with other axes, or
    the elements of a sample are not in C order.
    """
    places = torch.arange(prod(shape)).reshape(shape)
    canonical = layout.steps_first(places, batch)
    steps, sample = canonical.shape[0], canonical.shape[2:]
    numbered = torch.arange(canonical.numel()).reshape(canonical.shape)
    changed = change(layout.arranged(numbered))
    size = prod(sample)
    element, row = changed % size, changed // size
    step, number = row // batch, row % batch
    varies = [_varying(each) for each in (step, number, element)]
    if varies[2] & (varies[0] | varies[1]):
        return None
    repeated = [axis for axis, length in enumerate(changed.shape) if length > 1 and not any(axis in v for v in varies)]
    found = _found(step, number, varies[0], varies[1], repeated, steps, batch)
    if found is None:
        return None
    if layout.time is not None and steps == 1 and found.time is None and found.merged is None:
        found = _with_one_step(found, changed.shape, layout.time)
    axes = found.sample_axes(changed.ndim)
    first = changed.permute(*(axis for axis in range(changed.ndim) if axis not in axes), *axes)
    inner = first.reshape(-1, *(changed.shape[axis] for axis in axes))[0]
    if not torch.equal(inner.flatten() % size, torch.arange(size)):
        return None
    return Rearranged(found, tuple(inner.shape), steps_of(found, changed.shape, batch))


def _found(
    step: torch.Tensor,
    number: torch.Tensor,
    by_step: set[int],
    by_number: set[int],
    repeated: list[int],
    steps: int,
    batch: int,
) -> Layout | None:
    """The layout of a tensor whose elements are of these steps and samples."""
    if len(by_number) != 1 or len(by_step) > 1 or len(repeated) > 1:
        return None
    (at,) = by_number
    length = number.shape[at]
    samples, times = _along(number, at), _along(step, at)
    index = torch.arange(length)
    if length == batch and torch.equal(samples, index) and at not in by_step:
        time = next(iter(by_step or repeated), None)
        if by_step and (repeated or not torch.equal(_along(step, time or 0), torch.arange(steps))):
            return None
        if repeated and steps > 1:
            return None
        return Layout(at, time)
    if length % batch or repeated or (steps > 1 and by_step != {at}):
        return None
    per_sample = length // batch
    for order, of_sample, of_time in (
        ("time first", index % batch, index // batch),
        ("batch first", index // per_sample, index % per_sample),
    ):
        if torch.equal(samples, of_sample) and (steps == 1 or torch.equal(times, of_time)):
            return Layout(at, merged=order)  # type: ignore[arg-type]  # one of the two
    return None


def _with_one_step(layout: Layout, shape: torch.Size, before: int) -> Layout:
    """`layout` with its only step in an axis of size 1: where it was `before`, else the first."""
    ones = [axis for axis, length in enumerate(shape) if length == 1 and axis != layout.batch]
    time = before if before in ones else next(iter(ones), None)
    return Layout(layout.batch, time)


def _varying(tensor: torch.Tensor) -> set[int]:
    """The axes along which the elements differ."""
    return {axis for axis in range(tensor.ndim) if bool((tensor != tensor.narrow(axis, 0, 1)).any())}


def _along(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    """The first elements along `axis`."""
    return tensor.movedim(axis, 0).flatten(1)[:, 0] if tensor.ndim > 1 else tensor
