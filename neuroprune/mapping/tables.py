"""The tables of a mapped program: those of its tiles put together on their cores, and joined by output axons."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import prod
from operator import attrgetter
from typing import NamedTuple, Self

import numpy as np

from neuroprune.chips.chip import Chip
from neuroprune.chips.tables import (
    IDLE,
    OFF_CHIP,
    ChipTables,
    CompartmentGroup,
    CoreTables,
    HostTables,
    InputAxons,
    Numbers,
    OutputAxons,
    SynapseFormat,
    SynapseMemory,
    TileTables,
)
from neuroprune.chips.types import Tile, volume
from neuroprune.graph.nodes import INPUT
from neuroprune.mapping.types import ChipMapping
from neuroprune.program.timing import depths, synaptic_delay, wait
from neuroprune.program.types import IntConv, IntLayer, IntProgram


def core_tables(mapping: ChipMapping, program: IntProgram, chip: Chip) -> ChipTables:
    """What a loader writes to the cores of `chip` for `program` as `mapping` has it: what `run_cores` executes.

    program: balanced, the one that was mapped.

    >>> import torch
    >>> from neuroprune import (
    ...     balance, build, core_tables, fold, frames_of, load_chip, load_dataset, load_recipe, map_program, quantize,
    ...     trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> chip = load_chip("loihi-sim")
    >>> program = quantize(fold(trace(network, torch.from_numpy(frames))), frames, chip)
    >>> program = balance(program, chip.synaptic_delay_max)
    >>> tables = core_tables(map_program(program, chip), program, chip)
    >>> sum(int((group.neuron >= 0).sum()) for core in tables.cores for group in core.groups)  # neurons, each once
    4618
    """
    tiles = _tables_of_tiles(mapping, program, chip)
    depth = depths(program)
    numbers = _first_numbers(program)
    links = [link for each in tiles for link in _links(each, depth)]
    messages = [_messages(tiles, links, layer, numbers[layer.name]) for layer in program.layers]
    cores = [
        _core(list(here), _output_axons(sent)[0], depth, numbers)
        for (_, here), sent in zip(
            groupby(tiles, attrgetter("core")), _by_home(messages, len(mapping.cores)), strict=True
        )
    ]
    return ChipTables(
        tuple(cores),
        HostTables(*_output_axons(_joined([link for link in links if link.source == INPUT]))),
        program.input,
        program.steps,
        tuple((layer.name, layer.shape) for layer in program.layers),
    )


@dataclass(frozen=True, eq=False)
class _LoadedTile:
    """The tables of a tile of `layer`, and where they come to lie.

    core: its number. number: of the tile, over all cores. first_compartment, first_axon: on the core.
    """

    tile: Tile
    layer: IntLayer
    tables: TileTables
    core: int
    number: int
    first_compartment: int
    first_axon: int

    @property
    def neurons(self) -> Numbers:
        """int64 [neurons of the tile], their numbers within the layer, in C order."""
        box = tuple(map(slice, self.tile.start, self.tile.stop))
        return np.arange(prod(self.layer.shape)).reshape(volume(self.layer.shape))[box].reshape(-1)


def _tables_of_tiles(mapping: ChipMapping, program: IntProgram, chip: Chip) -> list[_LoadedTile]:
    layers = {layer.name: layer for layer in program.layers}
    depth = depths(program)
    tiles: list[_LoadedTile] = []
    for number, core in enumerate(mapping.cores):
        compartments = axons = 0
        for use in core.tiles:
            layer = layers[use.tile.layer]
            delays = [synaptic_delay(each, layer, depth) for each in layer.connections]
            tables = chip.core.tile_tables(layer, delays, use, chip.rules)
            tiles.append(_LoadedTile(use.tile, layer, tables, number, len(tiles), compartments, axons))
            compartments += tables.places * tables.size
            axons += sum(each.run.size for each in tables.inputs)
    return tiles


def _first_numbers(program: IntProgram) -> dict[str, int]:
    """The number in the whole program of the first neuron of each layer."""
    first, numbers = 0, {}
    for layer in program.layers:
        numbers[layer.name] = first
        first += prod(layer.shape)
    return numbers


@dataclass(frozen=True, eq=False)
class _Link:
    """The input axons of one connection into one tile, as those see them who send to it.

    axon, population: [axons], their numbers, and 1 for those that neurons share. sources: [axons, atoms], neurons of
    `source`. wait: chip steps that the host waits.
    """

    source: str
    reader: str
    core: int
    axon: Numbers
    population: Numbers
    sources: Numbers
    wait: int


def _links(loaded: _LoadedTile, depth: dict[str, int]) -> Iterator[_Link]:
    layer, first = loaded.layer, loaded.first_axon
    shared = np.array([form.population for form in loaded.tables.formats], np.int64)
    for connection, axons in zip(layer.connections, loaded.tables.axons, strict=True):
        number = np.arange(first, first + axons.run.size)
        population = shared[loaded.tables.memory.format[axons.run]]
        late = wait(connection, layer, depth)
        yield _Link(connection.source, layer.name, loaded.core, number, population, axons.sources, late)
        first += axons.run.size
    for axons in loaded.tables.resets:
        number = np.arange(first, first + axons.run.size)
        alone = np.zeros(number.size, np.int64)
        yield _Link(layer.name, layer.name, loaded.core, number, alone, loaded.neurons[axons.sources], 0)


class _Messages(NamedTuple):
    """Who sends a spike of which atom to which input axon; arrays of one length.

    home, tile, sender: core, tile and compartment of the neuron that sends; of the host -1, -1 and a place in a frame.
    """

    home: Numbers
    tile: Numbers
    sender: Numbers
    core: Numbers
    axon: Numbers
    population: Numbers
    atom: Numbers
    wait: Numbers

    def select(self, chosen: Numbers) -> Self:
        """Those of the numbers `chosen`."""
        return type(self)(*(column[chosen] for column in self))

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Self:
        """All of `parts`, in their order."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _messages(tiles: Sequence[_LoadedTile], links: Sequence[_Link], layer: IntLayer, first: int) -> _Messages:
    """Of all neurons of `layer`; what no other layer reads leaves the chip. first: number of its first neuron."""
    home, tile, compartment = np.empty((3, prod(layer.shape)), np.int64)
    for each in tiles:
        if each.layer is layer:
            home[each.neurons], tile[each.neurons] = each.core, each.number
            compartment[each.neurons] = each.first_compartment + (each.tables.place + 1) * each.tables.size - 1
    reading = [link for link in links if link.source == layer.name]
    if all(link.reader == layer.name for link in reading):
        numbers = np.arange(home.size)
        alone = np.zeros(home.size, np.int64)
        reading.append(_Link(layer.name, "", OFF_CHIP, first + numbers, alone, numbers[:, np.newaxis], 0))
    sent = _joined(reading)
    return sent._replace(home=home[sent.sender], tile=tile[sent.sender], sender=compartment[sent.sender])


def _joined(links: Sequence[_Link]) -> _Messages:
    """What all `links` are sent, by the neurons' numbers in their source."""
    parts = []
    for link in links:
        count, atoms = link.sources.shape
        nobody = np.full(count * atoms, -1)
        parts.append(
            _Messages(
                home=nobody,
                tile=nobody,
                sender=link.sources.reshape(-1),
                core=np.full(count * atoms, link.core),
                axon=link.axon.repeat(atoms),
                population=link.population.repeat(atoms),
                atom=np.tile(np.arange(atoms), count),
                wait=np.full(count * atoms, link.wait),
            )
        )
    return _Messages.together(parts)


def _by_home(parts: Sequence[_Messages], cores: int) -> Iterator[_Messages]:
    """The messages that each core sends, in the order of the cores."""
    sent = _Messages.together(parts)
    order = np.argsort(sent.home, kind="stable")
    return map(sent.select, np.split(order, np.searchsorted(sent.home[order], np.arange(1, cores))))


def _output_axons(sent: _Messages) -> tuple[OutputAxons, Numbers]:
    """One for each tile that sends and input axon that it sends to, and how long it waits: int64 [axons]."""
    sent = sent.select(np.argsort(sent.sender, kind="stable"))
    place = sent.tile + 1, sent.core + 1, sent.axon
    leads = np.ravel_multi_index(place, [int(column.max(initial=0)) + 1 for column in place])
    _, example, entry = np.unique(leads, return_index=True, return_inverse=True)
    to = sent.select(example)
    axons = OutputAxons(to.core, to.axon, to.population.astype(np.bool_), sent.sender, entry, sent.atom)
    return axons, to.wait


def _core(
    tiles: Sequence[_LoadedTile], outputs: OutputAxons, depth: Mapping[str, int], numbers: Mapping[str, int]
) -> CoreTables:
    """The tables of its tiles one after the other."""
    formats: list[SynapseFormat] = []
    memory: list[tuple[Numbers, ...]] = []
    inputs: list[tuple[Numbers, ...]] = []
    runs = 0
    for each in tiles:
        of_tile = each.tables.memory
        accumulators = [*_accumulators(each.layer), *(0 for _ in each.tables.resets)]
        for axons, accumulator in zip(each.tables.inputs, accumulators, strict=True):
            inputs.append((axons.run + runs, axons.base, np.full(axons.run.size, accumulator)))
        of_synapses = of_tile.weight, of_tile.index, of_tile.delay, of_tile.begins
        memory.append((of_tile.format + len(formats), of_tile.length, of_tile.atoms, *of_synapses))
        formats += [replace(form, first=each.first_compartment) for form in each.tables.formats]
        runs += of_tile.length.size
    return CoreTables(
        groups=tuple(_group(each, depth[each.layer.name], numbers[each.layer.name]) for each in tiles),
        formats=tuple(formats),
        memory=SynapseMemory(*_columns(memory)),
        inputs=InputAxons(*_columns(inputs)),
        outputs=outputs,
        accumulators=1 + max(max(_accumulators(each.layer)) for each in tiles),
    )


def _group(loaded: _LoadedTile, start: int, first: int) -> CompartmentGroup:
    """The compartments of a tile; first: number of the first neuron of its layer."""
    layer, place = loaded.layer, loaded.tables.place
    neuron = np.full(loaded.tables.places, IDLE)
    neuron[place] = first + loaded.neurons
    bias = np.zeros(neuron.size, np.int64)
    bias[place] = layer.bias.values[loaded.neurons // prod(layer.shape[1:])]
    return CompartmentGroup(loaded.first_compartment, layer.neuron, start, bias, neuron, loaded.tables.size)


def _accumulators(layer: IntLayer) -> list[int]:
    """Of each connection: 0, whose sums are added up at once, or for a convolution one of its own, which wraps."""
    convolutions = 0
    found = []
    for connection in layer.connections:
        convolutions += isinstance(connection.synapse, IntConv)
        found.append(convolutions if isinstance(connection.synapse, IntConv) else 0)
    return found


def _columns(rows: Sequence[tuple[Numbers, ...]]) -> Iterator[Numbers]:
    return (np.concatenate(column) for column in zip(*rows, strict=True))
