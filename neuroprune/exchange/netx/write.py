"""Writing a program in lava-dl's exchange format, netx: HDF5 as lava/lib/dl/netx/hdf5.py of lava-dl 0.6 reads it.

    from lava.lib.dl.netx import hdf5
    network = hdf5.Network("program.net", input_message_bits=8, reset_interval=steps, reset_offset=1)

Graded frames go to `network.inp` in the order (x, y, channel), each for `steps` steps (flat, in the order (channel, y,
x), where the first layer is dense). The reset offset is 1 because a frame sent at chip step 1 reaches the first
neurons at step 2; with lava-dl's default of 0 every sample would lose its last step to the next one. What the format
cannot hold (steps, input and readout; names, scales, resets and groups of the layers) is kept in HDF5 attributes,
which lava-dl does not read and neuroprune/exchange/netx/read.py does.
"""

import dataclasses
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.exchange.netx.synapses import MOST_DELAY, loader_changes
from neuroprune.files import replace_file
from neuroprune.fixed_point import BIAS_EXPONENT, REGISTER_BITS, IntArray, signed_range
from neuroprune.graph.nodes import INPUT, Shape
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.groups import merge_groups
from neuroprune.program.types import IntBias, IntConv, IntDense, IntLayer, IntProgram, IntSynapse

BIAS_BITS = 13
"""Mantissa with sign (Lava 0.10, proc/lif/models.py, bias_mant); Lava itself does not enforce it."""


class Joined(NamedTuple):
    """All connections of a layer as one synapse; delay: of all, of each output, or of each weight of a dense layer."""

    synapse: IntSynapse
    delay: IntArray


def write_netx(program: IntProgram, path: Path) -> tuple[str, ...]:
    """Write `program` to `path` and return a sentence for everything that the format cannot hold, layer by layer.

    The file is written even so, with the nearest that the format has; but netx is a chain, so that a program with
    branches is not written at all. Programs with such remarks still run in Lava directly. Raises OutputError.
    """
    previous = (INPUT, *(layer.name for layer in program.layers))
    joined = [_join(layer) for layer in program.layers]
    others = [
        f"layer {layer.name!r} has {type(layer.neuron).__name__} neurons, but netx only CUBA ones: no file was written"
        for layer in program.layers
        if not isinstance(layer.neuron, IntCubaLif)
    ]
    branches = [
        branch
        for layer, before, one in zip(program.layers, previous, joined, strict=False)
        if (branch := _branch(layer, before, one)) is not None
    ]
    if others or branches:
        return (*others, *branches)
    synapses = [one for one in joined if one is not None]
    content = _content(program, synapses)
    replace_file(path, lambda temporary: temporary.write_bytes(content))
    losses = [loss for layer, one in zip(program.layers, synapses, strict=True) for loss in _losses(layer, one)]
    if program.readout.of == "voltage":
        losses.append(
            f"the scores are the voltages of layer {program.layers[-1].name!r}, which netx has no output for: read "
            "them from the last layer's neurons after the last step"
        )
    return tuple(losses)


def _branch(layer: IntLayer, before: str, joined: Joined | None) -> str | None:
    sources = dict.fromkeys(connection.source for connection in layer.forward)
    if list(sources) != [before]:
        return (
            f"layer {layer.name!r} reads {' and '.join(map(repr, sources))}, but netx connects every layer to the one "
            "before it: no file was written"
        )
    if joined is None:
        return (
            f"layer {layer.name!r} reads {before!r} by {len(layer.forward)} synapses at once, but netx has one for "
            "every layer: no file was written"
        )
    if layer.recurrent and (not _is_recurrent_block(layer) or joined.delay.any()):
        return (
            f"layer {layer.name!r} reads itself, which netx has for dense layers without delays alone: no file was "
            "written"
        )
    return None


def _is_recurrent_block(layer: IntLayer) -> bool:
    """Whether all its synapses are dense, those to itself one matrix."""
    return len(layer.recurrent) == 1 and all(isinstance(each.synapse, IntDense) for each in layer.connections)


def _join(layer: IntLayer) -> Joined | None:
    """None where connections differ in more than which of their weights are not 0, and in their delays."""
    first, *others = (connection.synapse for connection in layer.forward)
    delays = np.array([connection.delay for connection in layer.forward], np.int32)
    if not others:
        return Joined(first, delays[0])
    if any(_geometry(other) != _geometry(first) for other in others):
        return None
    weights = np.stack([synapse.weight for synapse in (first, *others)])
    used = weights != 0 if isinstance(first, IntDense) else (weights != 0).any(axis=(2, 3, 4))
    if (used.sum(axis=0) > 1).any():
        return None
    delay = np.einsum("i,i...->...", delays, used.astype(np.int32))
    return Joined(dataclasses.replace(first, weight=weights.sum(axis=0, dtype=np.int16)), delay)


def _geometry(synapse: IntSynapse) -> tuple[object, ...]:
    if isinstance(synapse, IntDense):
        return (synapse.weight.shape,)
    return synapse.weight.shape, synapse.stride, synapse.padding, synapse.dilation, synapse.groups


