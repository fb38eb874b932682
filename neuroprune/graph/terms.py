"""Values between two layers of neurons: each is a sum of linear maps of spikes or of the input, plus a bias.

A `Term` is one such map, of some channels of one source onto some channels of the value. Convolution, dense layers,
BatchNorm, average pooling, addition, concatenation and selection turn values into values, all of them exactly (in
float64): kernels multiply out, channels are sliced. Features count as the channels of a map of 1x1.
"""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from neuroprune.arrays import FloatArray, frozen_array
from neuroprune.graph.compose import (
    convolve_after,
    dense_after,
    depthwise,
    identity_kernel,
    is_depthwise,
    is_identity,
    pads_differ,
    scale_outputs,
    ungrouped,
)
from neuroprune.graph.nodes import Conv, IndexArray, Linear, Shape, Synapse


@dataclass(frozen=True, eq=False)
class Term:
    """value[writes[j]] += op(source[reads])[j].

    source_shape: (channels, height, width) of the whole source. op: a Conv without bias; or a Linear on the whole of a
    source, in C order. reads: int64 channels of the source. writes: int64 channels of the value, each at most once.
    layer: the last layer whose weights are in op, or None. delay: steps by which the source's spikes arrive later.
    """

    source: str
    source_shape: Shape
    reads: IndexArray
    op: Synapse
    writes: IndexArray
    layer: str | None = None
    delay: int = 0

    @property
    def before(self) -> Shape:
        """The shape of what op reads."""
        return (len(self.reads), *self.source_shape[1:])


@dataclass(frozen=True, eq=False)
class Value:
    """A map (channels, height, width) or features (channels,); bias: float64 [channels]."""

    shape: Shape
    terms: tuple[Term, ...]
    bias: FloatArray

    @property
    def extents(self) -> Shape:
        """(channels, height, width), which is (features, 1, 1) for features."""
        return self.shape if len(self.shape) == 3 else (self.shape[0], 1, 1)


def source_value(name: str, shape: Shape, delay: int = 0) -> Value:
    """The spikes of a layer of neurons, or the input, as they are, or `delay` steps later."""
    extents = shape if len(shape) == 3 else (shape[0], 1, 1)
    channels = extents[0]
    term = Term(name, extents, _all(channels), identity_kernel(channels), _all(channels), delay=delay)
    return Value(shape, (term,), _zeros(channels))


def spikes_at_most(value: Value) -> int:
    """The largest number of spikes that a sum of spikes as they are can hold at one place."""
    reached = np.zeros(value.shape[0], np.int64)
    for term in value.terms:
        assert is_depthwise(term.op), "a sum of spikes has no weights"
        reached[term.writes] += np.rint(term.op.weight.sum(axis=(1, 2, 3))).astype(np.int64)
    return int(reached.max())


def convolved(value: Value, conv: Conv, shape: Shape, layer: str | None) -> Value:
    """The value after a convolution; `layer` is its name, None for the fixed weights of a pooling."""
    terms = []
    for term in value.terms:
        if is_depthwise(conv):
            second = replace(
                conv, weight=conv.weight[term.writes], bias=_zeros(len(term.writes)), groups=len(term.writes)
            )
            writes = term.writes
        elif _is_all(term.writes, value.shape[0]):
            second, writes = replace(conv, bias=_zeros(shape[0])), _all(shape[0])
        else:
            weight = np.ascontiguousarray(ungrouped(conv).weight[:, term.writes])
            second, writes = replace(conv, weight=weight, bias=_zeros(shape[0]), groups=1), _all(shape[0])
        op = second if is_identity(term.op) else convolve_after(term.op, second)
        terms.append(replace(term, op=op, writes=writes, layer=layer or term.layer))
    carried = ungrouped(conv).weight.sum(axis=(2, 3)) @ value.bias if np.any(value.bias) else 0.0
    return Value(shape, tuple(terms), frozen_array(carried + conv.bias, np.float64))


def padding_differs(value: Value, conv: Conv) -> bool:
    """Whether zeros padded by `conv` to the value are not zeros padded to its sources, biases left out."""
    return conv.padding != (0, 0) and any(
        isinstance(term.op, Conv) and pads_differ(term.op, term.before, value.extents) for term in value.terms
    )


def dense_terms(value: Value, weight: FloatArray, layer: str) -> list[Term]:
    """What dense weights [outputs, *extents of the value] make of its terms."""
    return [_dense_term(term, weight[:, term.writes], layer) for term in value.terms]


def _dense_term(term: Term, weight: FloatArray, layer: str | None) -> Term:
    """`term` followed by dense weights [outputs, *extents of what it gives]."""
    outputs, between = len(weight), weight.shape[1:]
    linear = Linear(weight.reshape(outputs, -1), _zeros(outputs))
    if isinstance(term.op, Linear):
        return replace(term, op=Linear(linear.weight @ term.op.weight, linear.bias), writes=_all(outputs), layer=layer)
    one = linear if is_identity(term.op) else dense_after(term.op, linear, term.before, between)
    channels = term.source_shape[0]
    if _is_all(term.reads, channels):
        whole = one.weight
    else:
        spread = np.zeros((outputs, channels, prod(term.source_shape[1:])))
        each = np.arange(outputs)[:, None]
        np.add.at(spread, (each, term.reads[None, :]), one.weight.reshape(outputs, len(term.reads), -1))
        whole = spread.reshape(outputs, -1)
    return replace(
        term, reads=_all(channels), op=Linear(whole, _zeros(outputs)), writes=_all(outputs), layer=layer or term.layer
    )


