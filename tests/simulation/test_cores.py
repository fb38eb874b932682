"""Cores that run from their own tables alone do what the engine does, and the tables are what the mapper counted."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import mapped_programs
import numpy as np
import pytest
from mapped_programs import LOIHI, Mapped, differences, random_mapped, without_relays
from own_neuron import IntFloorNeuron
from own_objects import NeuronsOnly
from programs import conv, dense, joined, later, program_of, with_bias
from table_counts import counted, misfits

from neuroprune.chips.chip import Chip
from neuroprune.chips.tables import IDLE, OFF_CHIP, ChipTables, CoreTables, OutputAxons
from neuroprune.errors import InputError, VerificationError
from neuroprune.mapping.map import map_program
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.timing import balance
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.simulation.compare import compare
from neuroprune.simulation.cores import run_cores
from neuroprune.simulation.engine import record

RNG = np.random.default_rng(0)


def small(chip: Chip = LOIHI, **numbers: int) -> Chip:
    return replace(chip, core=replace(chip.core, **numbers))


def mapped(program: IntProgram, chip: Chip, samples: int = 2) -> Mapped:
    """With samples of which no value is 0."""
    shape = (
        (samples, program.steps, *program.input.shape) if program.input.sequence else (samples, *program.input.shape)
    )
    frames = RNG.integers(1, 3, shape).astype(np.int8)
    balanced = balance(program, chip.synaptic_delay_max)
    return Mapped(program, frames, balanced, chip, map_program(balanced, chip, effort="layers"))


def weights(*shape: int) -> np.ndarray:
    """None is 0, and they are as good as all different."""
    return (RNG.integers(1, 30, shape) * RNG.choice([-2, 2], shape)).astype(np.int16)


def test_random_programs_on_random_small_chips_run_alike_from_their_tables() -> None:
    """With zeros, equal taps and equal synapses; each core's tables take exactly what the mapper counted."""
    kinds: Counter[str] = Counter()
    for seed in range(60):
        case = random_mapped(seed)
        assert differences(case) == [], f"seed {seed}"
        kinds.update(kind for kind, applies in case.kinds().items() if applies)
    assert {kind for kind, count in kinds.items() if count > 2} == {
        "in dense synapses",
        "in shared synapses",
        "in sparse synapses",
        "on Loihi",
        "on Speck",
        "on cores of a family of one's own",
        "on several cores",
        "with cores of several tiles",
        "with gaps in place of indices",
        "with idle neurons",
        "with layers cut together",
        "with relays",
        "with resets by a second compartment",
    }


def busy_program() -> IntProgram:
    """Its neurons fire at every step: a convolution that also reads itself, and a sum of what comes early and late.

    Biases exceed all that the synapses can take away, and what is above the threshold stays in v.
    """
    firing = with_bias(IntCubaLif(4095, 4095, 0, reset="subtract"), [4095], 7)
    shape = (2, 5, 4)
    first = conv("first", "input", shape, weights(3, 2, 3, 2), padding=(1, 0), neuron=firing)
    itself = conv("first", "first", first.shape, weights(3, 3, 3, 3), padding=(1, 1))
    thinned = np.where(RNG.random((12, 45)) < 0.2, weights(12, 45), 0).astype(np.int16)
    last = dense("last", "input", shape, weights(12, 40), neuron=firing)
    late = later(dense("last", "first", first.shape, thinned), 2)
    end = dense("end", "last", last.shape, weights(12, 12), neuron=firing)
    return program_of(joined(first, later(itself, 1)), joined(last, late), end, steps=6)


BUSY_CHIP = small(
    neurons_per_core=24,
    input_axons_per_core=96,
    output_axons_per_core=250,
    synapse_words_per_core=400,
    word_bits=16,
    index_bits_min=10,
)


@pytest.fixture(scope="module")
def busy() -> Mapped:
    case = mapped(busy_program(), BUSY_CHIP)
    assert differences(case) == []
    tiles = [each for core in case.mapping.cores for each in core.tiles]
    assert {way for each in tiles for way in each.encodings} == {"dense", "sparse", "shared"}
    assert not any(each.idle_neurons for each in tiles)
    return case


