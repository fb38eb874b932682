"""The synapses of a netx layer: weights that a chip holds, and the delays of what they carry.

What the fields mean is taken from lava-dl 0.6, from how its blocks write them (lib/dl/slayer/block/base.py) and how
its loader reads them (lib/dl/netx/hdf5.py, blocks/process.py). Where the two differ the loader is followed, since that
is what runs in Lava, and a remark says so.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import frozen_array
from neuroprune.errors import UnsupportedNetwork
from neuroprune.excerpts import excerpt
from neuroprune.exchange.netx.fields import AGAIN, Integers
from neuroprune.exchange.netx.parts import Notes, Part
from neuroprune.fixed_point import IntegerRules, weight_range, weight_step
from neuroprune.graph.nodes import Pair, Shape
from neuroprune.program.types import IntConnection, IntConv, IntDense, IntSynapse

MOST_DELAY = 62
"""lava-dl clamps longer delays (hdf5.py, create_dense)."""
LARGEST_MAP = 1 << 24
"""Neurons of 128 chips of 128 cores of 1024: a larger declared size is refused."""


def read_connections(
    part: Part, source: str, shape: Shape, rules: IntegerRules, notes: Notes
) -> tuple[tuple[IntConnection, ...], int]:
    """What a layer reads of `source`, a map of `shape`: a connection for each of its delays; and its weight bits.

    Raises InputError for fields that contradict each other or `shape`.
    """
    stated = part.fields.attribute("weight_bits", int)
    bits = rules.weight_bits if stated is None else int(stated)
    if not 2 <= bits <= rules.weight_bits:
        raise part.fields.error(f"states weights of {bits} bits, not 2 to {rules.weight_bits}: {AGAIN}")
    weight = _held(part, _dense_weight(part, shape) if part.is_dense else _conv_weight(part, shape), bits, notes)
    delay = _delays(part, weight.shape, notes)
    steps = [int(each) for each in np.unique(delay)]
    carrying = [each for each in steps if np.where(delay == each, weight, 0).any()] or steps[:1]
    return tuple(
        IntConnection(source, _synapse(part, np.where(delay == each, weight, 0), shape), shape, each)
        for each in carrying
    ), bits


def read_recurrence(part: Part, name: str, neurons: int, bits: int, notes: Notes) -> IntConnection:
    """What a recurrent layer called `name` reads of itself. Raises InputError for weights of another size."""
    weight = part.fields.integers("weight_rec")
    if weight.size != neurons**2 or weight.ndim > 2:
        raise part.fields.error(f"has recurrent weights of shape {list(weight.shape)} for {neurons} neurons: {AGAIN}")
    if part.fields.has("delay") and part.fields.integers("delay").any():
        notes.problems.append(
            f"{part.place} has delays, which lava-dl's loader gives to its recurrent synapses, too, and here those "
            "take one step: train it without delays"
        )
    weight = _held(part, weight.reshape(neurons, neurons), bits, notes)
    return IntConnection(name, IntDense(frozen_array(weight, np.int16)), (neurons,), 1)


def _held(part: Part, stored: Integers, bits: int, notes: Notes) -> Integers:
    """The weights as the chip holds them in `bits`; those that it does not are noted."""
    low, high = weight_range(bits)
    weight: Integers = np.clip(stored, low, high)
    wrong = int(((weight != stored) | (stored % weight_step(bits) != 0)).sum())
    if wrong:
        notes.problems.append(
            f"{part.place} has {wrong} weights that {bits} bits do not hold, which are the multiples of "
            f"{weight_step(bits)} from {low} to {high}: train it with lava-dl's 8-bit quantisation"
        )
    return weight


def output_shape(part: Part, connection: IntConnection) -> Shape:
    """Of the layer's neurons. Raises InputError where none are left, too many, or others than the file states."""
    synapse = connection.synapse
    found: Shape = (len(synapse.weight),)
    if isinstance(synapse, IntConv):
        found += tuple(
            (size + 2 * pad - gap * (kernel - 1) - 1) // step + 1
            for size, pad, gap, kernel, step in zip(
                connection.in_shape[1:],
                synapse.padding,
                synapse.dilation,
                synapse.weight.shape[2:],
                synapse.stride,
                strict=True,
            )
        )
    if min(found) < 1 or math.prod(found) > LARGEST_MAP:
        raise part.fields.error(f"makes a map of {list(found)}, not 1 to {LARGEST_MAP} neurons: {AGAIN}")
    stated = part.fields.integers("shape").reshape(-1).tolist()
    if stated != list(found) and not (part.is_dense and math.prod(stated) == found[0]):
        raise part.fields.error(f"states a shape of {excerpt(stated)}, but its weights make {list(found)}: {AGAIN}")
    return found


def loader_changes(weight: npt.NDArray[np.integer[Any]]) -> str | None:
    """What lava-dl 0.6 makes of some dense weights instead of loading them as they are."""
    least, most = int(weight.min()), int(weight.max())
    if least == most == 0:
        return "has no weight but 0, on which lava-dl 0.6 fails to load (OverflowError in optimize_weight_bits)"
    if most <= 0 and -least & (-least - 1) == 0:
        return (
            f"has no positive weight and {least} as its least: lava-dl 0.6 stores such weights as inhibitory ones, "
            "which end one above a power of two, and loads the least ones as smaller"
        )
    return None


