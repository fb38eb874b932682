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
from neuroprune.chips.loihi.resets import reset_weight
from neuroprune.chips.tables import ChipTables
from neuroprune.errors import CapacityError, UnsupportedNetwork, VerificationError
from neuroprune.fixed_point import STATE_SHIFT, largest_state
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.map import map_program
from neuroprune.mapping.tables import core_tables
from neuroprune.mapping.types import ChipMapping
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConnection, IntConv, IntLayer, IntProgram
from neuroprune.simulation.compare import compare
from neuroprune.simulation.cores import run_cores
from neuroprune.simulation.engine import record, simulate
from neuroprune.simulation.types import LayerRecord, Record

LOIHI, SPECK = load_chip("loihi-sim"), load_chip("speck")
SPECKS, TOGETHER = 0.3, 0.3
"""Shares of the programs that are mapped to Speck, and of the others whose layers are cut together."""
LIMITS = (
    "neurons_per_core",
    "input_axons_per_core",
    "output_axons_per_core",
    "synapse_words_per_core",
    "synapse_formats_per_core",
)


@dataclass(frozen=True, eq=False)
class Mapped:
    """A program, samples for it, and where it is: `balanced` on `chip`, mapped with `effort`."""

    program: IntProgram
    frames: InputSpikes
    balanced: IntProgram
    chip: Chip
    mapping: ChipMapping
    effort: EffortName = "layers"

    def tables(self) -> ChipTables:
        return core_tables(self.mapping, self.balanced, self.chip)

    def kinds(self) -> dict[str, bool]:
        """What of the ways to put a program on cores occurs."""
        tiles = [each for core in self.mapping.cores for each in core.tiles]
        return {
            "with layers cut together": self.effort == "normal",
            "on several cores": len(self.mapping.cores) > 1,
            "with cores of several tiles": any(len(core.tiles) > 1 for core in self.mapping.cores),
            "with relays": len(self.balanced.layers) > len(self.program.layers),
            "with idle neurons": any(each.idle_neurons for each in tiles),
            "with gaps in place of indices": any(
                form.skip_bits for core in self.tables().cores for form in core.formats
            ),
            "on Loihi": isinstance(self.chip.core, Loihi),
            "on Speck": isinstance(self.chip.core, Dynapcnn),
            "with resets by a second compartment": bool(subtracting(self)),
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
    if rng.random() < SPECKS:
        return _random_on_speck(rng)
    program, frames = random_program(seed, largest=6 if rng.random() < 0.7 else 14)
    program = varied(rng, program)
    chip = random_chip(rng)
    if isinstance(chip.core, Loihi) and rng.random() < 0.4:
        program, chip = _with_second_compartments(rng, program, frames, chip)
    effort: EffortName = "normal" if rng.random() < TOGETHER else "layers"
    balanced = balance(program, chip.synaptic_delay_max)
    while True:
        try:
            return Mapped(program, frames, balanced, chip, map_program(balanced, chip, effort=effort), effort)
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
        found_by_cores = as_one_compartment(case, without_relays(case, run_cores(tables, case.frames)))
        compare(record(case.program, case.frames, every_step=True), found_by_cores)
    except VerificationError as error:
        found.append(str(error))
    return found


def without_relays(case: Mapped, found: Record) -> Record:
    """The layers of the program alone, which relays do not change."""
    names = {layer.name for layer in case.program.layers}
    return Record(tuple(layer for layer in found.layers if layer.name in names))


def subtracting(case: Mapped) -> dict[str, int]:
    """vth of the layers whose neurons are of two compartments, of which the second resets the first."""
    if not isinstance(case.chip.core, Loihi) or case.chip.core.subtracting_compartments == 1:
        return {}
    return {layer.name: layer.neuron.vth for layer in case.program.layers if layer.neuron.reset == "subtract"}


def as_one_compartment(case: Mapped, found: Record) -> Record:
    """u and v as they are where a spike subtracts at once, which in two compartments it does through the next u."""
    layers, vths = [], subtracting(case)
    for layer in found.layers:
        vth = vths.get(layer.name, 0) << STATE_SHIFT
        assert layer.u is not None and layer.v is not None
        spikes = layer.spikes.astype(np.int32)
        u = layer.u.copy()
        u[:, 1:] += vth * spikes[:, :-1]
        v = layer.v - vth * spikes
        layers.append(LayerRecord(layer.name, layer.spikes, v[:, -1], u, v))
    return Record(tuple(layers))


def _with_second_compartments(
    rng: np.random.Generator, program: IntProgram, frames: InputSpikes, chip: Chip
) -> tuple[IntProgram, Chip]:
    """A Loihi 1's resets, and neurons that two compartments compute: see `loihi.resets`.

    They keep all of their potential and nothing of their current, their threshold has 8 bits, and u does not wrap,
    whether or not the threshold comes off it: a layer that wraps resets to zero.
    """
    chip = replace(chip, core=replace(chip.core, subtracting_compartments=2, index_bits_max=12))
    layers = []
    for layer in program.layers:
        assert isinstance(layer.neuron, IntCubaLif)
        if rng.random() < 0.7:
            magnitude, exponent = reset_weight(layer.neuron.vth, chip.rules.stored_bits(layer.weight_bits))
            neuron = replace(layer.neuron, decay_u=4095, decay_v=0, vth=magnitude << exponent, reset="subtract")
            layer = replace(layer, neuron=neuron)
        elif layer.neuron.reset == "subtract":
            layer = replace(layer, neuron=replace(layer.neuron, reset="zero"))
        layers.append(layer)
        recorded = record(replace(program, layers=tuple(layers)), frames, every_step=True).layers[-1]
        assert recorded.u is not None
        room = largest_state(layer.neuron.state_bits) - (layer.neuron.vth << STATE_SHIFT)
        if np.abs(recorded.u.astype(np.int64)).max() > room or _wraps(program, layers, frames):
            layers[-1] = replace(layer, neuron=replace(layer.neuron, reset="zero"))
    return replace(program, layers=tuple(layers)), chip


def _wraps(program: IntProgram, layers: list[IntLayer], frames: InputSpikes) -> bool:
    """Whether u of the last of `layers` does."""
    return simulate(replace(program, layers=tuple(layers)), frames).layers[-1].current_wraps > 0


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
        skip_bits_min=(skip_bits := int(rng.integers(1, 4))),
        skip_bits_max=int(rng.choice([0, skip_bits, skip_bits + 1, skip_bits + 3])),
        axon_base_bits=int(rng.integers(1, 9)),
        population_axon_slots=int(rng.integers(1, 4)),
        delay_bits=delay_bits,
    )
    if rng.random() < 0.5:  # what makes gaps take less than indices
        core = replace(
            core,
            neurons_per_core=int(rng.integers(20, 200)),
            word_bits=8,
            synapses_per_block=64,
            block_header_bits=1,
            index_bits_min=12,
            index_bits_max=12,
            skip_bits_min=int(rng.integers(1, 4)),
            skip_bits_max=int(rng.integers(3, 6)),
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
