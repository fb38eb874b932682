"""Where the steps and the samples lie among the axes of a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
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

    def without(self, axes: list[int]) -> Layout:
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
