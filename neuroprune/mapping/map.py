"""Mapping an integer program onto cores: split, pack, place, verify."""

import numpy as np

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import TileResources
from neuroprune.errors import CapacityError, UnsupportedNetwork
from neuroprune.mapping.bounds import least_cores
from neuroprune.mapping.budget import NO_LIMIT, Budget, check_budget
from neuroprune.mapping.count import Counting, Split
from neuroprune.mapping.effort import EffortName, effort_of
from neuroprune.mapping.hops import Spikes
from neuroprune.mapping.joint import GAINED, NOTHING, Judged, fewest_cores, fewest_hops, search_ways
from neuroprune.mapping.limits import exceeded
from neuroprune.mapping.match import match_layers
from neuroprune.mapping.pace import Work, busiest, least_busy, timed, untimed
from neuroprune.mapping.pack import pack
from neuroprune.mapping.place import place
from neuroprune.mapping.quiet import quiet_cuts
from neuroprune.mapping.split import split_layer
from neuroprune.mapping.types import ChipMapping, Packing
from neuroprune.mapping.verify import verify_mapping
from neuroprune.mapping.ways import Ways, cuts_of
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.progress import Progress, silent

FINE = 1.01
"""How near the limit of time that is found comes to one that is not, as a ratio."""
FASTER = 0.98
"""The share of the least time so far that a search for cuts of all layers together is asked for next."""
SEARCHES = 3
"""Searches for ever less time have together the trials of so many. Each takes few until one finds nothing: at normal
effort digits-conv takes 518 of 3,600 and fashion-conv 502. vgg16 takes all, in 2.5 minutes, for a step of 354 us in
place of 1,084; twice as many take 4.6 minutes for one of 313."""