def altered(tables: ChipTables, core: int, part: str, **columns: np.ndarray) -> ChipTables:
    """With other columns of one part of one core."""
    cores = list(tables.cores)
    cores[core] = replace(cores[core], **{part: replace(getattr(cores[core], part), **columns)})
    return replace(tables, cores=tuple(cores))


def one_more(
    tables: ChipTables, part: str, column: str, by: int, where: Callable[[CoreTables], np.ndarray]
) -> Iterator[ChipTables]:
    """Each with one entry of `column` that is larger by `by`, of those of which `where` is true."""
    for number, core in enumerate(tables.cores):
        for place in np.flatnonzero(where(core)):
            column_of = getattr(getattr(core, part), column).copy()
            column_of[place] += by
            yield altered(tables, number, part, **{column: column_of})


def groups_altered(tables: ChipTables, change: Callable[..., dict[str, object]]) -> Iterator[ChipTables]:
    for number, core in enumerate(tables.cores):
        for place, group in enumerate(core.groups):
            groups = (*core.groups[:place], replace(group, **change(group)), *core.groups[place + 1 :])  # type: ignore[arg-type]
            cores = (*tables.cores[:number], replace(core, groups=groups), *tables.cores[number + 1 :])
            yield replace(tables, cores=cores)


def without_messages(tables: ChipTables, whole_axon: bool) -> Iterator[ChipTables]:
    """One message left out each, or all of one output axon."""
    for number, core in enumerate(tables.cores):
        outputs = core.outputs
        for place in range(len(outputs.core) if whole_axon else len(outputs.sender)):
            entry = place if whole_axon else outputs.entry[place]
            if outputs.core[entry] != OFF_CHIP:
                kept = outputs.entry != place if whole_axon else np.arange(len(outputs.sender)) != place
                columns = {name: getattr(outputs, name)[kept] for name in ("sender", "entry", "atom")}
                yield altered(tables, number, "outputs", **columns)


def formats_altered(tables: ChipTables) -> Iterator[ChipTables]:
    for number, core in enumerate(tables.cores):
        for place, form in enumerate(core.formats):
            formats = (*core.formats[:place], replace(form, first=form.first + 1), *core.formats[place + 1 :])
            cores = (*tables.cores[:number], replace(core, formats=formats), *tables.cores[number + 1 :])
            yield replace(tables, cores=cores)


def waits_altered(tables: ChipTables) -> Iterator[ChipTables]:
    """Frames are the same at every step, so that only what comes too late is another."""
    for place in range(len(tables.host.wait)):
        wait = tables.host.wait.copy()
        wait[place] += 1
        yield replace(tables, host=replace(tables.host, wait=wait))


def stored(core: CoreTables, what: str) -> np.ndarray:
    """Of each synapse, whether its weight is not 0 and its format has bits of `what`."""
    has = np.array([(getattr(form, what) or 0) > 0 for form in core.formats])
    return has[core.memory.format].repeat(core.memory.length) & (core.memory.weight != 0)


def inside(outputs: OutputAxons, population: bool) -> np.ndarray:
    return (outputs.core != OFF_CHIP) & (outputs.population == population)


