"""Programs with fewer channels: what is left when some are removed, and which ones can only go together.

Features of a dense layer are channels of one pixel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import frozen_array
from neuroprune.graph.nodes import INPUT
from neuroprune.program.types import IntBias, IntConnection, IntConv, IntDense, IntLayer, IntProgram, IntSynapse

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Coupled:
    """Layers whose channels can only be removed together, by their names in the order of the program; of each
    `channels`. channels: how many each of them has."""

    layers: tuple[str, ...]
    channels: int


def narrowed(program: IntProgram, kept: Mapping[str, Mask]) -> IntProgram:
    """`program` without some channels: all other neurons compute what they would if those had never fired.

    kept: by name of the layer, bool [channels], True for those that stay, of which there must be one; layers that are
    not named keep all. Layers that nothing changes are the same objects.
    """
    layers = tuple(_narrowed(layer, kept) for layer in program.layers)
    return replace(program, layers=layers)


def coupled_layers(program: IntProgram) -> tuple[Coupled, ...]:
    """All sets of layers that can lose channels, each set the same ones, in the order of the program.

    Coupled are a layer and what it reads channel by channel (a shortcut, a pool, a depthwise convolution), layers that
    another reads through equal synapses, since it reads their sum, and the parts of a larger map. Left out are what is
    coupled with the input or the outputs, and what grouped convolutions or selections of channels read or make.
    """
    of = {INPUT: INPUT} | {layer.name: layer.name for layer in program.layers}
    closed = {INPUT, program.layers[-1].name}

    def join(one: str, two: str) -> None:
        of.update({name: of[one] for name, other in of.items() if other == of[two]})

    for layer in program.layers:
        join(_of_network(layer, program), layer.name)
        for connection in layer.connections:
            if is_channelwise(connection):
                join(layer.name, connection.source)
            elif _picks_channels(connection):
                closed |= {layer.name, connection.source}
        for one, two in combinations(layer.forward, 2):
            if one.source != two.source and _are_equal(one.synapse, two.synapse):
                join(one.source, two.source)
    shut = {of[name] for name in closed}
    together: dict[str, list[IntLayer]] = {}
    for layer in program.layers:
        together.setdefault(of[layer.name], []).append(layer)
    return tuple(
        Coupled(tuple(layer.name for layer in layers), layers[0].shape[0])
        for name, layers in together.items()
        if name not in shut and len({layer.shape[0] for layer in layers}) == 1
    )


def is_channelwise(connection: IntConnection) -> bool:
    """Whether each channel reads the same channel of the source alone."""
    synapse, channels = connection.synapse, connection.in_shape[0]
    if isinstance(synapse, IntConv):
        return synapse.groups == channels == len(synapse.weight) and channels > 1
    weight = synapse.weight
    if len(connection.in_shape) > 1 or len(weight) != channels or channels == 1:
        return False
    return bool(np.diag(weight).all()) and np.count_nonzero(weight) == channels


def _of_network(layer: IntLayer, program: IntProgram) -> str:
    """The first layer that is part of the same layer of the network: of a larger map, whose parts are called
    "name[0::2,1::2]"."""
    whole = layer.name.partition("[")[0]
    return next(each.name for each in program.layers if each.name.partition("[")[0] == whole)


def _picks_channels(connection: IntConnection) -> bool:
    """Whether some outputs read none of the source, or its channels are in groups."""
    synapse = connection.synapse
    if isinstance(synapse, IntConv) and synapse.groups > 1:
        return True
    return not synapse.weight.reshape(len(synapse.weight), -1).any(axis=1).all()


def _are_equal(one: IntSynapse, two: IntSynapse) -> bool:
    if one is two:
        return True
    same = type(one) is type(two) and np.array_equal(one.weight, two.weight)
    if same and isinstance(one, IntConv) and isinstance(two, IntConv):
        geometry = ("stride", "padding", "dilation", "groups")
        return all(getattr(one, name) == getattr(two, name) for name in geometry)
    return same


def _narrowed(layer: IntLayer, kept: Mapping[str, Mask]) -> IntLayer:
    stays = kept.get(layer.name)
    connections = tuple(_cut(each, stays, kept.get(each.source)) for each in layer.connections)
    if stays is None:
        unchanged = all(new is old for new, old in zip(connections, layer.connections, strict=True))
        return layer if unchanged else replace(layer, connections=connections)
    assert stays.any(), f"no channel of {layer.name} is kept"
    bias = IntBias(frozen_array(layer.bias.mantissa[stays], np.int32), layer.bias.exponent)
    return replace(layer, connections=connections, bias=bias, shape=(int(stays.sum()), *layer.shape[1:]))


def _cut(connection: IntConnection, outputs: Mask | None, inputs: Mask | None) -> IntConnection:
    """`connection` between the channels that are left, None standing for all."""
    if outputs is None and inputs is None:
        return connection
    synapse, shape = connection.synapse, connection.in_shape
    outputs = np.ones(len(synapse.weight), dtype=np.bool_) if outputs is None else outputs
    inputs = np.ones(shape[0], dtype=np.bool_) if inputs is None else inputs
    cut: IntSynapse
    if isinstance(synapse, IntDense):
        cut = IntDense(_weight(synapse.weight[outputs][:, np.repeat(inputs, synapse.weight.shape[1] // shape[0])]))
    elif is_channelwise(connection) and np.array_equal(outputs, inputs):
        cut = replace(synapse, weight=_weight(synapse.weight[outputs]), groups=int(outputs.sum()))
    else:
        cut = replace(synapse, weight=_weight(_ungrouped(synapse)[outputs][:, inputs]), groups=1)
    return replace(connection, synapse=cut, in_shape=(int(inputs.sum()), *shape[1:]))


def _weight(weight: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    return frozen_array(weight, np.int16)


def _ungrouped(synapse: IntConv) -> npt.NDArray[np.int16]:
    """The weights of one group, with those between groups written out as zeros."""
    weight, groups = synapse.weight, synapse.groups
    if groups == 1:
        return weight
    outputs, inputs = weight.shape[:2]
    whole = np.zeros((outputs, inputs * groups, *weight.shape[2:]), dtype=np.int16)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return whole