def map_program(
    program: IntProgram,
    chip: Chip,
    budget: Budget = NO_LIMIT,
    effort: EffortName = "normal",
    progress: Progress = silent,
) -> ChipMapping:
    """Put every neuron of `program` on a core of `chip`, on as many chips as that takes and `budget` allows.

    The frames are injected from off-chip into each layer that reads them. Deterministic.
    effort: how long is searched for fewer cores, one of `EFFORTS`.
    program: balanced (see `balance`), so that no synapse delays longer than those of `chip` can.
    Raises CapacityError when a single neuron of a layer does not fit a core or the program not the budget,
    UnsupportedNetwork for layers that no core of the chip's family computes.

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
    packing = pack_program(program, chip, effort, progress)
    check_budget(packing, chip, budget)
    mapping = place(packing, chip)
    verify_mapping(mapping, program, chip)
    return mapping


def pack_program(
    program: IntProgram, chip: Chip, effort: EffortName = "normal", progress: Progress = silent
) -> Packing:
    """Cut the layers of `program` into tiles and put these together on cores of `chip`; see `map_program`."""
    problems = chip.core.problems(program)
    if problems:
        raise UnsupportedNetwork(problems)
    if chip.core.layer_per_core:
        return match_layers(program, chip)
    begin = _layer_by_layer(program, chip)
    alone = _together(program, begin, chip)
    least = least_cores(program, chip)
    if effort == "layers" or len(alone.cores) <= least:
        return alone
    ways = Ways(program, chip)
    enough = Judged(int(least * (1 + GAINED)), np.inf)
    cuts = search_ways(ways, cuts_of(program.layers, begin), fewest_cores, effort_of(effort), enough, progress)
    return min(alone, _together(program, ways.tiles(cuts), chip), key=lambda packing: len(packing.cores))


def pack_for_traffic(
    program: IntProgram,
    packing: Packing,
    spikes: Spikes,
    chip: Chip,
    effort: EffortName,
    budget: Budget = NO_LIMIT,
    progress: Progress = silent,
) -> Packing:
    """Tiles between which spikes have few hops to take, on no more cores than each layer cut by itself takes.

    packing: of `program`, balanced, which is kept where no other fits `budget`, and where `chip` cuts no layers.
    spikes: of each layer by its name, int64 [layer shape], over all samples that ran. effort: see `map_program`.
    """
    if chip.core.layer_per_core:
        return packing
    begin = _layer_by_layer(program, chip)
    cuts, ways = cuts_of(program.layers, begin), Ways(program, chip, spikes)
    weighed = ways.weigh(cuts)
    assert weighed, "tiles that fit, cut by themselves"
    most = budget.cores_of(chip.cores_per_chip) or weighed.cores
    goal = fewest_hops(weighed, most)
    quiet = quiet_cuts(ways, program.layers, most, progress)
    if quiet and goal(quiet.weighed) < goal(weighed):
        cuts = quiet.cuts
    found = ways.tiles(search_ways(ways, cuts, goal, effort_of(effort), NOTHING, progress))
    packed = _together(program, found, chip)
    return packed if len(packed.cores) <= most else packing


def pack_for_time(
    program: IntProgram,
    packing: Packing,
    work: Work,
    chip: Chip,
    effort: EffortName,
    budget: Budget = NO_LIMIT,
    progress: Progress = silent,
) -> Packing:
    """Tiles on cores of which the busiest takes little time, on no more cores than each layer cut by itself takes.

    packing: of `program`, balanced, which no other is slower than; kept where `chip` cuts no layers. work: of the
    neurons of `program`. First layers are cut one by one to the least time that cores are enough for, then, with an
    effort that searches, together to ever less, in `SEARCHES` times the trials of one search. Only messages to tiles
    are known before tiles share cores; where a family sends one to each core, its time counts them as an upper
    estimate.
    """
    if chip.core.layer_per_core:
        return packing
    free = timed(chip, work)
    tiles = {
        layer.name: [use.tile for core in packing.cores for use in core if use.tile.layer == layer.name]
        for layer in program.layers
    }
    timed_of = {use.tile: use for uses in Counting(program, free).count(tiles).values() for use in uses}
    best = Packing(tuple(tuple(timed_of[use.tile] for use in core) for core in packing.cores))
    alone = _together(program, _layer_by_layer(program, free), free)
    most = budget.cores_of(chip.cores_per_chip) or len(alone.cores)
    if len(alone.cores) <= most:
        best = min(best, alone, key=busiest)

    level = effort_of(effort)
    left = SEARCHES * level.trials

    def counted(task: str, done: int, total: int, **figures: float) -> None:
        nonlocal left
        left -= 1
        progress(task, done, total, **figures)

    def within(time: float, trials: int) -> Packing | None:
        paced = timed(chip, work, int(time))
        try:
            split = _layer_by_layer(program, paced)
        except CapacityError:
            return None
        found = _together(program, split, paced)
        if len(found.cores) > most and trials:
            ways, begin = Ways(program, paced), cuts_of(program.layers, split)
            shorter = level._replace(trials=trials)
            cuts = search_ways(ways, begin, fewest_cores, shorter, Judged(most, np.inf), counted)
            found = _together(program, ways.tiles(cuts), paced)
        return found if len(found.cores) <= most else None

    low = 0.5 * least_busy(alone, most)
    while busiest(best) > FINE * low:
        middle = (low + busiest(best)) / 2
        found = within(middle, 0)
        best, low = (found, low) if found else (best, middle)
    while (found := within(FASTER * busiest(best), min(level.trials, left))) is not None:
        best = found
    return Packing(tuple(tuple(map(untimed, core)) for core in best.cores))


def _layer_by_layer(program: IntProgram, chip: Chip) -> Split:
    """The tiles of all layers, each cut by itself; from the last to the first, as readers change what one takes."""
    counting = Counting(program, chip)
    split: dict[str, tuple[TileResources, ...]] = {}
    for layer in reversed(program.layers):
        split[layer.name] = _split(layer, counting, split)
    return split


def _together(program: IntProgram, split: Split, chip: Chip) -> Packing:
    return pack([each for layer in program.layers for each in split[layer.name]], chip.core.resources)


def _split(layer: IntLayer, counting: Counting, split: Split) -> tuple[TileResources, ...]:
    """The tiles of `layer`, cut by itself; split: those of the layers that read it.

    One that reads itself sends to each of its own tiles, too. Where these do not fit any more, it is split again for as
    many readers, which makes them smaller.
    """
    chip = counting.chip
    tiles = split_layer(layer, counting.counter(layer, split), chip)
    while layer.recurrent:
        counter = counting.counter(layer, split, tiles)
        counted = tuple(counter(each.tile) for each in tiles)
        if not any(exceeded(each.used, chip.core.resources) for each in counted):
            return counted
        tiles = split_layer(layer, counter, chip)
    return tiles
