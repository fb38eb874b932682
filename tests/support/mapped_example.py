"""A small program on several cores, with its activity: what costs are counted of, and what SANA-FE is given."""

from typing import NamedTuple

import numpy as np
from programs import conv, dense, program_of, with_bias

from neuroprune.arrays import InputSpikes
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.mapping.map import pack_program
from neuroprune.mapping.place import place
from neuroprune.mapping.traffic import measure_traffic
from neuroprune.mapping.types import ChipMapping
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.neurons.model import Reset
from neuroprune.program.types import IntProgram
from neuroprune.report.activity import Activity, activity_of
from neuroprune.report.traffic import placed
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.types import Trace


class Mapped(NamedTuple):
    """A program on a chip, and what it did in one sample, `frames[0]`."""

    program: IntProgram
    mapping: ChipMapping
    chip: Chip
    frames: InputSpikes
    trace: Trace
    activity: Activity


def mapped_program(
    steps: int = 4, reset: Reset = "zero", decay_u: int = 4095, sequence: bool = False, seed: int = 3
) -> Mapped:
    """Two convolutions, the first of which takes two cores, and two dense layers, the last one sparse.

    sequence: whether the sample brings a frame for each step.
    """
    rng = np.random.default_rng(seed)

    def even(*shape: int) -> np.ndarray:
        return 2 * rng.integers(-60, 60, shape)

    def biased(vth: int, channels: int) -> tuple:
        return with_bias(IntCubaLif(decay_u, 1024, vth, reset), rng.integers(-60, 60, channels))

    shape = (1, 12, 12)
    program = program_of(
        conv("a.first", "input", shape, even(10, 1, 3, 3), padding=(1, 1), neuron=biased(3000, 10)),
        conv("a.second", "a.first", (10, 12, 12), even(6, 10, 3, 3), (2, 2), (1, 1), neuron=biased(200, 6)),
        dense("b", "a.second", (6, 6, 6), even(30, 216), neuron=biased(150, 30)),
        dense("c", "b", (30,), even(10, 30) * (rng.random((10, 30)) < 0.2), neuron=biased(100, 10)),
        steps=steps,
        sequence=sequence,
    )
    frames = rng.integers(-20, 60, (1, *(steps,) * sequence, *shape)).astype(np.int8)
    chip = load_chip("loihi-sim")
    trace = simulate(program, frames)
    packing = pack_program(program, chip)
    traffic = measure_traffic(program, packing, {each.name: each.spikes for each in trace.layers}, chip)
    mapping = place(packing, chip, traffic)
    activity = activity_of(program, mapping, trace, chip, placed(traffic, mapping, chip))
    return Mapped(program, mapping, chip, frames, trace, activity)
