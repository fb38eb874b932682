"""Messages between tiles and cores: counted spike by spike over single synapses, and links walked step by step."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from own_objects import NeuronsOnly
from programs import random_program
from synapse_oracle import COARSE, LOIHI, branched_programs, chain, enumerate_synapses, layer_of, resized

from neuroprune.chips.chip import Chip
from neuroprune.errors import CapacityError
from neuroprune.mapping.links import heaviest_link, link_loads
from neuroprune.mapping.map import pack_program
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.regroup import nets, regroup
from neuroprune.mapping.traffic import Messages, Traffic, cores_of, measure_traffic, messages
from neuroprune.mapping.types import Packing
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConv, IntDense, IntProgram

Sent = Counter[tuple[int, int]]


@dataclass(frozen=True)
class OnceACore(NeuronsOnly):
    """Cores of neurons, to which a spike is sent once whatever tiles are on them."""

    name: ClassVar[str] = "once-a-core"
    message_for: ClassVar[Literal["core", "tile"]] = "core"


PROGRAMS = st.one_of(
    branched_programs(delays=True),
    st.integers(0, 2**32 - 1).map(lambda seed: balance(random_program(seed)[0], 62)),
)


def spikes_of(program: IntProgram, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {layer.name: rng.integers(0, 5, layer.shape) * rng.integers(0, 2, layer.shape) for layer in program.layers}


def count_messages(program: IntProgram, packing: Packing, spikes: dict[str, np.ndarray], by_tile: bool) -> Sent:
    """(source core, target core) -> messages, by a loop over every synapse into every tile."""
    tiles = [(number, use) for number, core in enumerate(packing.cores) for use in core]
    layers = {layer.name: layer for layer in program.layers}
    reached: list[tuple[str, tuple[int, int, int], int, object]] = []
    for number, use in tiles:
        for at, connection in enumerate(layers[use.tile.layer].connections):
            if connection.source == "input":
                continue
            shared = bool(use.encodings) and use.encodings[at] == "shared"
            synapses = enumerate_synapses(connection, use.tile)
            sources = {source for source, _, weight in synapses if shared or weight != 0}
            reached += [(connection.source, source, number, (use.tile, at)) for source in sources]
    if not by_tile:
        reached = list(dict.fromkeys((layer, neuron, core, None) for layer, neuron, core, _ in reached))
    sent: Sent = Counter()
    for layer, neuron, core, _ in reached:
        fired = spikes[layer].reshape(*layers[layer].shape, *(1,) * (3 - len(layers[layer].shape)))[neuron]
        (source,) = (
            number
            for number, use in tiles
            if use.tile.layer == layer
            and all(a <= n < b for a, n, b in zip(use.tile.start, neuron, use.tile.stop, strict=True))
        )
        sent[source, core] += int(fired)
    return +sent


def counted(sent: Messages) -> Sent:
    found: Sent = Counter()
    for source, target, spikes in zip(*sent, strict=True):
        found[int(source), int(target)] += int(spikes)
    return found


def packed(program: IntProgram, chip: Chip) -> Packing | None:
    try:
        return pack_program(program, chip)
    except CapacityError:
        return None


@settings(max_examples=40, deadline=None)
@given(PROGRAMS, st.integers(1, 40), st.integers(0, 1000))
def test_messages_are_those_of_every_spike_to_every_tile_that_it_reaches(
    program: IntProgram, neurons: int, seed: int
) -> None:
    packing = packed(program, resized(COARSE, neurons_per_core=neurons))
    if packing is None:
        return
    spikes = spikes_of(program, seed)
    traffic = measure_traffic(program, packing, spikes, COARSE)
    assert counted(messages(traffic, cores_of(packing, traffic))) == count_messages(program, packing, spikes, True)


@settings(max_examples=25, deadline=None)
@given(PROGRAMS, st.integers(1, 40), st.integers(0, 1000))
def test_a_family_may_send_a_spike_once_to_each_core(program: IntProgram, neurons: int, seed: int) -> None:
    chip = replace(LOIHI, core=OnceACore(neurons))
    packing = pack_program(program, chip)
    spikes = spikes_of(program, seed)
    traffic = measure_traffic(program, packing, spikes, chip)
    assert counted(messages(traffic, cores_of(packing, traffic))) == count_messages(program, packing, spikes, False)


def test_population_axons_send_what_zero_weights_would_not() -> None:
    first = layer_of(IntDense(np.full((8, 2), 2, np.int16)), (2,), (8,), "a")
    first = replace(first, shape=(8, 1, 1))
    weight = np.zeros((4, 8, 1, 1), np.int16)
    weight[:, 0] = 2
    second = layer_of(IntConv(weight, (1, 1), (0, 0), (1, 1), 1), (8, 1, 1), (4, 1, 1), "b", "a")
    program = chain(first, second)
    packing = pack_program(program, LOIHI)
    sent = {}
    for encoding in ("sparse", "shared"):
        cores = tuple(
            tuple(replace(use, encodings=(encoding,)) if use.tile.layer == "b" else use for use in core)
            for core in packing.cores
        )
        spikes = {"a": np.ones((8, 1, 1), np.int64), "b": np.ones((4, 1, 1), np.int64)}
        traffic = measure_traffic(program, Packing(cores), spikes, LOIHI)
        sent[encoding] = int(messages(traffic, cores_of(packing, traffic)).spikes.sum())
    assert sent == {"sparse": 1, "shared": 8}


def test_silent_neurons_and_unread_ones_send_nothing() -> None:
    program = chain(layer_of(IntDense(np.full((8, 2), 2, np.int16)), (2,), (8,), "out"))
    packing = pack_program(program, LOIHI)
    traffic = measure_traffic(program, packing, {"out": np.full(8, 7)}, LOIHI)
    assert traffic.spikes.size == traffic.net.size == messages(traffic, cores_of(packing, traffic)).spikes.size == 0


@st.composite
def random_traffic(draw: st.DrawFn, chip: Chip) -> tuple[Packing, Traffic]:
    program = draw(PROGRAMS)
    packing = pack_program(program, chip)
    return packing, measure_traffic(program, packing, spikes_of(program, draw(st.integers(0, 99))), chip)


def between(packing: Packing, traffic: Traffic) -> int:
    sent = messages(traffic, cores_of(packing, traffic))
    return int(sent.spikes[sent.source != sent.target].sum())


@pytest.mark.parametrize("once", [True, False])
@settings(max_examples=25, deadline=None)
@given(data=st.data(), neurons=st.integers(1, 40))
def test_regrouping_keeps_tiles_limits_and_cores_and_never_sends_more(
    data: st.DataObject, neurons: int, once: bool
) -> None:
    chip = replace(LOIHI, core=OnceACore(neurons))
    packing, traffic = data.draw(random_traffic(chip))
    traffic = replace(traffic, once_a_core=once)
    better = regroup(packing, traffic, chip.core.resources)
    assert sorted(use.tile.start for core in better.cores for use in core) == sorted(
        use.tile.start for core in packing.cores for use in core
    )
    assert {use for core in better.cores for use in core} == {use for core in packing.cores for use in core}
    assert len(better.cores) <= len(packing.cores)
    assert all(core and sum(use.used[0] for use in core) <= neurons for core in better.cores)
    assert between(better, traffic) <= between(packing, traffic)
    assert regroup(packing, traffic, chip.core.resources) == better


@settings(max_examples=25, deadline=None)
@given(data=st.data(), neurons=st.integers(1, 40), once=st.booleans())
def test_the_cost_of_the_nets_is_the_messages_between_cores(data: st.DataObject, neurons: int, once: bool) -> None:
    packing, traffic = data.draw(random_traffic(replace(LOIHI, core=OnceACore(neurons))))
    traffic = replace(traffic, once_a_core=once)
    core_of = cores_of(packing, traffic)
    spikes, members = nets(traffic)
    cost = sum(
        spikes[net] * (len(set(core_of[members[[net]].nonzero()[1]].tolist())) - 1) for net in range(spikes.size)
    )
    assert cost == between(packing, traffic)


def test_tiles_that_talk_come_together() -> None:
    """Two pairs of layers that read each other one to one, packed crosswise: regrouping leaves no message."""
    one_to_one = IntDense((np.eye(4) * 2).astype(np.int16))
    layers = [layer_of(one_to_one, (4,), (4,), "a")]
    layers += [layer_of(one_to_one, (4,), (4,), name, source) for name, source in (("b", "a"), ("c", "b"), ("d", "c"))]
    program = chain(*layers)
    chip = replace(LOIHI, core=OnceACore(8))
    a_b, c_d = pack_program(program, chip).cores
    crosswise = Packing(((a_b[0], c_d[1]), (a_b[1], c_d[0])))
    spikes = {"a": np.full(4, 9), "b": np.full(4, 1), "c": np.full(4, 9), "d": np.full(4, 0)}
    traffic = measure_traffic(program, crosswise, spikes, chip)
    assert between(crosswise, traffic) == 4 * 9 * 2
    assert between(regroup(crosswise, traffic, chip.core.resources), traffic) == 4 * 1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(0, 10**6))
def test_links_carry_what_walks_over_them_along_x_and_then_y(columns: int, rows: int, chips: int, seed: int) -> None:
    mesh = Mesh(replace(LOIHI, mesh=(columns, rows), cores_per_chip=columns * rows), chips)
    rng = np.random.default_rng(seed)
    places = mesh.places[rng.permutation(len(mesh.places))]
    sent = Messages(*rng.integers(0, len(places), (2, 12)), rng.integers(1, 9, 12))
    walked: Counter[tuple[int, int, int, int]] = Counter()
    hops = 0
    for source, target, spikes in zip(*sent, strict=True):
        (x, y), end = mesh.position(places[source]).tolist(), mesh.position(places[target]).tolist()
        while [x, y] != end:
            dx, dy = (1 if end[0] > x else -1, 0) if x != end[0] else (0, 1 if end[1] > y else -1)
            walked[x, y, dx, dy] += int(spikes)
            hops += int(spikes)
            x, y = x + dx, y + dy
    loads = link_loads(mesh, places, sent)
    found = {
        (int(x), int(y), dx, dy): int(load[x, y])
        for (dx, dy), load in loads.items()
        for x, y in zip(*load.nonzero(), strict=True)
    }
    assert found == walked
    assert int((mesh.hops(places[sent.source], places[sent.target]) * sent.spikes).sum()) == hops
    link = heaviest_link(mesh, places, sent)
    assert (link.messages if link else 0) == max(walked.values(), default=0)
    if link:
        (x, y), (x1, y1) = (mesh.position(np.array(end)).tolist() for end in (link.source, link.target))
        assert walked[x, y, x1 - x, y1 - y] == link.messages
