"""What the cores of the DYNAP-CNN family have: their numbers and their four resources."""

from dataclasses import dataclass
from typing import ClassVar

from neuroprune.chips.family import Family, number, numbers
from neuroprune.chips.types import Resource


@dataclass(frozen=True)
class DynapcnnCore(Family):
    """The numbers of the cores; all are >= 1.

    kernel_words_per_core, neuron_words_per_core: memories of each core, in the order of their numbers.
    bias_words_per_core: of any. destinations_per_core: layers that one sends spikes to.
    kernel_size_max: rows and columns of a kernel, which is square. stride_max: strides are powers of two up to it.
    padding_max: on each side. pool_size_max: windows of the sum pooling behind a core are powers of two up to it.
    channels_max: of a layer. map_size_max, input_size_max: rows and columns of a layer, and of what one reads.
    """

    layer_per_core: ClassVar[bool] = True
    kernel_words_per_core: tuple[int, ...] = numbers("words")
    neuron_words_per_core: tuple[int, ...] = numbers("words")
    bias_words_per_core: int = number("words")
    destinations_per_core: int = number("destinations")
    kernel_size_max: int = number("pixels")
    stride_max: int = number("pixels")
    padding_max: int = number("pixels")
    pool_size_max: int = number("pixels")
    channels_max: int = number("channels")
    map_size_max: int = number("pixels")
    input_size_max: int = number("pixels")

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The memories, each of the core that has most of it, and destinations."""
        return self._resources(max(self.kernel_words_per_core), max(self.neuron_words_per_core))

    def resources_of(self, core: int) -> tuple[Resource, ...]:
        """Those of the core of that number."""
        return self._resources(self.kernel_words_per_core[core], self.neuron_words_per_core[core])

    @property
    def most_neurons(self) -> int:
        """A word each."""
        return max(self.neuron_words_per_core)

    def _resources(self, kernel_words: int, neuron_words: int) -> tuple[Resource, ...]:
        return (
            Resource(
                "kernel memory",
                "words",
                kernel_words,
                "prune its channels or those of the layers it reads, or take a smaller kernel",
                "A word for each weight: input channels times the places of the kernel and the output channels, the "
                "last two each rounded up to a power of two.",
            ),
            Resource(
                "neuron memory",
                "words",
                neuron_words,
                "prune its channels, or let its stride or a pool before it make its map smaller",
                "A word for each neuron: channels times the rows and the columns of the map, these two each rounded up "
                "to a power of two.",
            ),
            Resource(
                "bias memory",
                "words",
                self.bias_words_per_core,
                "prune its channels, or leave its biases out",
                "A word for each channel of a layer that has biases.",
            ),
            Resource(
                "destinations",
                "destinations",
                self.destinations_per_core,
                "let fewer layers read it",
                "Layers that the core sends its spikes to, each behind a sum pooling of its own.",
            ),
        )


def powers_of_two(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... up to `most`."""
    return tuple(1 << exponent for exponent in range(most.bit_length()))