def _dense_weight(part: Part, shape: Shape) -> Integers:
    """[outputs, inputs], or flat."""
    weight = part.fields.integers("weight")
    outputs, inputs = math.prod(part.fields.integers("shape").reshape(-1).tolist()), math.prod(shape)
    if weight.ndim == 1 and weight.size == outputs * inputs:
        weight = weight.reshape(outputs, inputs)
    if weight.shape != (outputs, inputs) or weight.size == 0:
        raise part.fields.error(
            f"has weights of shape {list(weight.shape)} for {outputs} outputs and {inputs} inputs: {AGAIN}"
        )
    return weight


def _conv_weight(part: Part, shape: Shape) -> Integers:
    """[outputs, inputs / groups, height, width]; pooling is one kernel for each channel apart."""
    weight = part.fields.integers("weight")
    if weight.ndim == 5 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    if part.kind == "pool" and weight.shape[:2] == (1, 1) and weight.size * shape[0] <= LARGEST_MAP:
        weight = np.repeat(weight, shape[0], axis=0)
    groups = _groups(part, shape)
    if weight.ndim != 4 or weight.size == 0 or weight.shape[1] * groups != shape[0] or len(weight) % groups:
        raise part.fields.error(
            f"has weights of shape {list(weight.shape)} in {groups} groups for {shape[0]} input channels: {AGAIN}"
        )
    return weight


def _groups(part: Part, shape: Shape) -> int:
    groups = shape[0] if part.kind == "pool" else part.fields.integer("groups")
    if groups < 1:
        raise part.fields.error(f"has {groups} groups, and at least 1 is needed: {AGAIN}")
    return groups


def _synapse(part: Part, weight: Integers, shape: Shape) -> IntSynapse:
    frozen = frozen_array(weight, np.int16)
    if part.is_dense:
        return IntDense(frozen)
    stride, padding, dilation = _pair(part, "stride", 1), _pair(part, "padding", 0), _pair(part, "dilation", 1)
    kernel = weight.shape[2:]
    if part.kind == "pool" and (
        (stride, padding, dilation) != (kernel, (0, 0), (1, 1)) or shape[1] % kernel[0] or shape[2] % kernel[1]
    ):
        raise UnsupportedNetwork(
            [
                f"{part.place} pools {shape[1]} x {shape[2]} pixels by a kernel of {kernel[0]} x {kernel[1]} at "
                f"a stride of {stride[0]} x {stride[1]}, which leaves some over or takes some twice: use a convolution"
            ]
        )
    conv = IntConv(frozen, stride, padding, dilation, _groups(part, shape))
    stated = part.fields.attribute("groups_of_program", int)
    return conv if stated is None else _split_groups(part, conv, int(stated))


def _split_groups(part: Part, conv: IntConv, groups: int) -> IntConv:
    """Undo `merge_groups`: the same convolution in the groups it had before they were merged for lava-dl."""
    outputs, inputs, *kernel = conv.weight.shape
    merged = max(groups // conv.groups, 1)
    if groups != merged * conv.groups or outputs % groups or inputs % merged:
        raise part.fields.error(f"states {groups} groups that its {conv.groups} cannot be split into: {AGAIN}")
    blocks = conv.weight.reshape(conv.groups, merged, outputs // groups, merged, inputs // merged, *kernel)
    apart = np.stack([blocks[:, member, :, member] for member in range(merged)], axis=1)
    if np.count_nonzero(apart) != np.count_nonzero(conv.weight):
        raise part.fields.error(f"states {groups} groups that its weights do not keep apart: {AGAIN}")
    weight = frozen_array(apart.reshape(outputs, inputs // merged, *kernel), np.int16)
    return IntConv(weight, conv.stride, conv.padding, conv.dilation, groups)


def _pair(part: Part, name: str, least: int) -> Pair:
    """(vertical, horizontal), or one number for both."""
    values = part.fields.integers(name).reshape(-1).tolist()
    if len(values) not in (1, 2) or min(values) < least:
        raise part.fields.error(
            f"has a {name} of {excerpt(values)}, not one or two numbers of at least {least}: {AGAIN}"
        )
    return values[0], values[-1]


def _delays(part: Part, shape: tuple[int, ...], notes: Notes) -> Integers:
    """Of every weight of `shape`, to be broadcast; stored for all, for each output, each input, or each weight."""
    if not part.fields.has("delay"):
        return np.zeros((), np.int32)
    delay = part.fields.integers("delay")
    if delay.size and (delay.min() < 0 or delay.max() > MOST_DELAY):
        notes.problems.append(
            f"{part.place} has delays of {delay.min()} to {delay.max()} steps, and lava-dl has 0 to {MOST_DELAY}: "
            "train it within that"
        )
        return np.zeros((), np.int32)
    if delay.any():
        _remark_delays(part, int(delay.max()), notes)
    if delay.size == 1:
        return delay.reshape(())
    if delay.shape == shape[:1]:
        return delay.reshape(-1, *(1 for _ in shape[1:]))
    if part.is_dense and delay.shape in (shape[1:], shape):
        return delay
    raise part.fields.error(f"has delays of shape {list(delay.shape)} for weights of shape {list(shape)}: {AGAIN}")


def _remark_delays(part: Part, longest: int, notes: Notes) -> None:
    notes.remarks.append(
        f"{part.place} delays its input by up to {longest} steps: spikes that would arrive after the last step of a "
        "sample are lost here, and reach the next sample in lava-dl"
    )
    if not part.is_dense:
        notes.remarks.append(
            f"{part.place} has delays, which lava-dl's loader drops: they are kept here, in the way of dense layers"
        )
    if part.fields.has("bias") and part.fields.integers("bias").any():
        notes.remarks.append(
            f"{part.place} has biases and delays: as in lava-dl's loader the input waits, where in training all that "
            "the layer sends did"
        )
