"""What a change of axes does to the layout of a tensor."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch

from neuroprune.graph.layout import Layout, Merged, steps_of


@dataclass(frozen=True)
class Rearranged:
    """What a change of axes made of a tensor: its new layout, and its steps.

    steps: more than before where the tensor is repeated over time; 1 for a tensor without steps.
    """

    layout: Layout
    steps: int


def rearranged(
    change: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...], layout: Layout, batch: int
) -> Rearranged | None:
    """What `change`, which moves or repeats the elements of a tensor of `shape`, does to `layout`.

    It is applied to the places of the elements, so the result is exact; with one step and an axis of it, that is the
    first of size 1 where it may be. None where samples or steps are taken apart, reversed or mixed with other axes, or
    the elements of a sample are not in C order.
    """
    canonical = layout.steps_first(torch.empty(shape, device="meta"), batch).shape
    steps, size = canonical[0], prod(canonical[2:])
    changed = change(layout.arranged(torch.arange(prod(shape)).reshape(canonical)))
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
    return Rearranged(found, steps_of(found, changed.shape, batch))


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
    orders: tuple[tuple[Merged, torch.Tensor, torch.Tensor], ...] = (
        ("time first", index % batch, index // batch),
        ("batch first", index // per_sample, index % per_sample),
    )
    for order, of_sample, of_time in orders:
        if torch.equal(samples, of_sample) and (steps == 1 or torch.equal(times, of_time)):
            return Layout(at, merged=order)
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
