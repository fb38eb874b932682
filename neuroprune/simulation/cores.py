"""The cores of a chip, one by one, each run from its own tables alone: no program, no layers, no convolutions.

In every chip step each core, in this order,

1.  updates its compartments with the sums that have arrived for this step;
2.  sends the spikes of those that fire through its output axons: messages for an input axon of a core, with an atom;
3.  looks up the run of synapses of each message that it gets, and adds the weights, times the value that the message
    carries, to the sums of their compartments for the next step, or as much later as the synapse delays.

The host does the same with the values of frames. The neurons' own rules are those of `neurons`, which the engine runs,
too; all that lies between neurons is computed in another way here, slow and plain: one table look-up for every spike.
So an engine and a mapping that agree are right about where each synapse of the network went.

Of a neuron of two compartments (see `chips.loihi.resets`) the first integrates and the second fires in the same step,
where the potential of the first exceeds the threshold. Its spike goes back to the first through a synapse as any other,
so it takes off in the next step what is to be taken off; u and v are those of the first.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from neuroprune.arrays import InputSpikes
from neuroprune.chips.tables import IDLE, OFF_CHIP, ChipTables, CompartmentGroup, CoreTables, Numbers, OutputAxons
from neuroprune.fixed_point import REGISTER_BITS, STATE_SHIFT
from neuroprune.neurons.model import UNKNOWN, IntegerRun
from neuroprune.program.frames import check_frames
from neuroprune.simulation.types import LayerRecord, Record


def run_cores(tables: ChipTables, frames: InputSpikes) -> Record:
    """Every u, v and spike of a few samples; each runs alone, from cores at rest.

    tables: of `core_tables`. Neurons are recorded from the chip step on that they compute first, so that a step of the
    record is a step of the sample, as it is in the engine's.
    frames: int8 [samples, *input shape], or [samples, steps, *input shape] of sequences.
    Raises InputError for frames of another type, shape or range.

    >>> import torch
    >>> from neuroprune import (
    ...     balance, build, compare, core_tables, fold, frames_of, load_chip, load_dataset, load_recipe, map_program,
    ...     quantize, quantize_input, record, reestimate_batchnorm, run_cores, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> chip = load_chip("loihi-sim")
    >>> program = quantize(fold(trace(network, torch.from_numpy(frames))), frames, chip)
    >>> program = balance(program, chip.synaptic_delay_max)
    >>> tables = core_tables(map_program(program, chip), program, chip)
    >>> spikes, clipped = quantize_input(program.input, frames[:1])
    >>> compare(record(program, spikes, every_step=True), run_cores(tables, spikes))  # no difference, no error
    """
    check_frames(tables, frames)
    values = frames.reshape(len(frames), tables.steps if tables.input.sequence else 1, -1).astype(np.int64)
    neurons = sum(int(np.prod(shape)) for _, shape in tables.names)
    found = np.zeros((3, len(frames), tables.steps, neurons), np.int64)
    with torch.inference_mode():
        cores = [_Core(core, tables.steps, len(frames)) for core in tables.cores]
        for now in range(max(group.start for core in tables.cores for group in core.groups) + tables.steps):
            sent = [core.update(now, found) for core in cores]
            messages = _together([*sent, _injected(tables, values, now)])
            for core, received in zip(cores, messages.by_core(len(cores)), strict=True):
                core.receive(now, received)
    return _named(tables, found)


class _Messages(NamedTuple):
    """Spikes under way; int64 [messages]. value: what a graded spike carries, else 1."""

    core: Numbers
    axon: Numbers
    atom: Numbers
    sample: Numbers
    value: Numbers

    def by_core(self, cores: int) -> "list[_Messages]":
        """Those for each core; none leave the chip."""
        order = np.argsort(self.core, kind="stable")
        ends = np.searchsorted(self.core[order], np.arange(cores + 1))
        return [_Messages(*(column[order[start:stop]] for column in self)) for start, stop in pairwise(ends)]


class _Sender:
    """Output axons, by who sends through them."""

    def __init__(self, outputs: OutputAxons, senders: int) -> None:
        self._outputs = outputs
        self._ends = np.searchsorted(outputs.sender, np.arange(senders + 1))

    def messages(self, sample: Numbers, sender: Numbers, value: Numbers) -> tuple[_Messages, Numbers]:
        """What these spikes send, and through which axon each goes."""
        spike, message = _ranges(self._ends[sender], self._ends[sender + 1] - self._ends[sender])
        entry = self._outputs.entry[message]
        sent = _Messages(
            self._outputs.core[entry],
            self._outputs.axon[entry],
            self._outputs.atom[message],
            sample[spike],
            value[spike],
        )
        return sent, entry


class _Core:
    """One core while it runs.

    _sums: int64 [step, samples, accumulators, compartments], what has arrived, for as many steps as synapses delay.
    """

    def __init__(self, tables: CoreTables, steps: int, samples: int) -> None:
        self._tables, self._steps, self._samples = tables, steps, samples
        memory = tables.memory
        self._first_synapse = np.cumsum(memory.length) - memory.length
        self._indices = memory.indices
        self._sender = _Sender(tables.outputs, tables.compartments)
        self._indexed = np.array([form.index_bits > 0 for form in tables.formats])
        self._delays = np.array([form.delay_bits > 0 for form in tables.formats])
        self._first = np.array([form.first for form in tables.formats])
        self._step = np.array([form.step for form in tables.formats])
        self._exponent = np.array([form.exponent for form in tables.formats])
        slots = 2 + int(memory.delay.max(initial=0))
        self._sums = np.zeros((slots, samples, tables.accumulators, tables.compartments), np.int64)
        self._runs = [_start(group, samples) for group in tables.groups]

    def update(self, now: int, found: npt.NDArray[np.int64]) -> _Messages:
        """Compute one step and send what fires; spikes, u and v of neurons go into `found` at the sample's step."""
        sums = self._sums[now % len(self._sums)]
        sums[:, 1:] = _wrapped(sums[:, 1:])
        current = sums.sum(axis=1)
        sums[:] = 0
        fired = np.zeros(current.shape, np.bool_)
        for group, run in zip(self._tables.groups, self._runs, strict=True):
            step = now - group.start
            if 0 <= step < self._steps:
                stop = group.first + group.compartments
                spikes, u, v = _step(group, run, current[:, group.first : stop : group.size])
                fired[:, group.first + group.size - 1 : stop : group.size] = spikes
                held = group.neuron != IDLE
                found[:, :, step, group.neuron[held]] = np.stack([spikes, u, v])[:, :, held]
        sample, compartment = np.nonzero(fired)
        return self._sender.messages(sample, compartment, np.ones(sample.size, np.int64))[0]

    def receive(self, now: int, messages: _Messages) -> None:
        """Add up the synapses that the messages of this step lead to."""
        memory, axon = self._tables.memory, messages.axon
        run = self._tables.inputs.run[axon]
        length = memory.length[run] // memory.atoms[run]
        message, synapse = _ranges(self._first_synapse[run] + messages.atom * length, length)
        form = memory.format[run][message]
        position = np.arange(message.size) - (np.cumsum(length) - length)[message]
        index = np.where(self._indexed[form], self._indices[synapse], position)
        arrives = now + 1 + np.where(self._delays[form], memory.delay[synapse], 0)
        np.add.at(
            self._sums,
            (
                arrives % len(self._sums),
                messages.sample[message],
                self._tables.inputs.accumulator[axon][message],
                self._first[form] + self._step[form] * (self._tables.inputs.base[axon][message] + index),
            ),
            (memory.weight[synapse] << self._exponent[form]) * messages.value[message],
        )


def _start(group: CompartmentGroup, samples: int) -> IntegerRun:
    """The compartments at rest, with every check of overflows."""
    rest = torch.zeros((1, samples, group.neuron.size), dtype=torch.float64)
    return group.rules.start(rest, torch.from_numpy(group.bias).double(), UNKNOWN)


def _step(
    group: CompartmentGroup, run: IntegerRun, current: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.generic], ...]:
    """Spikes, u and v, [samples, places] each, of one step that receives `current` from the synapses."""
    arrived = torch.from_numpy((current << STATE_SHIFT) + group.bias).double()
    run.integrate(arrived)
    spikes = run.v > group.rules.vth << STATE_SHIFT
    if group.size == 1:
        run.reset(spikes.to(run.v.dtype))
    u, v = run.registers(arrived)
    return spikes.numpy(), u.long().numpy(), v.long().numpy()


