"""Layers cut together: every limit kept, never more cores than cut one by one, the optimum where that is known."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from own_objects import NeuronsOnly
from programs import random_program
from synapse_oracle import COARSE, LOIHI, branched_programs, chain, layer_of, resized

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import volume
from neuroprune.choices import Choice
from neuroprune.errors import CapacityError, InputError
from neuroprune.mapping.bounds import least_cores
from neuroprune.mapping.budget import Budget
from neuroprune.mapping.count import Split
from neuroprune.mapping.effort import EFFORTS, Effort, effort_of
from neuroprune.mapping.hops import Cuts, Hops
from neuroprune.mapping.joint import NOTHING, fewest_cores, search_ways
from neuroprune.mapping.map import map_program, pack_for_traffic, pack_program
from neuroprune.mapping.pack import pack
from neuroprune.mapping.place import place
from neuroprune.mapping.split import cut_tiles
from neuroprune.mapping.traffic import cores_of, measure_traffic, messages
from neuroprune.mapping.types import Packing
from neuroprune.mapping.verify import verify_mapping
from neuroprune.mapping.ways import Ways, cuts_of
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConv, IntDense, IntLayer, IntProgram

SHORT = Effort(Choice("short", "a few trials"), 25, 25)

PROGRAMS = st.one_of(
    branched_programs(delays=True),
    st.integers(0, 2**32 - 1).map(lambda seed: balance(random_program(seed)[0], 62)),
)


@dataclass(frozen=True)
class OnceATile(NeuronsOnly):
    """Cores of neurons, to which a spike is sent for each tile."""

    name: ClassVar[str] = "once-a-tile"
    message_for: ClassVar[Literal["core", "tile"]] = "tile"


@contextmanager
def short_search() -> Iterator[None]:
    """A few trials at every effort that searches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroprune.mapping.map.effort_of", lambda _: SHORT)
        yield


def dense(outputs: int, inputs: int, name: str, source: str) -> IntLayer:
    return layer_of(IntDense(np.full((outputs, inputs), 2, np.int16)), (inputs,), (outputs,), name, source)


def conv(channels: int, in_channels: int, size: int, name: str, source: str) -> IntLayer:
    weight = np.random.default_rng(0).integers(1, 100, (channels, in_channels, 3, 3)).astype(np.int16) * 2
    synapse = IntConv(weight, (1, 1), (1, 1), (1, 1), 1)
    return layer_of(synapse, (in_channels, size, size), (channels, size, size), name, source)


def packed(program: IntProgram, chip: Chip, effort: Literal["layers", "normal"]) -> Packing | None:
    try:
        return pack_program(program, chip, effort)
    except CapacityError:
        return None


def cuts_by_layer(program: IntProgram, packing: Packing) -> Cuts:
    uses = [use for core in packing.cores for use in core]
    return cuts_of(
        program.layers, {layer.name: [use for use in uses if use.tile.layer == layer.name] for layer in program.layers}
    )


