"""Random programs on random small chips, mapped: what the tables of cores are made of, and run from."""

from dataclasses import dataclass, replace

import numpy as np
from own_objects import NeuronsOnly
from programs import random_program
from table_counts import counted, misfits

from neuroprune.arrays import InputSpikes, frozen_array
from neuroprune.chips.chip import Chip
from neuroprune.chips.dynapcnn.family import Dynapcnn
from neuroprune.chips.load import load_chip
from neuroprune.chips.loihi.family import Loihi
from neuroprune.chips.tables import ChipTables
from neuroprune.errors import CapacityError, UnsupportedNetwork, VerificationError
from neuroprune.mapping.map import map_program
from neuroprune.mapping.tables import core_tables
from neuroprune.mapping.types import ChipMapping
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConnection, IntConv, IntLayer, IntProgram
from neuroprune.simulation.compare import compare
from neuroprune.simulation.cores import run_cores
from neuroprune.simulation.engine import record
from neuroprune.simulation.types import Record

LOIHI, SPECK = load_chip("loihi-sim"), load_chip("speck")
LIMITS = (
    "neurons_per_core",
    "input_axons_per_core",
    "output_axons_per_core",
    "synapse_words_per_core",
    "synapse_formats_per_core",
)


@dataclass(frozen=True, eq=False)
class Mapped:
    """A program, samples for it, and where it is: `balanced` on `chip`."""

    program: IntProgram
    frames: InputSpikes
    balanced: IntProgram
    chip: Chip
    mapping: ChipMapping

    def tables(self) -> ChipTables:
        return core_tables(self.mapping, self.balanced, self.chip)

    def kinds(self) -> dict[str, bool]:
        """What of the ways to put a program on cores occurs."""
        tiles = [each for core in self.mapping.cores for each in core.tiles]
        return {
            "on several cores": len(self.mapping.cores) > 1,
            "with cores of several tiles": any(len(core.tiles) > 1 for core in self.mapping.cores),
            "with relays": len(self.balanced.layers) > len(self.program.layers),
            "with idle neurons": any(each.idle_neurons for each in tiles),
            "on Speck": isinstance(self.chip.core, Dynapcnn),
            "on cores of a family of one's own": isinstance(self.chip.core, NeuronsOnly),
            **{
                f"in {way} synapses": any(way in each.encodings for each in tiles)
                for way in ("dense", "sparse", "shared")
            },
        }


def random_mapped(seed: int) -> Mapped:
    """`random_program(seed)` or one of larger maps, varied, on a chip on which it just fits; the same for a seed.

    Some weights become 0, some taps equal, as pooling makes them, and some synapses are used again from another source.
    """
    rng = np.random.default_rng((seed, 1))
    if rng.random() < 0.2:
        return _random_on_speck(rng)
    program, frames = random_program(seed, largest=6 if rng.random() < 0.7 else 14)
    program = varied(rng, program)
    chip = random_chip(rng)
    balanced = balance(program, chip.synaptic_delay_max)
    while True:
        try:
            return Mapped(program, frames, balanced, chip, map_program(balanced, chip))
        except CapacityError:
            chip = doubled(chip)


def differences(case: Mapped) -> list[str]:
    """Where the cores, run from their tables, are not what engine and counts say."""
    tables = case.tables()
    found = misfits(tables, case.chip.core.axon_base_bits if isinstance(case.chip.core, Loihi) else None)
    if isinstance(case.chip.core, Loihi):
        for number, (core, written) in enumerate(zip(case.mapping.cores, tables.cores, strict=True)):
            if core.used != counted(written, case.chip.core):
                found.append(
                    f"core {number} was counted as {core.used}, its tables are {counted(written, case.chip.core)}"
                )
    try:
        compare(
            record(case.program, case.frames, every_step=True), without_relays(case, run_cores(tables, case.frames))
        )
    except VerificationError as error:
        found.append(str(error))
    return found


def without_relays(case: Mapped, found: Record) -> Record:
    """The layers of the program alone, which relays do not change."""
    names = {layer.name for layer in case.program.layers}
    return Record(tuple(layer for layer in found.layers if layer.name in names))