FAULTS: dict[str, Callable[[ChipTables], Iterator[ChipTables]]] = {
    "a weight": lambda t: one_more(t, "memory", "weight", 2, lambda core: stored(core, "weight_bits")),
    "an index": lambda t: one_more(t, "memory", "index", 1, lambda core: stored(core, "index_bits")),
    "a gap": lambda t: one_more(
        t, "memory", "index", 1, lambda core: stored(core, "skip_bits") & (core.memory.begins == 0)
    ),
    "a delay": lambda t: one_more(t, "memory", "delay", 1, lambda core: stored(core, "delay_bits")),
    "a base": lambda t: one_more(t, "inputs", "base", 1, lambda core: core.inputs.run >= 0),
    "a run": lambda t: one_more(t, "inputs", "run", 1, lambda core: core.inputs.run < len(core.memory.format) - 1),
    "a place in a block": lambda t: one_more(
        t, "outputs", "atom", -1, lambda core: core.outputs.population[core.outputs.entry] & (core.outputs.atom > 0)
    ),
    "an axon's destination": lambda t: one_more(
        t, "outputs", "axon", 1, lambda core: inside(core.outputs, population=False)
    ),
    "a population axon's destination": lambda t: one_more(
        t, "outputs", "axon", 1, lambda core: inside(core.outputs, population=True)
    ),
    "an axon left out": lambda t: without_messages(t, whole_axon=True),
    "a neuron left out of an axon": lambda t: without_messages(t, whole_axon=False),
    "where a tile begins": formats_altered,
    "when the host injects": waits_altered,
    "when neurons begin": lambda t: groups_altered(t, lambda group: {"start": group.start + 1}),
    "which neuron is where": lambda t: groups_altered(t, lambda group: {"neuron": np.roll(group.neuron, 1)}),
    "a bias": lambda t: groups_altered(t, lambda group: {"bias": group.bias + 1}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_tables_is_found(busy: Mapped, fault: str) -> None:
    """Every fault of the kind, or some dozen of them: an axon left out, a base or an index that is one off."""
    expected = record(busy.balanced, busy.frames, every_step=True)
    faulty = list(FAULTS[fault](busy.tables()))
    assert len(faulty) >= 2
    for tables in faulty[:: max(1, len(faulty) // 12)]:
        with pytest.raises((VerificationError, IndexError)):
            compare(expected, run_cores(tables, busy.frames))


def test_counts_and_fields_are_held_against_the_tables(busy: Mapped) -> None:
    """The counter counts: one axon, run or format less is another number, and what no field holds is named."""
    tables = busy.tables()
    core = next(each for each in tables.cores if each.formats[0].index_bits)
    counts = counted(core, BUSY_CHIP.core)
    fewer = replace(core.inputs, run=core.inputs.run[1:], base=core.inputs.base[1:])
    assert counted(replace(core, inputs=fewer), BUSY_CHIP.core)[1] == counts[1] - 1
    assert (
        counted(replace(core, memory=replace(core.memory, length=core.memory.length + 64)), BUSY_CHIP.core)[3]
        > counts[3]
    )
    assert misfits(tables, base_bits=8) == []
    for part, column, value, what in (
        ("memory", "weight", 1000, "a weight does not fit"),
        ("memory", "index", 1000, "an index or a delay does not fit"),
        ("memory", "delay", 1000, "an index or a delay does not fit"),
        ("inputs", "base", 1000, "a base is too large"),
        ("inputs", "run", 0, "a run is named by no axon"),
    ):
        broken = altered(
            tables, 0, part, **{column: np.full_like(getattr(getattr(tables.cores[0], part), column), value)}
        )
        assert any(what in each for each in misfits(broken, base_bits=8)), what


def test_idle_compartments_hold_no_neuron_and_send_nothing() -> None:
    """Synapse memory is so scarce that the tile is opened; what falls beside it is received, and goes nowhere."""
    plane = conv("plane", "input", (8, 5, 5), weights(4, 8, 3, 3), padding=(1, 1), neuron=IntCubaLif(4095, 0, 0))
    last = dense("last", "plane", plane.shape, weights(3, 100))
    case = mapped(program_of(plane, last), small(synapse_words_per_core=130, neurons_per_core=300))
    assert any(each.idle_neurons for core in case.mapping.cores for each in core.tiles)
    tables = case.tables()
    held = [np.concatenate([group.neuron for group in core.groups]) for core in tables.cores]
    assert sum(int((neurons == IDLE).sum()) for neurons in held) == sum(
        core.idle_neurons for core in case.mapping.cores
    )
    assert all((neurons[core.outputs.sender] != IDLE).all() for neurons, core in zip(held, tables.cores, strict=True))
    assert differences(case) == []


def test_an_output_layer_that_reads_itself_also_sends_off_the_chip() -> None:
    """One slot for each neuron, beside the axons to its own tiles."""
    layer = dense("only", "input", (3,), weights(4, 3))
    recurrent = joined(layer, later(dense("only", "only", (4,), weights(4, 4)), 1))
    plain, looped = (mapped(program_of(each), LOIHI) for each in (layer, recurrent))
    assert [core.used[2] for core in plain.mapping.cores] == [4]
    assert [core.used[2] for core in looped.mapping.cores] == [8]
    (core,) = looped.tables().cores
    assert core.outputs.axon[core.outputs.core == OFF_CHIP].tolist() == [0, 1, 2, 3]
    assert differences(looped) == []


def test_a_core_whose_neurons_nobody_reads_sends_nothing() -> None:
    first = dense("first", "input", (3,), weights(4, 3))
    only_two = weights(2, 4) * np.array([1, 1, 0, 0], np.int16)
    case = mapped(program_of(first, dense("last", "first", (4,), only_two)), small(neurons_per_core=2))
    assert [core.outputs.sender.size for core in case.tables().cores] == [2, 0, 2]
    assert differences(case) == []


def test_neurons_of_ones_own_run_on_cores_of_ones_own_family() -> None:
    """Cores know neurons by their rules alone, and a family without tables of its own lists each synapse."""

    def floor(layer: IntLayer) -> IntLayer:
        return replace(layer, neuron=IntFloorNeuron(vth=20, floor=-3000))

    first = floor(conv("first", "input", (2, 6, 6), weights(4, 2, 3, 3), stride=(2, 1)))
    program = program_of(first, floor(dense("last", "first", first.shape, weights(5, 32))))
    case = mapped(program, replace(LOIHI, core=NeuronsOnly(9)))
    assert len(case.mapping.cores) > 4
    found = run_cores(case.tables(), case.frames)
    assert all(layer.spikes.any() for layer in found.layers)
    compare(record(program, case.frames, every_step=True), found)
    assert {form.population for core in case.tables().cores for form in core.formats} == {False}


def test_relays_pass_spikes_on_where_synapses_cannot_delay() -> None:
    first = dense("first", "input", (3,), weights(4, 3), neuron=IntCubaLif(4095, 0, 0))
    last = joined(dense("last", "first", (4,), weights(2, 4)), later(dense("last", "first", (4,), weights(2, 4)), 3))
    case = mapped(program_of(first, last, steps=8), replace(LOIHI, synaptic_delay_max=1))
    assert [layer.name for layer in case.balanced.layers] == ["first", "first relay 1", "first relay 2", "last"]
    found = run_cores(case.tables(), case.frames)
    assert [layer.name for layer in found.layers] == [layer.name for layer in case.balanced.layers]
    compare(record(case.balanced, case.frames, every_step=True), found)
    compare(record(case.program, case.frames, every_step=True), without_relays(case, found))


def test_frames_of_another_shape_are_refused(busy: Mapped) -> None:
    with pytest.raises(InputError, match=r"^the frames have the shape \[2, 3\], but this program reads "):
        run_cores(busy.tables(), np.zeros((2, 3), np.int8))


def test_what_differs_is_told(busy: Mapped, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is wrong and a count that is wrong are both differences."""
    faulty = next(FAULTS["a weight"](busy.tables()))
    monkeypatch.setattr(mapped_programs, "core_tables", lambda *_: faulty)
    (only,) = differences(busy)
    assert only.startswith("layer 'first', ") and " was expected " in only
    core = busy.mapping.cores[0]
    tile = replace(core.tiles[0], used=(*core.tiles[0].used[:-1], 9))
    wrong = replace(busy.mapping, cores=(replace(core, tiles=(tile, *core.tiles[1:])), *busy.mapping.cores[1:]))
    assert differences(replace(busy, mapping=wrong))[0].startswith("core 0 was counted as ")
