"""Maps between two layers of neurons, in phases where something made them larger: see graph/polyphase.py.

All others have one phase, themselves. What acts on each place alone acts on each phase; a convolution, a pooling or a
dense layer reads them all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import lcm, prod

import numpy as np

from neuroprune.arrays import FloatArray, frozen_array
from neuroprune.graph import terms
from neuroprune.graph.compose import identity_kernel
from neuroprune.graph.nodes import Conv, ConvTranspose, IndexArray, Linear, Pair, Resample, Shape
from neuroprune.graph.polyphase import PhaseKernel, phase_kernel, silent_kernel, windows_of
from neuroprune.graph.terms import Value


@dataclass(frozen=True, eq=False)
class Phases:
    """A map (channels, height, width) or features (channels,).

    values: its phases in C order, `rate` of them down and across, each itself a map; equal ones are one object.
    resampled: what is yet to be done to each channel of the map, by the dense layer that reads it.
    """

    shape: Shape
    rate: Pair
    values: tuple[Value, ...]
    resampled: Resample | None = None

    @property
    def features(self) -> int:
        """How many features a Flatten makes of it."""
        return prod(self.shape) if self.resampled is None else self.shape[0] * prod(self.resampled_extents)

    @property
    def resampled_extents(self) -> Shape:
        """Height and width once it is resampled."""
        assert self.resampled is not None
        return len(self.resampled.rows), len(self.resampled.columns)

    @property
    def extents(self) -> Pair:
        """Height and width, which are 1 for features."""
        return _extents(self.shape)

    @property
    def has_bias(self) -> bool:
        """Whether anything but its terms is added anywhere."""
        return any(np.any(value.bias) for value in self.values)

    def at(self, phase: Pair) -> Value:
        """One of its phases."""
        return self.values[phase[0] * self.rate[1] + phase[1]]

    def distinct(self) -> list[tuple[Value, list[Pair]]]:
        """Each value once, with the phases that it is."""
        found: dict[int, tuple[Value, list[Pair]]] = {}
        for phase, value in zip(_phases(self.rate), self.values, strict=True):
            found.setdefault(id(value), (value, []))[1].append(phase)
        return list(found.values())


def whole(value: Value) -> Phases:
    """A value that has one phase."""
    return Phases(value.shape, (1, 1), (value,))


def by_phase(change: Callable[[Value, Pair], Value], phases: Phases) -> Phases:
    """What `change` makes of each value, of which it is told the first phase that it is."""
    changed = {id(value): change(value, members[0]) for value, members in phases.distinct()}
    values = tuple(changed[id(value)] for value in phases.values)
    return Phases((values[0].shape[0], *phases.shape[1:]), phases.rate, values)


def scaled(phases: Phases, gain: FloatArray, offset: FloatArray) -> Phases:
    """phases * gain + offset, both float64 [channels]."""
    return by_phase(lambda value, _: terms.scaled(value, gain, offset), phases)


def selected(phases: Phases, channels: IndexArray) -> Phases:
    """The channels in another order, some left out or repeated."""
    return by_phase(lambda value, _: terms.selected(value, channels), phases)


def added(several: Sequence[Phases]) -> Phases:
    """The sum of maps of one shape."""
    return _joined(terms.added, several)


def concatenated(several: Sequence[Phases]) -> Phases:
    """One after the other along the channels."""
    return _joined(terms.concatenated, several)


def upsampled(phases: Phases, factors: Pair) -> Phases:
    """Each value repeated down and across."""
    rate = (phases.rate[0] * factors[0], phases.rate[1] * factors[1])
    values = tuple(phases.at((down // factors[0], across // factors[1])) for down, across in _phases(rate))
    return Phases(_larger(phases.shape, phases.shape[0], factors), rate, values)


def shuffled(phases: Phases, factor: int) -> Phases:
    """Neighbouring channels laid out in squares, as torch's PixelShuffle does."""
    rate = (phases.rate[0] * factor, phases.rate[1] * factor)
    channels = phases.shape[0] // factor**2
    values = []
    for down, across in _phases(rate):
        first = down % factor * factor + across % factor
        value = phases.at((down // factor, across // factor))
        values.append(terms.selected(value, np.arange(channels) * factor**2 + first))
    return Phases(_larger(phases.shape, channels, (factor, factor)), rate, tuple(values))


def convolved(phases: Phases, conv: Conv | ConvTranspose, shape: Shape, layer: str | None) -> Phases:
    """The map after a convolution; `layer` is its name, None for the fixed weights of a pooling."""
    rate = _rate(phases, conv, shape)
    made: dict[Pair, list[Value]] = {phase: [] for phase in _phases(rate)}
    for phase, value, kernel in _kernels(phases, conv, rate, shape):
        bias = kernel.bias if made[phase] else conv.bias
        part = replace(kernel, bias=bias)
        made[phase].append(terms.convolved(value, part, _shape_of(shape, rate, phase), layer))
    return Phases(shape, rate, tuple(terms.added(values) if len(values) > 1 else values[0] for values in made.values()))


def padding_differs(phases: Phases, conv: Conv | ConvTranspose, shape: Shape) -> bool:
    """Whether zeros padded by `conv` are not zeros padded to the sources of the map, biases left out."""
    if isinstance(conv, Conv) and conv.padding == (0, 0):
        return False
    kernels = _kernels(phases, conv, _rate(phases, conv, shape), shape)
    return any(terms.padding_differs(value, kernel) for _, value, kernel in kernels)


def dense(parts: Sequence[Phases], linear: Linear, layer: str) -> Phases:
    """The features after a dense layer that reads `parts` one after the other, each flattened in C order."""
    outputs, start = len(linear.bias), 0
    found, bias = [], linear.bias
    for part in parts:
        weight = linear.weight[:, start : start + part.features]
        start += part.features
        if part.resampled is None:
            weight = weight.reshape(outputs, part.shape[0], *part.extents)
        else:
            of_windows = weight.reshape(outputs, part.shape[0], *part.resampled_extents)
            weight = part.resampled.rows.T @ of_windows @ part.resampled.columns
        for value, members in part.distinct():
            each = [weight[:, :, down :: part.rate[0], across :: part.rate[1]] for down, across in members]
            of_phases = np.sum(each, axis=0)
            bias = bias + of_phases.sum(axis=(2, 3)) @ value.bias
            found += terms.dense_terms(value, of_phases, layer)
    return whole(Value((outputs,), tuple(found), frozen_array(bias, np.float64)))


def _joined(join: Callable[[list[Value]], Value], several: Sequence[Phases]) -> Phases:
    """What `join` makes of the values of the same phase."""
    first = several[0]
    rates = [lcm(*(each.rate[axis] for each in several)) for axis in (0, 1)]
    rate = (min(rates[0], first.extents[0]), min(rates[1], first.extents[1]))
    alike = [_held_at(each, rate) for each in several]
    values = tuple(join([each.at(phase) for each in alike]) for phase in _phases(rate))
    return Phases((values[0].shape[0], *first.shape[1:]), rate, values)


def _held_at(phases: Phases, rate: Pair) -> Phases:
    """The same map in more phases."""
    if phases.rate == rate:
        return phases
    same = identity_kernel(phases.shape[0])
    values = [
        terms.convolved(value, kernel, _shape_of(phases.shape, rate, phase), None)
        for phase, value, kernel in _kernels(phases, same, rate, phases.shape)
    ]
    return Phases(phases.shape, rate, tuple(values))


def _kernels(
    phases: Phases, conv: Conv | ConvTranspose, rate: Pair, shape: Shape
) -> Iterator[tuple[Pair, Value, Conv]]:
    """(phase of the output, value that it reads, how): convolutions without bias, at least one for each phase."""
    if phases.rate == rate == (1, 1) and isinstance(conv, Conv):
        yield (0, 0), phases.values[0], replace(conv, bias=_zeros(shape[0]))
        return
    distinct = phases.distinct()
    for phase in _phases(rate):
        counts = _extents(_shape_of(shape, rate, phase))
        is_read = False
        for value, members in distinct:
            kernel = phase_kernel(conv, members, phases.rate, phase, rate, _extents(value.shape), counts)
            if kernel is not None:
                is_read = True
                yield phase, value, _conv(conv, kernel)
        if not is_read:  # between the windows of a transposed convolution: nothing but its bias
            value = distinct[0][0]
            yield phase, value, _conv(conv, silent_kernel(conv, _extents(value.shape), counts))


def _conv(like: Conv | ConvTranspose, kernel: PhaseKernel) -> Conv:
    weight = frozen_array(kernel.weight, np.float64)
    return Conv(weight, _zeros(len(weight)), kernel.stride, kernel.padding, (1, 1), like.groups)


def _rate(phases: Phases, conv: Conv | ConvTranspose, shape: Shape) -> Pair:
    down, across = (
        window.rate(rate, extent) for window, rate, extent in zip(windows_of(conv), phases.rate, shape[1:], strict=True)
    )
    return down, across


def _phases(rate: Pair) -> Iterator[Pair]:
    return ((down, across) for down in range(rate[0]) for across in range(rate[1]))


def _shape_of(shape: Shape, rate: Pair, phase: Pair) -> Shape:
    """The shape of one phase of a map."""
    sizes = zip(shape[1:], rate, phase, strict=True)
    return (shape[0], *(-(-(extent - first) // apart) for extent, apart, first in sizes))


def _extents(shape: Shape) -> Pair:
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


def _larger(shape: Shape, channels: int, factors: Pair) -> Shape:
    return (channels, shape[1] * factors[0], shape[2] * factors[1])


def _zeros(count: int) -> FloatArray:
    return frozen_array(np.zeros(count), np.float64)