def _random_on_speck(rng: np.random.Generator) -> Mapped:
    """The first random program that, without leaks and loops, Speck computes."""
    while True:
        program, frames = random_program(int(rng.integers(2**32)), memoryless=True)
        program = replace(program, layers=tuple(map(_without_leak, program.layers)))
        balanced = balance(program, SPECK.synaptic_delay_max)
        try:
            return Mapped(program, frames, balanced, SPECK, map_program(balanced, SPECK))
        except (CapacityError, UnsupportedNetwork):
            continue


def _without_leak(layer: IntLayer) -> IntLayer:
    assert isinstance(layer.neuron, IntCubaLif)
    return replace(layer, connections=layer.forward, neuron=replace(layer.neuron, decay_v=0))


def random_chip(rng: np.random.Generator) -> Chip:
    """Small cores, in which some resource is scarce, and fields of any width; one in five of another family."""
    delay_bits = int(rng.integers(1, 7))
    longest = int(rng.choice([0, 1, min(3, 2**delay_bits - 1), 2**delay_bits - 1]))
    if rng.random() < 0.2:
        return replace(LOIHI, synaptic_delay_max=longest, core=NeuronsOnly(int(rng.integers(1, 60))))
    index_bits = int(rng.integers(1, 7))
    core = replace(
        LOIHI.core,
        neurons_per_core=int(2 ** rng.uniform(0, 8)),
        input_axons_per_core=int(2 ** rng.uniform(2, 9)),
        output_axons_per_core=int(2 ** rng.uniform(2, 9)),
        synapse_words_per_core=int(2 ** rng.uniform(2, 11)),
        synapse_formats_per_core=int(rng.integers(1, 9)),
        word_bits=int(rng.choice([16, 64])),
        synapses_per_block=int(rng.choice([3, 64])),
        block_header_bits=int(rng.integers(1, 12)),
        index_bits_min=index_bits,
        index_bits_max=int(rng.choice([index_bits, 12])),
        axon_base_bits=int(rng.integers(1, 9)),
        population_axon_slots=int(rng.integers(1, 4)),
        delay_bits=delay_bits,
    )
    offered = ((1, 2, 3, 4, 5, 6, 8), (2, 4, 8), (8,))[int(rng.integers(3))]
    rules = replace(LOIHI.rules, weight_bits_offered=offered)
    return replace(LOIHI, synaptic_delay_max=longest, core=core, rules=rules)


def doubled(chip: Chip) -> Chip:
    """Twice of everything that a core can run out of."""
    names = [name for name in LIMITS if hasattr(chip.core, name)]
    return replace(chip, core=replace(chip.core, **{name: 2 * getattr(chip.core, name) for name in names}))


def varied(rng: np.random.Generator, program: IntProgram) -> IntProgram:
    shapes = {"input": program.input.shape}
    layers = []
    for layer in program.layers:
        zeros = float(rng.choice([0.0, 0.0, 0.5, 0.95]))
        connections = [_with_zeros(rng, each, zeros) for each in layer.connections]
        twins = [
            replace(each, source=str(rng.choice(alike)), delay=int(rng.integers(0, 3)))
            for each in connections[: len(layer.forward)]
            if rng.random() < 0.3 and (alike := [name for name, shape in shapes.items() if shape == each.in_shape])
        ]
        connections[len(layer.forward) : len(layer.forward)] = twins
        layers.append(replace(layer, connections=tuple(connections)))
        shapes[layer.name] = layer.shape
    return replace(program, layers=tuple(layers))


def _with_zeros(rng: np.random.Generator, connection: IntConnection, zeros: float) -> IntConnection:
    weight = np.where(rng.random(connection.synapse.weight.shape) < zeros, 0, connection.synapse.weight)
    if isinstance(connection.synapse, IntConv) and rng.random() < 0.3:
        height, width = weight.shape[2:]
        rows, columns = np.sort(rng.integers(0, height, height)), np.sort(rng.integers(0, width, width))
        weight = weight[:, :, rows][:, :, :, columns]
    return replace(connection, synapse=replace(connection.synapse, weight=frozen_array(weight, np.int16)))
