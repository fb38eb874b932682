"""Two compartments that subtract a threshold: counted as written, run as NxTF wires them, against plain Python."""

from dataclasses import replace

import numpy as np
import pytest
from mapped_programs import Mapped, as_one_compartment, differences, subtracting
from programs import dense, program_of
from table_counts import counted

from neuroprune.chips.load import load_chip
from neuroprune.chips.loihi.resets import reset_weight
from neuroprune.errors import VerificationError
from neuroprune.fixed_point import STATE_SHIFT
from neuroprune.mapping.map import map_program
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.simulation.compare import compare
from neuroprune.simulation.cores import run_cores
from neuroprune.simulation.engine import record

LOIHI_1 = load_chip("loihi1")
WEIGHTS = np.array([[40, 30], [66, -8], [120, 14]], np.int16)


def mapped(neuron: IntCubaLif) -> Mapped:
    """Three neurons on a Loihi 1, each of which is fed the same in every step."""
    program = program_of(dense("only", "input", (2,), WEIGHTS, neuron), steps=12)
    frames = np.array([[1, 1], [3, 2]], np.int8)
    return Mapped(program, frames, program, LOIHI_1, map_program(program, LOIHI_1))


@pytest.mark.parametrize(
    ("vth", "bits", "weight"),
    # the exponent and the mantissa of dnn_layers.py, weightExpSR and weightMantSR, by hand; a mantissa that is too
    # large for its exponent is cut
    [
        *((0, 8, (0, 0)), (37, 8, (37, 0)), (255, 8, (255, 0)), (256, 8, (255, 0)), (257, 8, (128, 1))),
        *((1000, 8, (250, 2)), (1001, 8, (250, 2)), (32640, 8, (255, 7)), (131071, 8, (255, 7))),
        *((37, 4, (32, 0)), (255, 4, (240, 0))),
    ],
)
def test_a_threshold_is_rounded_to_a_weight_and_its_exponent(vth: int, bits: int, weight: tuple[int, int]) -> None:
    assert reset_weight(vth, bits) == weight


@pytest.mark.parametrize(
    ("decay_u", "decay_v", "vth"), [(4095, 0, 200), (4095, 1024, 200), (2048, 0, 50), (4095, 0, 301)]
)
def test_two_compartments_do_what_their_wiring_says(decay_u: int, decay_v: int, vth: int) -> None:
    """Spikes, u and v of plain Python, with leaks and thresholds that are rounded, too."""
    case = mapped(IntCubaLif(decay_u, decay_v, vth, "subtract"))
    (found,) = run_cores(case.tables(), case.frames).layers
    assert found.u is not None and found.v is not None and found.spikes.any()
    magnitude, exponent = reset_weight(vth, 8)
    for sample, frame in enumerate(case.frames.tolist()):
        for neuron, (first, second) in enumerate(WEIGHTS.tolist()):
            u = v = fired = 0
            for step in range(case.program.steps):
                current = first * frame[0] + second * frame[1] - fired * (magnitude << exponent)
                u = truncated(u * (4096 - (decay_u + 1)), 4096) + (current << STATE_SHIFT)
                v = truncated(v * (4096 - decay_v), 4096) + u
                fired = int(v > vth << STATE_SHIFT)
                at = sample, step, neuron
                assert (int(found.spikes[at]), int(found.u[at]), int(found.v[at])) == (fired, u, v)


def truncated(value: int, by: int) -> int:
    return abs(value) // by * (1 if value >= 0 else -1)


def test_without_leak_they_are_a_neuron_that_subtracts_and_with_one_they_are_not() -> None:
    exact, leaks = mapped(IntCubaLif(4095, 0, 200, "subtract")), mapped(IntCubaLif(4095, 1024, 200, "subtract"))
    assert subtracting(exact) == {"only": 200}
    assert differences(exact) == []
    (told,) = differences(leaks)
    assert told.startswith("layer 'only', ")


def test_tables_of_a_loihi_1_hold_what_is_counted_beside_the_synapses() -> None:
    """Of three neurons a second compartment, an axon in and out and a run each, and a format."""
    case = mapped(IntCubaLif(4095, 0, 200, "subtract"))
    (core,) = case.tables().cores
    (group,) = core.groups
    assert (group.size, core.compartments) == (2, 6)
    assert core.outputs.sender.tolist() == [1, 1, 3, 3, 5, 5]
    assert [form.inhibitory for form in core.formats] == [False, True]
    assert counted(core, LOIHI_1.core) == case.mapping.cores[0].used == (6, 2 + 3, 3 + 3, 64 * (2 + 3), 2)
    small = replace(LOIHI_1, core=replace(LOIHI_1.core, neurons_per_core=4))
    assert [len(each.tiles) for each in map_program(case.program, small).cores] == [1, 1]


def test_a_reset_that_takes_off_something_else_is_found() -> None:
    case = mapped(IntCubaLif(4095, 0, 200, "subtract"))
    tables = case.tables()
    (core,) = tables.cores
    inhibitory = np.array([form.inhibitory for form in core.formats])[core.memory.format].repeat(core.memory.length)
    memory = replace(core.memory, weight=core.memory.weight + inhibitory)
    expected = record(case.program, case.frames, every_step=True)
    compare(expected, as_one_compartment(case, run_cores(tables, case.frames)))
    wrong = run_cores(replace(tables, cores=(replace(core, memory=memory),)), case.frames)
    with pytest.raises(VerificationError, match=r"^layer 'only', "):
        compare(expected, as_one_compartment(case, wrong))
