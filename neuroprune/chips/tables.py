"""What a loader writes to the cores of a chip: compartments, axons and synapses as plain tables.

A core knows no layers and no convolutions. Spikes enter it through input axons, each of which names a run of synapses
in the core's memory and a base compartment; a synapse adds its weight to the compartment of its index behind that base,
one step later, or as much later as it delays. What fires leaves through output axons, each of which names an input axon
of a core. `mapping.tables` makes the tables of a mapped program, with what its chip's family makes of each tile;
`simulation.cores` runs them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.graph.nodes import Shape
from neuroprune.neurons.model import IntNeuron
from neuroprune.program.types import IntInput

Numbers = npt.NDArray[np.int64]

OFF_CHIP = -1
"""In place of a core, for spikes that leave the chip."""
IDLE = -1
"""In place of a neuron, for compartments that hold none."""


@dataclass(frozen=True)
class SynapseFormat:
    """How synapses lie in memory.

    weight_bits: of a weight, with sign. index_bits: of an index; 0 for runs without, whose synapses lead to one
    compartment after the other. skip_bits: of the gap to the index before, which most synapses have in its place, 0
    where all of these lead to the next compartment; None where each has an index. delay_bits: of a delay, 0 where all
    arrive after the step that every synapse takes.
    population: whether runs are blocks of equal parts, one for each atom of an axon that many neurons share.
    first: compartment that indices and bases count from. step: compartments from one index, or base, to the next.
    inhibitory: whether all weights are negative, so that their bits hold the magnitude alone. exponent: of the power of
    two that weights are multiplied by.
    """

    weight_bits: int
    index_bits: int
    delay_bits: int
    population: bool
    first: int = 0
    step: int = 1
    inhibitory: bool = False
    exponent: int = 0
    skip_bits: int | None = None


@dataclass(frozen=True, eq=False)
class SynapseMemory:
    """Runs of synapses, one after the other; all int64.

    format, length, atoms: [runs], number of the run's format, its synapses, and the equal parts that they are in.
    weight, index, delay: [synapses]; the indices and delays of formats without are 0 and nobody reads them.
    begins: [synapses], 1 where `index` is one, 0 where it is the gap to that of the synapse before.
    """

    format: Numbers
    length: Numbers
    atoms: Numbers
    weight: Numbers
    index: Numbers
    delay: Numbers
    begins: Numbers

    @property
    def indices(self) -> Numbers:
        """int64 [synapses], the index of each, gaps added up."""
        summed = np.cumsum(self.index)
        first = np.flatnonzero(self.begins)
        before = summed[first] - self.index[first]
        return np.asarray(summed - before.repeat(np.diff(first, append=self.index.size)))


@dataclass(frozen=True, eq=False)
class InputAxons:
    """Where what arrives leads to; int64 [axons].

    run: of synapses. base: where indices count from. accumulator: number of the sum, one for each
    compartment, that its weights are added to: 0 holds any sum, others wrap at 24 bits, as each convolution of Lava's
    does by itself (proc/conv/models.py). All of them enter the compartment together.
    """

    run: Numbers
    base: Numbers
    accumulator: Numbers


@dataclass(frozen=True, eq=False)
class OutputAxons:
    """Where spikes go; int64.

    core, axon: [axons], the input axon that each leads to, or OFF_CHIP and the number of the neuron.
    population: bool [axons], whether the neurons of one pixel share it.
    sender, entry, atom: [messages], in the order of senders: when compartment `sender` fires, output axon `entry`
    carries a spike of that atom.
    """

    core: Numbers
    axon: Numbers
    population: npt.NDArray[np.bool_]
    sender: Numbers
    entry: Numbers
    atom: Numbers


@dataclass(frozen=True, eq=False)
class CompartmentGroup:
    """Compartments of one core, from `first` on, that follow the same rules.

    start: the chip step that they compute first, from u = v = 0; they rest before it, and after the steps of a sample.
    bias: int64 [places], added to v each step. neuron: int64 [places], the number in the whole program of the neuron
    that is there, or IDLE.
    size: compartments of each place. Of several the first integrates and is never reset, and the last fires in its
    stead: its spikes are what resets the first, through synapses.
    """

    first: int
    rules: IntNeuron
    start: int
    bias: Numbers
    neuron: Numbers
    size: int = 1

    @property
    def compartments(self) -> int:
        """Of all places."""
        return self.size * self.neuron.size


@dataclass(frozen=True, eq=False)
class CoreTables:
    """All that is written to one core.

    accumulators: sums that each compartment has; see `InputAxons`.
    """

    groups: tuple[CompartmentGroup, ...]
    formats: tuple[SynapseFormat, ...]
    memory: SynapseMemory
    inputs: InputAxons
    outputs: OutputAxons
    accumulators: int

    @property
    def compartments(self) -> int:
        """With idle ones."""
        return sum(group.compartments for group in self.groups)


@dataclass(frozen=True, eq=False)
class HostTables:
    """How the host injects frames: senders are the values of a frame in C order.

    wait: int64 [axons], chip steps from the step of the sample to the step in which it injects.
    """

    outputs: OutputAxons
    wait: Numbers


@dataclass(frozen=True, eq=False)
class ChipTables:
    """A whole program on its cores.

    input, steps: what a sample is. names: what the host calls the neurons, whose numbers run through these layers.
    """

    cores: tuple[CoreTables, ...]
    host: HostTables
    input: IntInput
    steps: int
    names: tuple[tuple[str, Shape], ...]


@dataclass(frozen=True, eq=False)
class TileAxons:
    """The input axons of one connection into a tile; int64.

    run, base: [axons]; see `InputAxons`. sources: [axons, atoms], the neurons of the source, in C order, that send a
    spike of each atom.
    """

    run: Numbers
    base: Numbers
    sources: Numbers


@dataclass(frozen=True, eq=False)
class TileTables:
    """What a family makes of one tile, as if it were alone on its core.

    places: with idle ones. place: int64 [neurons of the tile, in C order], that of each. size: compartments of a place;
    see `CompartmentGroup`.
    axons: of each connection of the layer, in their order. resets: those by which neurons of the tile reset themselves,
    whose sources are neurons of the tile; none where a spike does so at once.
    """

    places: int
    place: Numbers
    formats: tuple[SynapseFormat, ...]
    memory: SynapseMemory
    axons: tuple[TileAxons, ...]
    resets: tuple[TileAxons, ...] = ()
    size: int = 1

    @property
    def inputs(self) -> tuple[TileAxons, ...]:
        """All axons into the tile."""
        return (*self.axons, *self.resets)