def _losses(layer: IntLayer, joined: Joined) -> list[str]:
    losses = []
    called, longest = f"layer {layer.name!r}", int(joined.delay.max())
    largest = int(np.abs(_biases(layer.bias)).max())
    if largest > signed_range(BIAS_BITS)[1]:
        losses.append(
            f"{called} has a bias of {largest} units of 2**{BIAS_EXPONENT}, the unit of netx, more than the "
            f"{BIAS_BITS} bits of a chip's field hold: Lava runs it as it is, a chip needs the exponent "
            f"{layer.bias.exponent} instead"
        )
    if (_biases(layer.bias) % 1).any():
        losses.append(
            f"{called} has biases in units of 2**{layer.bias.exponent}, netx in units of "
            f"2**{BIAS_EXPONENT}: they are rounded down"
        )
    if layer.neuron.reset == "subtract":
        losses.append(f"{called} resets by subtraction, netx to zero only: lava-dl runs it so")
    if layer.neuron.state_bits < REGISTER_BITS:
        losses.append(
            f"{called} has registers of {layer.neuron.state_bits} bits, netx of {REGISTER_BITS}: lava-dl runs it so, "
            "which differs where they overflow"
        )
    if longest > MOST_DELAY:
        losses.append(f"{called} has a delay of {longest} steps, netx of {MOST_DELAY} at most: lava-dl shortens it")
    if longest and isinstance(joined.synapse, IntConv):
        losses.append(f"{called} is a convolution with a delay of {longest} steps, which lava-dl's loader drops")
    change = loader_changes(joined.synapse.weight) if isinstance(joined.synapse, IntDense) else None
    if change is not None:
        losses.append(f"dense {called} {change}")
    return losses


def _biases(bias: IntBias) -> FloatArray:
    """In the format's units, before they are rounded."""
    return bias.mantissa * 2.0 ** (bias.exponent - BIAS_EXPONENT)


def _content(program: IntProgram, synapses: list[Joined]) -> bytes:
    """The whole file; made in memory, since HDF5 cannot close a file that a full disk has cut short."""
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        _state(
            file,
            steps=program.steps,
            input_bits=program.input.bits,
            input_unit=program.input.unit,
            input_sequence=program.input.sequence,
            readout_of=program.readout.of,
            readout_over_time=program.readout.over_time,
            readout_votes=program.readout.votes,
        )
        layers = file.create_group("layer")
        _add(layers, "input", program.input.shape)
        for layer, (synapse, delay) in zip(program.layers, synapses, strict=True):
            if isinstance(synapse, IntConv):
                group = _add(layers, "conv", layer.shape)
                _fill_conv(group, merge_groups(synapse))
                _state(group, groups_of_program=synapse.groups)
            else:
                if len(layer.connections[0].in_shape) > 1:
                    _add(layers, "flatten", (synapse.weight.shape[1],))
                group = _add(layers, "dense_rec" if layer.recurrent else "dense", layer.shape)
                _fill_dense(group, synapse)
                for own in layer.recurrent:
                    group["weight_rec"] = own.synapse.weight
            if delay.any():
                group["delay"] = delay
            group["bias"] = np.floor(_biases(layer.bias)).astype(np.int32)
            assert isinstance(layer.neuron, IntCubaLif)
            _fill_neuron(group.create_group("neuron"), layer.neuron)
            _state(
                group,
                name=layer.name,
                scale=layer.scale,
                limited_by=layer.limited_by,
                weight_bits=layer.weight_bits,
                bias_exp=layer.bias.exponent,
                reset=layer.neuron.reset,
            )
    return buffer.getvalue()


def _state(holder: h5py.Group, **facts: str | float) -> None:
    """Keep facts in attributes; text in a fixed length, so that no reader needs HDF5's heap."""
    for name, fact in facts.items():
        holder.attrs[name] = np.bytes_(fact.encode("utf-8")) if isinstance(fact, str) else fact


def _add(layers: h5py.Group, kind: str, shape: Shape) -> h5py.Group:
    """Layers are groups named by their number."""
    group = layers.create_group(str(len(layers)))
    group.create_dataset("type", (1,), "S10", [kind.encode("ascii")])
    group["shape"] = np.array(shape)
    return group


def _fill_conv(group: h5py.Group, conv: IntConv) -> None:
    """Pairs are (vertical, horizontal) and the weights torch's, as lava-dl's own blocks write them."""
    outputs, inputs, *kernel = conv.weight.shape
    group["inChannels"], group["outChannels"] = inputs * conv.groups, outputs
    group["kernelSize"] = np.array(kernel)
    group["stride"], group["padding"] = np.array(conv.stride), np.array(conv.padding)
    group["dilation"], group["groups"] = np.array(conv.dilation), conv.groups
    group["weight"] = conv.weight


def _fill_dense(group: h5py.Group, dense: IntDense) -> None:
    group["outFeatures"], group["inFeatures"] = dense.weight.shape
    group["weight"] = dense.weight


def _fill_neuron(group: h5py.Group, neuron: IntCubaLif) -> None:
    """A CUBA neuron; hdf5.py subtracts the 1 from iDecay that Loihi 1 adds to decay_u."""
    group["type"] = np.bytes_("CUBA")
    group["iDecay"], group["vDecay"] = neuron.decay_u + 1, neuron.decay_v
    group["vThMant"] = neuron.vth
    group["refDelay"] = 1
    group["gradedSpike"] = False
