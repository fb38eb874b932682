"""Mapping an integer program onto cores: split, pack, place, verify."""

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Reader, TileResources
from neuroprune.mapping.budget import NO_LIMIT, Budget, check_budget
from neuroprune.mapping.limits import exceeded
from neuroprune.mapping.pack import pack
from neuroprune.mapping.place import place
from neuroprune.mapping.split import split_layer
from neuroprune.mapping.types import ChipMapping, Packing
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.timing import depths, synaptic_delay
from neuroprune.program.types import IntLayer, IntProgram


def map_program(program: IntProgram, chip: Chip, budget: Budget = NO_LIMIT) -> ChipMapping:
    """Put every neuron of `program` on a core of `chip`, on as many chips as that takes and `budget` allows.

    The frames are injected from off-chip into each layer that reads them. Deterministic.
    program: balanced (see `balance`), so that no synapse delays longer than those of `chip` can.
    Raises CapacityError when a single neuron of a layer does not fit a core, or the program not the budget.

    >>> import torch
    >>> from neuroprune import (
    ...     balance, build, fold, frames_of, load_chip, load_dataset, load_recipe, map_program, quantize, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> chip = load_chip("loihi-sim")
    >>> mapping = map_program(balance(program, chip.synaptic_delay_max), chip)
    >>> mapping.chips, sum(core.neurons for core in mapping.cores)
    (1, 4618)
    """
    packing = pack_program(program, chip)
    check_budget(packing, chip, budget)
    mapping = place(packing, chip)
    verify_mapping(mapping, program, chip)
    return mapping


def pack_program(program: IntProgram, chip: Chip) -> Packing:
    """Cut the layers of `program` into tiles and put these together on cores of `chip`; see `map_program`.

    Layers are split from the last to the first, because what a layer takes may depend on how its readers are split.
    """
    split: dict[str, tuple[TileResources, ...]] = {}
    depth = depths(program)
    for layer in reversed(program.layers):
        readers = [
            Reader(connection, number, split[reader.name])
            for reader in program.layers
            for number, connection in enumerate(reader.connections)
            if connection.source == layer.name and reader is not layer
        ]
        delays = [synaptic_delay(connection, layer, depth) for connection in layer.connections]
        split[layer.name] = _split(layer, delays, readers, chip)
    tiles = [each for layer in program.layers for each in split[layer.name]]
    return pack(tiles, chip.core.resources)


def _split(layer: IntLayer, delays: list[int], readers: list[Reader], chip: Chip) -> tuple[TileResources, ...]:
    """The tiles of `layer`; readers: of its spikes, other than itself.

    One that reads itself sends to each of its own tiles, too. Where these do not fit any more, it is split again for as
    many readers, which makes them smaller.
    """
    tiles = split_layer(layer, chip.core.tile_counter(layer, delays, readers, chip.rules), chip)
    while layer.recurrent:
        first = len(layer.forward)
        itself = [Reader(connection, first + number, tiles) for number, connection in enumerate(layer.recurrent)]
        counter = chip.core.tile_counter(layer, delays, [*readers, *itself], chip.rules)
        counted = tuple(counter(each.tile) for each in tiles)
        if not any(exceeded(each.used, chip.core.resources) for each in counted):
            return counted
        tiles = split_layer(layer, counter, chip)
    return tiles