def scaled(value: Value, gain: FloatArray, offset: FloatArray) -> Value:
    """value * gain + offset, both float64 [channels]."""
    terms = tuple(
        replace(term, op=scale_outputs(term.op, gain[term.writes], _zeros(len(term.writes)))) for term in value.terms
    )
    return Value(value.shape, terms, frozen_array(value.bias * gain + offset, np.float64))


def added(values: list[Value]) -> Value:
    """The sum of values of one shape."""
    terms = tuple(term for value in values for term in value.terms)
    return Value(values[0].shape, terms, frozen_array(sum(value.bias for value in values), np.float64))


def concatenated(values: list[Value]) -> Value:
    """One after the other along the channels."""
    terms: list[Term] = []
    start = 0
    for value in values:
        terms += [replace(term, writes=term.writes + start) for term in value.terms]
        start += value.shape[0]
    bias = np.concatenate([value.bias for value in values])
    return Value((start, *values[0].shape[1:]), tuple(terms), frozen_array(bias, np.float64))


def selected(value: Value, channels: IndexArray) -> Value:
    """The channels of the value in another order, some left out or repeated."""
    terms = []
    for term in value.terms:
        place = np.full(value.shape[0], -1)
        place[term.writes] = np.arange(len(term.writes))
        taken = place[channels]
        kept = np.flatnonzero(taken >= 0)
        if len(kept):
            terms.append(replace(_outputs(term, taken[kept]), writes=kept))
    return Value((len(channels), *value.shape[1:]), tuple(terms), frozen_array(value.bias[channels], np.float64))


@dataclass(frozen=True, eq=False)
class Fed:
    """A synapse, without bias, from the spikes of `source` by `delay` steps later; layers: those with its weights."""

    source: str
    delay: int
    layers: tuple[str, ...]
    synapse: Synapse


def synapses(value: Value) -> list[Fed]:
    """The synapses of all terms; terms of one source and one geometry are one, those with a delay last.

    Features are reached by Linear, maps by Conv.
    """
    merged: dict[tuple[object, ...], Fed] = {}
    for term in value.terms:
        op = _whole_linear(term, value.shape[0]) if len(value.shape) == 1 else _whole_conv(term, value.shape[0])
        layers: tuple[str, ...] = (term.layer,) if term.layer is not None else ()
        geometry: tuple[object, ...] = (term.source, term.delay, op.weight.shape)
        if isinstance(op, Conv):
            geometry += (op.stride, op.padding, op.dilation, op.groups)
        if geometry in merged:
            other = merged[geometry]
            op = replace(op, weight=other.synapse.weight + op.weight)
            layers = tuple(dict.fromkeys(other.layers + layers))
        merged[geometry] = Fed(term.source, term.delay, layers, op)
    return sorted(merged.values(), key=lambda fed: fed.delay)


def _whole_conv(term: Term, channels: int) -> Conv:
    """The term's convolution from all channels of the source to all of the value."""
    op = term.op
    assert isinstance(op, Conv), "dense layers give features"
    inputs = term.source_shape[0]
    if _is_all(term.reads, inputs) and _is_all(term.writes, channels):
        return op
    narrow = ungrouped(op).weight
    weight = np.zeros((channels, inputs, *narrow.shape[2:]))
    np.add.at(weight, (term.writes[:, None], term.reads[None, :]), narrow)
    return replace(op, weight=weight, bias=_zeros(channels), groups=1)


def _whole_linear(term: Term, features: int) -> Linear:
    """The term's dense map from the whole source to all features of the value."""
    if isinstance(term.op, Conv):
        outputs = len(term.writes)
        writes, term = term.writes, _dense_term(term, np.eye(outputs).reshape(outputs, outputs, 1, 1), None)
        term = replace(term, writes=writes)
    assert isinstance(term.op, Linear)
    if _is_all(term.writes, features):
        return term.op
    weight = np.zeros((features, term.op.weight.shape[1]))
    weight[term.writes] = term.op.weight
    return Linear(weight, _zeros(features))


def _outputs(term: Term, outputs: IndexArray) -> Term:
    """The term with some of its outputs only; the caller replaces its `writes`."""
    op = term.op
    if _is_all(outputs, len(term.writes)):
        return term
    if isinstance(op, Linear):
        return replace(term, op=Linear(op.weight[outputs], op.bias[outputs]))
    if is_depthwise(op):
        kernels = depthwise(op.weight[outputs], op.stride, op.padding, op.dilation)
        return replace(term, reads=term.reads[outputs], op=kernels)
    return replace(term, op=replace(op, weight=ungrouped(op).weight[outputs], bias=op.bias[outputs], groups=1))


def _all(count: int) -> IndexArray:
    return np.arange(count)


def _is_all(indices: IndexArray, count: int) -> bool:
    return len(indices) == count and bool(np.all(indices == np.arange(count)))


def _zeros(count: int) -> FloatArray:
    return np.zeros(count)