def spikes_of(program: IntProgram, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {layer.name: rng.integers(0, 5, layer.shape) * rng.integers(0, 2, layer.shape) for layer in program.layers}


def copies(program: IntProgram, packing: Packing, spikes: dict[str, np.ndarray], chip: Chip) -> int:
    """Messages to tiles, those that stay on their core among them."""
    traffic = measure_traffic(program, packing, spikes, chip)
    return int(messages(traffic, cores_of(packing, traffic)).spikes.sum())


def hops(program: IntProgram, split: Split, spikes: dict[str, np.ndarray], chip: Chip) -> float:
    """Spikes from tiles to tiles times the hops that are expected, pair of tiles by pair of tiles."""
    limits = [resource.limit for resource in chip.core.resources]
    cores = {name: sum(1 / (1 // max(np.array(use.used) / limits)) for use in uses) for name, uses in split.items()}
    total = 0.0
    for layer in program.layers:
        for number, connection in enumerate(layer.connections):
            if connection.source not in spikes:
                continue
            fired = spikes[connection.source].reshape(volume(connection.in_shape))
            joined = sent = 0
            for use in split[layer.name]:
                box = chip.core.senders(connection, use.tile, use.encodings[number] if use.encodings else None)
                sent += int((fired[box.box] * box.sends).sum())
                ends = [(at.start, at.stop) for at in box.box]
                for source in split[connection.source]:
                    sides = zip(ends, source.tile.start, source.tile.stop, strict=True)
                    joined += all(first < end and start < last for (first, last), start, end in sides)
            tiles = len(split[layer.name]) * len(split[connection.source])
            total += sent * 2 / 3 * math.sqrt(cores[layer.name] + cores[connection.source]) * (joined / tiles) ** 0.25
    return total


def split_of(program: IntProgram, packing: Packing) -> Split:
    uses = [use for core in packing.cores for use in core]
    return {layer.name: tuple(use for use in uses if use.tile.layer == layer.name) for layer in program.layers}


@settings(max_examples=60)
@given(
    PROGRAMS,
    st.integers(2, 60),
    st.integers(10, 200),
    st.integers(10, 200),
    st.integers(20, 600),
    st.integers(1, 4),
    st.integers(1, 2),
)
def test_any_program_on_any_core_keeps_every_limit_on_no_more_cores_than_layer_by_layer(
    program: IntProgram, neurons: int, inputs: int, outputs: int, words: int, formats: int, subtracting: int
) -> None:
    chip = resized(
        COARSE,
        neurons_per_core=neurons,
        input_axons_per_core=inputs,
        output_axons_per_core=outputs,
        synapse_words_per_core=words,
        synapse_formats_per_core=formats,
        subtracting_compartments=subtracting,
    )
    alone = packed(program, chip, "layers")
    with short_search():
        together = packed(program, chip, "normal")
        assert (alone is None) == (together is None)
        if alone is None or together is None:
            return
        assert packed(program, chip, "normal") == together
    verify_mapping(place(together, chip), program, chip)
    assert least_cores(program, chip) <= len(together.cores) <= len(alone.cores)


@settings(max_examples=60)
@given(PROGRAMS, st.integers(2, 40), st.integers(60, 400), st.integers(6, 60), st.integers(0, 1000))
def test_what_a_way_is_weighed_as_is_what_its_tiles_take(
    program: IntProgram, neurons: int, words: int, outputs: int, seed: int
) -> None:
    chip = resized(COARSE, neurons_per_core=neurons, synapse_words_per_core=words, output_axons_per_core=outputs)
    alone = packed(program, chip, "layers")
    if alone is None:
        return
    spikes = spikes_of(program, seed)
    ways, random, cuts = Ways(program, chip, spikes), np.random.default_rng(seed), cuts_by_layer(program, alone)
    limits = [resource.limit for resource in chip.core.resources]
    for _ in range(5):
        weighed = ways.weigh(cuts)
        split = ways.tiles(cuts)
        uses = [use for layer in program.layers for use in split[layer.name]]
        fits = all(amount <= limit for use in uses for amount, limit in zip(use.used, limits, strict=True))
        assert fits == (weighed is not None)
        for layer, cut in zip(program.layers, cuts, strict=True):
            assert [use.tile for use in split[layer.name]] == list(cut_tiles(layer, cut))
        if weighed is not None:
            packing = pack(uses, chip.core.resources)
            verify_mapping(place(packing, chip), program, chip)
            load = (np.sum([use.used for use in uses], axis=0) / limits).max()
            assert (weighed.cores, weighed.load) == (len(packing.cores), pytest.approx(load))
            assert weighed.hops == pytest.approx(hops(program, split, spikes, chip))
        cuts = ways.changed(cuts, random)


@settings(max_examples=25)
@given(PROGRAMS, st.integers(1, 40), st.integers(0, 1000))
def test_copies_are_those_that_any_family_sends_to_tiles(program: IntProgram, neurons: int, seed: int) -> None:
    chip = replace(LOIHI, core=OnceATile(neurons))
    packing, spikes = pack_program(program, chip, "layers"), spikes_of(program, seed)
    split = split_of(program, packing)
    weighed = Ways(program, chip, spikes).weigh(cuts_of(program.layers, split))
    assert weighed is not None
    assert weighed.hops == pytest.approx(hops(program, split, spikes, chip))
    sent = [Hops(program, chip, spikes, lambda *_: ()).sent_to(layer, split[layer.name]) for layer in program.layers]
    assert sum(each.copies for of_layer in sent for each in of_layer) == copies(program, packing, spikes, chip)


NEURONS_AND_MEMORY = chain(dense(112, 1, "wide", "input"), dense(20, 112, "deep", "wide"))
"""The first has 112 neurons and hardly a weight, the second 20 neurons of 112 weights."""
FOUR_CORES = resized(
    LOIHI, neurons_per_core=40, synapse_words_per_core=3300, word_bits=2, block_header_bits=2, index_bits_min=6
)
"""By neurons 132 / 40 cores are needed. A run of n weights takes 4 n + 1 words, so that 112 of them hold 7 neurons."""


def test_layers_short_of_neurons_and_layers_short_of_memory_share_cores() -> None:
    """One by one, 3 tiles of 37 or 38 neurons and 3 of 6 or 7 take a core each; cut into four both, they share four."""
    assert len(pack_program(NEURONS_AND_MEMORY, FOUR_CORES, "layers").cores) == 6
    together = map_program(NEURONS_AND_MEMORY, FOUR_CORES, effort="normal")
    assert len(together.cores) == least_cores(NEURONS_AND_MEMORY, FOUR_CORES) == 4
    assert all({use.tile.layer for use in core.tiles} == {"wide", "deep"} for core in together.cores)


def test_a_search_ends_where_no_fewer_cores_are_possible() -> None:
    seen: list[float] = []
    pack_program(
        NEURONS_AND_MEMORY, FOUR_CORES, "normal", lambda task, done, total, **figures: seen.append(figures["cores"])
    )
    assert seen[-1] == 4
    assert 4 not in seen[:-1]
    assert all(later <= earlier for earlier, later in pairwise(seen))


def test_a_search_ends_within_a_share_of_the_bound_that_counts_as_no_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is four cores, and a quarter more are five; by themselves the layers take six."""
    monkeypatch.setattr("neuroprune.mapping.map.GAINED", 0.25)
    seen: list[float] = []
    packing = pack_program(
        NEURONS_AND_MEMORY, FOUR_CORES, "normal", lambda task, done, total, **figures: seen.append(figures["cores"])
    )
    assert len(packing.cores) == seen[-1] == 5
    assert set(seen[:-1]) == {6}


def test_what_is_optimal_layer_by_layer_is_not_searched() -> None:
    def searched(*_: object, **__: object) -> None:
        raise AssertionError

    chip = resized(LOIHI, neurons_per_core=28)
    assert len(pack_program(chain(dense(112, 1, "wide", "input")), chip, "normal", searched).cores) == 4


def test_a_search_is_deterministic_and_its_patience_and_trials_end_it() -> None:
    chip = resized(FOUR_CORES, neurons_per_core=33)  # 132 neurons would have to fill four cores to the last
    ways = Ways(NEURONS_AND_MEMORY, chip)
    begin = cuts_by_layer(NEURONS_AND_MEMORY, pack_program(NEURONS_AND_MEMORY, chip, "layers"))
    trials: list[list[int]] = []

    def search(effort: Effort) -> Cuts:
        trials.append([])
        return search_ways(
            ways, begin, fewest_cores, effort, NOTHING, lambda task, done, total, **figures: trials[-1].append(done)
        )

    assert search(SHORT) == search(SHORT)
    assert trials[0] == list(range(1, 26))
    search(SHORT._replace(trials=1000))
    assert 25 <= len(trials[-1]) < 1000
    assert search(SHORT._replace(trials=0)) == begin


CHANNELS_AND_PIXELS = chain(conv(8, 8, 16, "first", "input"), conv(8, 8, 16, "second", "first"))
"""Two maps of 2048 neurons. Who reads them with some channels of 16x16 reads all, who does with all channels of some
pixels those around."""
SHORT_OF_NEURONS = resized(LOIHI, neurons_per_core=512)
ALL_FIRE = {"first": np.ones((8, 16, 16), np.int64), "second": np.ones((8, 16, 16), np.int64)}


def test_few_copies_are_sent_where_layers_by_themselves_are_cut_into_channels() -> None:
    program, chip = CHANNELS_AND_PIXELS, SHORT_OF_NEURONS
    alone = pack_program(program, chip, "layers")
    assert {use.tile.stop[1] - use.tile.start[1] for core in alone.cores for use in core} == {16}
    assert copies(program, alone, ALL_FIRE, chip) == 4 * 2048
    found = pack_for_traffic(program, alone, ALL_FIRE, chip, "normal")
    verify_mapping(place(found, chip), program, chip)
    assert len(found.cores) <= len(alone.cores)
    assert copies(program, found, ALL_FIRE, chip) <= 0.4 * 4 * 2048


@settings(max_examples=40)
@given(PROGRAMS, st.integers(2, 40), st.integers(60, 400), st.integers(0, 1000))
def test_fewer_hops_never_cost_a_core_more_than_is_allowed(
    program: IntProgram, neurons: int, words: int, seed: int
) -> None:
    chip = resized(COARSE, neurons_per_core=neurons, synapse_words_per_core=words)
    alone = packed(program, chip, "layers")
    if alone is None:
        return
    spikes = spikes_of(program, seed)
    with short_search():
        found = pack_for_traffic(program, alone, spikes, chip, "normal")
        verify_mapping(place(found, chip), program, chip)
        assert len(found.cores) <= len(alone.cores)
        before, after = (hops(program, split_of(program, each), spikes, chip) for each in (alone, found))
        assert after <= before * (1 + 1e-9)
        more = pack_for_traffic(program, alone, spikes, chip, "normal", Budget(cores=len(alone.cores) + 2))
        assert len(more.cores) <= len(alone.cores) + 2
        one = pack_for_traffic(program, alone, spikes, chip, "normal", Budget(cores=1))
        assert one is alone or len(one.cores) == 1
        together = pack_program(program, chip, "normal")
        fewer = pack_for_traffic(program, together, spikes, chip, "normal", Budget(cores=len(together.cores)))
        assert len(fewer.cores) <= len(together.cores)


def test_an_effort_is_one_of_those_that_there_are() -> None:
    assert [effort_of(each.name) for each in EFFORTS] == list(EFFORTS)  # type: ignore[arg-type]
    assert [each.trials for each in EFFORTS] == sorted(each.trials for each in EFFORTS)
    with pytest.raises(InputError, match=r"^there is no effort 'most': choose one of layers, normal, high$"):
        effort_of("most")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there is no effort 'most'"):
        map_program(NEURONS_AND_MEMORY, FOUR_CORES, effort="most")  # type: ignore[arg-type]
