"""Writing a program in lava-dl's exchange format, netx: HDF5 as lava/lib/dl/netx/hdf5.py of lava-dl 0.6 reads it.

    from lava.lib.dl.netx import hdf5
    network = hdf5.Network("program.net", input_message_bits=8, reset_interval=steps, reset_offset=1)

Graded frames go to `network.inp` in the order (x, y, channel), each for `steps` steps (flat, in the order (channel, y,
x), where the first layer is dense). The reset offset is 1 because a frame sent at chip step 1 reaches the first
neurons at step 2; with lava-dl's default of 0 every sample would lose its last step to the next one. What the format
has no place for (steps, bits and unit of the input, names and scales of the layers) is kept in HDF5 attributes, which
lava-dl does not read.
"""

from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from neuroprune.files import replace_file
from neuroprune.graph.nodes import FloatArray, Shape
from neuroprune.quantize.fixedpoint import BIAS_EXPONENT, signed_range
from neuroprune.quantize.groups import merge_groups
from neuroprune.quantize.types import IntConv, IntDense, IntNeuron, QuantGraph, QuantLayer

BIAS_BITS = 13
"""Mantissa with sign (Lava 0.10, proc/lif/models.py, bias_mant); Lava itself does not enforce it."""


def write_netx(graph: QuantGraph, path: Path) -> tuple[str, ...]:
    """Write `graph` to `path` and return a sentence for everything that the format cannot hold, layer by layer.

    The file is written even so, with the nearest that the format has; but netx is a chain, so that a program with
    branches is not written at all. Raises OutputError.
    """
    previous = ("input", *(layer.name for layer in graph.layers))
    branches = [
        f"layer {layer.name!r} reads {' and '.join(sources)}, but netx connects every layer to the one before it: "
        "no file was written"
        for layer, before in zip(graph.layers, previous, strict=False)
        if (sources := [repr(connection.source) for connection in layer.connections]) != [repr(before)]
    ]
    if branches:
        return tuple(branches)
    content = _content(graph)
    replace_file(path, lambda temporary: temporary.write_bytes(content))
    return tuple(remark for layer in graph.layers for remark in _losses(layer))


def _losses(layer: QuantLayer) -> list[str]:
    losses = []
    largest = int(np.abs(_biases(layer.neuron)).max())
    if largest > signed_range(BIAS_BITS)[1]:
        losses.append(
            f"layer {layer.name!r} has a bias of {largest} units of 2**{BIAS_EXPONENT}, the unit of netx, more than "
            f"the {BIAS_BITS} bits of a chip's field hold: Lava runs it as it is, a chip needs the exponent "
            f"{layer.neuron.bias_exp} instead"
        )
    if (_biases(layer.neuron) % 1).any():
        losses.append(
            f"layer {layer.name!r} has biases in units of 2**{layer.neuron.bias_exp}, netx in units of "
            f"2**{BIAS_EXPONENT}: they are rounded down"
        )
    (connection,) = layer.connections
    weight = connection.synapse.weight
    least, most = int(weight.min()), int(weight.max())
    if isinstance(connection.synapse, IntDense) and least == most == 0:
        losses.append(
            f"dense layer {layer.name!r} has no weight but 0, on which lava-dl 0.6 fails to load (OverflowError in "
            "optimize_weight_bits)"
        )
    elif isinstance(connection.synapse, IntDense) and most <= 0 and -least & (-least - 1) == 0:
        losses.append(
            f"dense layer {layer.name!r} has no positive weight and {least} as its least: lava-dl 0.6 stores such "
            "weights as inhibitory ones, which end one above a power of two, and loads the least ones as smaller"
        )
    return losses


def _biases(neuron: IntNeuron) -> FloatArray:
    """In the format's units, before they are rounded."""
    return neuron.bias_mant * 2.0 ** (neuron.bias_exp - BIAS_EXPONENT)


def _content(graph: QuantGraph) -> bytes:
    """The whole file; made in memory, since HDF5 cannot close a file that a full disk has cut short."""
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs.update({"steps": graph.steps, "input_bits": graph.input.bits, "input_unit": graph.input.unit})
        layers = file.create_group("layer")
        _add(layers, "input", graph.input.shape)
        for layer in graph.layers:
            (connection,) = layer.connections
            synapse = connection.synapse
            if isinstance(synapse, IntConv):
                group = _add(layers, "conv", layer.shape)
                _fill_conv(group, merge_groups(synapse))
            else:
                if len(connection.in_shape) > 1:
                    _add(layers, "flatten", (synapse.weight.shape[1],))
                group = _add(layers, "dense", layer.shape)
                _fill_dense(group, synapse)
            group.attrs.update({"name": layer.name, "scale": layer.scale, "limited_by": layer.limited_by})
            group["bias"] = np.floor(_biases(layer.neuron)).astype(np.int32)
            _fill_neuron(group.create_group("neuron"), layer.neuron)
    return buffer.getvalue()


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


def _fill_neuron(group: h5py.Group, neuron: IntNeuron) -> None:
    """A CUBA neuron; hdf5.py subtracts the 1 from iDecay that Loihi 1 adds to decay_u."""
    group["type"] = "CUBA"
    group["iDecay"], group["vDecay"] = neuron.decay_u + 1, neuron.decay_v
    group["vThMant"] = neuron.vth
    group["refDelay"] = 1
    group["gradedSpike"] = False
