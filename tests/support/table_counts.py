"""What the tables of a core take of it, counted entry by entry in plain Python, and the fields that they must fit."""

import math
from collections import Counter
from itertools import islice

import numpy as np

from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.tables import IDLE, OFF_CHIP, ChipTables, CompartmentGroup, CoreTables, SynapseFormat
from neuroprune.fixed_point import weight_range, weight_step


def counted(tables: CoreTables, core: LoihiCore) -> tuple[int, ...]:
    """Neurons, input axons, output axons, bits of synapse memory and formats, as `TileResources.used` has them."""
    begins, length = iter(tables.memory.begins.tolist()), tables.memory.length.tolist()
    runs = zip(tables.memory.format.tolist(), (list(islice(begins, count)) for count in length), strict=True)
    return (
        sum(len(group.neuron) * group.size for group in tables.groups),
        len(tables.inputs.run),
        sum(core.population_axon_slots if shared else 1 for shared in tables.outputs.population.tolist()),
        sum(bits_of_memory(tables.formats[form], begin, core) for form, begin in runs),
        len(tables.formats),
    )


def bits_of_memory(form: SynapseFormat, begins: list[int], core: LoihiCore) -> int:
    """Memory of one run; begins: of each of its synapses."""
    stored = form.weight_bits + form.delay_bits
    if form.skip_bits is None:
        return bits_of_run(len(begins), stored + form.index_bits, core)
    bits, words = core.block_header_bits + form.index_bits, 0
    for begin in (*begins[1:], 1):
        bits += stored + form.skip_bits
        if begin:
            words += math.ceil(bits / core.word_bits)
            bits = core.block_header_bits + form.index_bits
    return words * core.word_bits


def bits_of_run(synapses: int, bits: int, core: LoihiCore) -> int:
    """Memory of one run, block by block."""
    total = 0
    while synapses > 0:
        block = min(synapses, core.synapses_per_block)
        total += math.ceil((block * bits + core.block_header_bits) / core.word_bits) * core.word_bits
        synapses -= block
    return total


def misfits(tables: ChipTables, base_bits: int | None = None) -> list[str]:
    """Whatever in the tables is no entry that could be written, or no whole program; nothing where all is well.

    base_bits: of the base of an input axon.
    """
    found = []
    for number, core in enumerate(tables.cores):
        found += [f"core {number}: {what}" for what in _core_misfits(core, base_bits)]
    neurons = Counter(n for core in tables.cores for group in core.groups for n in group.neuron.tolist() if n != IDLE)
    total = sum(math.prod(shape) for _, shape in tables.names)
    if neurons != Counter(range(total)):
        found.append("some neuron is not there once")
    arrived = Counter(
        (core, axon)
        for outputs in (tables.host.outputs, *(core.outputs for core in tables.cores))
        for core, axon in zip(outputs.core.tolist(), outputs.axon.tolist(), strict=True)
    )
    reached = {(core, axon) for core, axon in arrived if core != OFF_CHIP}
    if reached != {(n, axon) for n, core in enumerate(tables.cores) for axon in range(len(core.inputs.run))}:
        found.append("some input axon is reached by nobody, or some output axon leads nowhere")
    return found


def _core_misfits(core: CoreTables, base_bits: int | None) -> list[str]:
    found = []
    memory, outputs = core.memory, core.outputs
    ends = [(group.first, group.first + len(group.neuron) * group.size) for group in core.groups]
    if [stop for _, stop in ends[:-1]] != [first for first, _ in ends[1:]] or ends[0][0] != 0:
        found.append("compartments of its tiles overlap")
    if len(set(core.formats)) != len(core.formats):
        found.append("a format is there twice")
    holds = np.concatenate([senders(group) for group in core.groups])
    if np.any(holds[outputs.sender] == IDLE):
        found.append("an idle compartment sends")
    if set(core.inputs.run.tolist()) != set(range(len(memory.format))):
        found.append("a run is named by no axon")
    if base_bits is not None and core.inputs.base.max(initial=0) >> base_bits:
        found.append("a base is too large")
    largest_base = np.zeros(len(memory.format), np.int64)
    np.maximum.at(largest_base, core.inputs.run, core.inputs.base)
    starts = np.cumsum(memory.length) - memory.length
    for run, number in enumerate(memory.format.tolist()):
        form, length = core.formats[number], int(memory.length[run])
        here = slice(int(starts[run]), int(starts[run]) + length)
        weight, index, delay = memory.weight[here], memory.index[here], memory.delay[here]
        begins = memory.begins[here].astype(np.bool_)
        size = next(stop - first for first, stop in ends if first == form.first)
        low, high, step = weight_field(form)
        if weight.min() < low or weight.max() > high or np.any(weight % step):
            found.append("a weight does not fit its field")
        widest = 2**form.skip_bits - 1 if form.skip_bits else 1
        beyond = index[begins].max() >> form.index_bits > 0 or index[~begins].max(initial=0) > widest
        if index.min() < 0 or beyond or delay.min() < 0 or delay.max() >> form.delay_bits:
            found.append("an index or a delay does not fit its field")
        if not begins[:: length // memory.atoms[run]].all():
            found.append("a part of a run begins with a gap")
        reach = max(indices(index.tolist(), begins.tolist())) if form.index_bits else length // memory.atoms[run] - 1
        if form.step * (reach + largest_base[run]) >= size or length % memory.atoms[run]:
            found.append("a synapse leads beyond the compartments of its tile")
        if memory.atoms[run] > 1 and not form.population:
            found.append("a run of a plain axon has several parts")
    return found


def indices(stored: list[int], begins: list[bool]) -> list[int]:
    """Of all synapses, one after the other, where most have the gap to the one before."""
    found: list[int] = []
    for value, begin in zip(stored, begins, strict=True):
        found.append(value if begin else found[-1] + value)
    return found


def senders(group: CompartmentGroup) -> np.ndarray:
    """The neuron that each compartment sends the spikes of: the last of several, the others are idle there."""
    found = np.full((len(group.neuron), group.size), IDLE)
    found[:, -1] = group.neuron
    return found.reshape(-1)


def weight_field(form: SynapseFormat) -> tuple[int, int, int]:
    """The least weight, the largest, and the distance of neighbours."""
    if form.inhibitory:
        return -(256 - (1 << 8 - form.weight_bits)), 0, 1 << 8 - form.weight_bits
    return *weight_range(form.weight_bits), weight_step(form.weight_bits)
