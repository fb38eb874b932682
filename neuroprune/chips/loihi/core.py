"""What a core of the Loihi family has: its numbers and its five resources."""

from collections.abc import Sequence
from dataclasses import dataclass

from neuroprune.chips.family import Family, number
from neuroprune.chips.types import Resource, TileResources
from neuroprune.errors import InputError


@dataclass(frozen=True)
class LoihiCore(Family):
    """The numbers of a core; all but skip_bits_max are >= 1. Raises InputError for numbers that cannot be counted with.

    synapse_formats_per_core: bounds the tiles that keep synapses on one core, each in formats of its own.
    synapse_words_per_core, word_bits: the synapse memory.
    synapses_per_block, block_header_bits: synapse memory is used in blocks, each with a header, of whole words.
    index_bits_min, index_bits_max: widths of the neuron index that a sparse synapse can carry.
    skip_bits_min, skip_bits_max: widths of the gap to the neuron before that can stand in place of an index; at most 0
    where none can, nor nothing where each neuron follows the one before.
    axon_base_bits: bits of the base compartment that an input axon adds to the indices of its synapses.
    population_axon_slots: output axons that one shared by the channels of a pixel counts for.
    delay_bits: of each stored synapse where synapses delay.
    subtracting_compartments: neurons' worth that a neuron takes whose reset subtracts the threshold; where it is more
    than one, it subtracts by a synapse from itself. See `loihi.resets`.
    """

    neurons_per_core: int = number("neurons")
    input_axons_per_core: int = number("axons")
    output_axons_per_core: int = number("axons")
    synapse_words_per_core: int = number("words")
    word_bits: int = number("bits", most=2**16)
    synapse_formats_per_core: int = number("formats")
    synapses_per_block: int = number("synapses")
    block_header_bits: int = number("bits", most=2**16)
    index_bits_min: int = number("bits", most=32)
    index_bits_max: int = number("bits", most=32)
    skip_bits_min: int = number("bits", most=32)
    skip_bits_max: int = number("bits", most=32, least=0)
    axon_base_bits: int = number("bits", most=32)
    population_axon_slots: int = number("axons")
    delay_bits: int = number("bits", most=32)
    subtracting_compartments: int = number("neurons")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.index_bits_min > self.index_bits_max:
            raise InputError(
                f"index_bits_min is {self.index_bits_min}, but index_bits_max is {self.index_bits_max}: lower the one "
                "or raise the other"
            )

    @property
    def gap_widths(self) -> tuple[int, ...]:
        """Bits that can stand in place of an index, ascending; 0 where each neuron follows the one before."""
        return (0, *range(self.skip_bits_min, self.skip_bits_max + 1)) if self.skip_bits_max else ()

    @property
    def synapse_bits_per_core(self) -> int:
        """Synapse memory of a core, in bits."""
        return self.synapse_words_per_core * self.word_bits

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Neurons, idle ones among them; axons in and out; synapse memory; and formats, which bound the tiles."""
        return (
            Resource(
                "neurons",
                "neurons",
                self.neurons_per_core,
                "prune the layer",
                "Compartments that hold the state of a neuron: one for each, more where a reset by subtraction takes "
                "them, and those of idle neurons around a tile.",
            ),
            Resource(
                "input axons",
                "axons",
                self.input_axons_per_core,
                "prune the layer or pool before it",
                "Where spikes enter the core: one for each source neuron of a connection, or, where the channels of a "
                "pixel share it, for each source pixel.",
            ),
            Resource(
                "output axons",
                "axons",
                self.output_axons_per_core,
                "prune the layers that read it, so that they take fewer cores",
                "Where spikes leave the core: one for each neuron and each tile that reads it, or, of a pixel whose "
                f"channels share it, {self.population_axon_slots} for each tile that reads the pixel.",
            ),
            Resource(
                "synapse memory",
                "bits",
                self.synapse_bits_per_core,
                "prune the layer",
                "Runs and blocks of weights, with their indices and delays, in whole words: each encoding of a "
                "connection stores them in its own way, and that of least cost is taken.",
            ),
            Resource(
                "synapse formats",
                "formats",
                self.synapse_formats_per_core,
                "let it read fewer layers",
                "Ways in which the synapses of a tile are laid out: one for each encoding in it, with and without "
                "delays, and for each width of gaps.",
            ),
        )

    @property
    def most_neurons(self) -> int:
        """As many as the core has."""
        return self.neurons_per_core

    @property
    def longest_delay(self) -> int:
        """What the bits of a stored delay hold."""
        return (1 << self.delay_bits) - 1

    def cost(self, tiles: Sequence[TileResources]) -> tuple[float, ...]:
        """Synapse memory, then axons."""
        _, inputs, outputs, bits, _ = map(sum, zip(*(each.used for each in tiles), strict=True))
        return bits, inputs + outputs
