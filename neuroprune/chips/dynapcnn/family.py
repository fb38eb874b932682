"""The DYNAP-CNN family: what a layer takes of a core, and what no core computes.

A core computes one convolution, integrates and fires, and adds up its spikes in windows for each layer that it sends
them to. Memory is counted as sinabs 3.1 counts it (backend/dynapcnn/dynapcnn_layer.py, `memory_summary`); a kernel in
groups is stored with its zeros. Where a layer reads several, they share its kernel where their weights are equal, else
their channels follow each other (docs/speck/faqs/available_network_arch.md, feature_shift).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from neuroprune.chips.dynapcnn.core import DynapcnnCore, powers_of_two
from neuroprune.chips.dynapcnn.kernels import Kernel, kernel_of
from neuroprune.chips.synapse_counts import count_synapses
from neuroprune.chips.types import Reader, Tile, TileCounter, TileResources, volume
from neuroprune.fixed_point import DECAY_UNITY, IntegerRules
from neuroprune.program.types import IntLayer, IntProgram


@dataclass(frozen=True)
class Dynapcnn(DynapcnnCore):
    """Unequal cores for a convolution each; the chip is asynchronous, and running it in steps is a model of it."""

    name: ClassVar[str] = "dynapcnn"

    @property
    def encodings(self) -> tuple[str, ...]:
        """Kernels, by the window of the pool that they are behind."""
        return tuple(map(_encoding, powers_of_two(self.pool_size_max)))

    def tile_counter(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[Reader], rules: IntegerRules
    ) -> TileCounter:
        """Counts tiles of `layer`, of which a chip has whole ones only."""
        kernels = self._kernels(layer)
        has_bias = bool(layer.bias.mantissa.any())

        def count(tile: Tile) -> TileResources:
            channels, height, width = (stop - start for start, stop in zip(tile.start, tile.stop, strict=True))
            return TileResources(
                tile,
                used=(
                    kernel_words(kernels, channels),
                    channels * (_rounded_up(height) * _rounded_up(width)),
                    channels * has_bias,
                    len(readers),
                ),
                synapses=sum(count_synapses(connection, tile) for connection in layer.connections),
                encodings=tuple(_encoding(each.pool) for each in kernels),
            )

        return count

    def problems(self, program: IntProgram) -> tuple[str, ...]:
        """Neurons that leak, kernels, strides and maps that no core has."""
        return tuple(
            f"layer {layer.name}: {problem}"
            for layer in program.layers
            for problem in dict.fromkeys([*self._neuron_problems(layer), *self._kernel_problems(layer)])
        )

    def _kernels(self, layer: IntLayer) -> list[Kernel]:
        pools = powers_of_two(self.pool_size_max)
        return [kernel_of(connection, layer.shape, pools) for connection in layer.forward]

    def _neuron_problems(self, layer: IntLayer) -> Iterator[str]:
        from neuroprune.neurons.cuba_lif import IntCubaLif  # loads torch, which reading a chip does not need

        neuron = layer.neuron
        if not isinstance(neuron, IntCubaLif):
            yield f"neurons are {type(neuron).__name__}, a core has integrate-and-fire ones alone: take those"
            return
        if neuron.decay_v != 0:
            yield (
                f"neurons lose {neuron.decay_v / DECAY_UNITY:.3g} of their potential in a step, those of a core "
                "lose nothing: take neurons without leak (kind: if)"
            )
        if neuron.decay_u + 1 != DECAY_UNITY:
            yield (
                f"neurons keep {1 - (neuron.decay_u + 1) / DECAY_UNITY:.3g} of their current in a step, those of a "
                "core have none: take neurons without a current of their own"
            )
        if layer.recurrent:
            yield "own spikes are read, a core sends none to itself: leave the recurrence out"
        channels, *sizes = volume(layer.shape)
        if channels > self.channels_max:
            yield f"{channels} channels, a core computes {self.channels_max} at most: prune them"
        if max(sizes) > self.map_size_max:
            yield (
                f"a map of {sizes[0]}x{sizes[1]}, that of a core {self.map_size_max}x{self.map_size_max} at most: "
                "give it a stride, or pool before it"
            )

    def _kernel_problems(self, layer: IntLayer) -> Iterator[str]:
        kernels, most, strides = self._kernels(layer), self.kernel_size_max, powers_of_two(self.stride_max)
        for each in kernels:
            (height, width), pools = each.size, powers_of_two(self.pool_size_max)[1:]
            if height != width or height > most:
                yield (
                    f"a kernel of {height}x{width}, that of a core square and {most}x{most} at most: take such a "
                    f"one, or pool before it in windows of {_either(pools)}"
                )
            if not {*each.stride} <= {*strides}:
                yield f"a stride of {max(each.stride)}, that of a core {_either(strides)}: take one of these"
            if max(each.padding) > self.padding_max:
                yield f"a padding of {max(each.padding)}, that of a core {self.padding_max} at most: take less"
            if max(each.dilation) > 1:
                yield f"a dilation of {max(each.dilation)}, that of a core 1: take a kernel without gaps"
            if max(each.source[1:]) > self.input_size_max:
                yield (
                    f"{each.source[1]}x{each.source[2]} pixels are read, a core reads {self.input_size_max}x"
                    f"{self.input_size_max} at most: scale the frames down"
                )
        if len({(each.size, each.stride, each.padding, each.source[1:]) for each in kernels}) > 1:
            yield (
                f"{len(kernels)} layers are read through kernels of different form, a core has one: give them the same "
                "kernel size, stride and padding"
            )


def kernel_words(kernels: Sequence[Kernel], channels: int) -> int:
    """Kernel memory of a layer of so many channels; equal kernels are stored once.

    >>> import numpy as np
    >>> from neuroprune.chips.dynapcnn.kernels import Kernel
    >>> kernel = Kernel(1, (3, 8, 8), np.zeros((33, 3, 5, 5), np.int16), (1, 1), (0, 0), (1, 1))
    >>> kernel_words([kernel], 33)  # 3 * 32 * 64: 33 channels cost as 64
    6144
    """
    height, width = kernels[0].size
    sources = {each.key: each.source[0] for each in kernels}
    return sum(sources.values()) * _rounded_up(height * width) * _rounded_up(channels)


def _encoding(pool: int) -> str:
    return "kernel" if pool == 1 else f"kernel behind pool {pool}"


def _rounded_up(count: int) -> int:
    """The least power of two that is not below."""
    return 1 << (count - 1).bit_length()


def _either(values: Sequence[int]) -> str:
    *before, last = map(str, values)
    return f"{', '.join(before)} or {last}" if before else last