def _wrapped(sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Modulo 2**24, into [-2**23, 2**23)."""
    half = 1 << REGISTER_BITS - 1
    wrapped: npt.NDArray[np.int64] = (sums + half) % (2 * half) - half
    return wrapped


def _injected(tables: ChipTables, values: npt.NDArray[np.int64], now: int) -> _Messages:
    """What the host sends at chip step `now`: each axon the frame of the step that it has waited for."""
    parts = []
    sender = _Sender(tables.host.outputs, values.shape[-1])
    for wait in np.unique(tables.host.wait):
        step = now - int(wait)
        if 0 <= step < tables.steps:
            frame = values[:, step if tables.input.sequence else 0]
            sample, place = np.nonzero(frame)
            sent, entry = sender.messages(sample, place, frame[sample, place])
            due = tables.host.wait[entry] == wait
            parts.append(_Messages(*(column[due] for column in sent)))
    return _together(parts)


def _together(parts: list[_Messages]) -> _Messages:
    """All of them, but for what leaves the chip."""
    if not parts:
        return _Messages(*(np.zeros(0, np.int64) for _ in _Messages._fields))
    joined = _Messages(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    here = joined.core != OFF_CHIP
    return _Messages(*(column[here] for column in joined))


def _ranges(first: Numbers, length: Numbers) -> tuple[Numbers, Numbers]:
    """All numbers of the ranges that begin at `first`, one after the other: of which range each is, and the number."""
    of = np.arange(length.size).repeat(length)
    return of, np.arange(of.size) + (first - (np.cumsum(length) - length))[of]


def _named(tables: ChipTables, found: npt.NDArray[np.int64]) -> Record:
    """Spikes, u and v of all neurons, [3, samples, steps, neurons], layer by layer."""
    layers, first = [], 0
    for name, shape in tables.names:
        stop = first + int(np.prod(shape))
        spikes, u, v = found[..., first:stop].reshape(*found.shape[:3], *shape)
        first = stop
        v = v.astype(np.int32)
        layers.append(LayerRecord(name, spikes.astype(np.bool_), v[:, -1], u.astype(np.int32), v))
    return Record(tuple(layers))
