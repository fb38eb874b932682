"""What a network may take of a chip at most, and what it takes with some of its channels, as the mapper counts it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from neuroprune.arrays import Frames, FramesLike
from neuroprune.chips.chip import Chip
from neuroprune.compression.catalog import LIMITS, ChipLimit
from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.chip_cost import CALIBRATION, cost_of_program
from neuroprune.compression.record import ChipCost
from neuroprune.compression.select import Mask
from neuroprune.compression.step_time import narrowed_trace
from neuroprune.compression.surgery import duplicate
from neuroprune.errors import CapacityError, InputError
from neuroprune.graph.float_program import FloatConnection, FloatProgram
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.mapping.pace import time_model
from neuroprune.neurons.model import NeuronModel
from neuroprune.program.narrow import is_channelwise, narrowed
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConnection, IntLayer, IntProgram
from neuroprune.program.zeros import with_zeros_stored
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.types import Trace

NAMES: dict[ChipLimit, str] = {"cores": "cores of", "kib": "KiB on cores of", "step-time": "us a step on"}
"""What stands in sentences between an amount and the chip."""


class ChipLimits:
    """The most that a network may take of `chip`, by limit, and what it takes with fewer channels of `groups`.

    The network is folded and quantised once; with fewer channels the integers of the others are mapped. Cores depend on
    shapes, and on weights only by which are zero: none is taken to be, beside those that folding writes, since training
    goes on. So what fits here fits when it is trained, and a compression that is resumed chooses the same. How long a
    step takes is an estimate: channels that stay are taken to fire as they did in the dense network.
    """

    def __init__(
        self,
        module: nn.Module,
        groups: tuple[ChannelGroup, ...],
        frames: FramesLike,
        chip: Chip,
        most: Mapping[ChipLimit, float],
        neurons: Sequence[NeuronModel] | None = None,
        activity: Trace | None = None,
        timed_on: int | None = None,
    ) -> None:
        """module: the network; frames: samples as it sees them, of which the first few set the scales.

        activity: what the dense network did as `program_on` the chip, needed where `most` has the time of a step;
        timed_on: the cores on which a step may be then.
        """
        self.chip, self.most, self._groups, self._activity, self._cores = chip, most, groups, activity, timed_on or 0
        self._program = balance(shapes_of(module, frames[:CALIBRATION], chip, neurons), chip.synaptic_delay_max)
        self._group_of = groups_of_layers(self._program, groups)
        self._ends = np.cumsum([0, *(group.channels for group in groups)])
        self._known: dict[bytes, ChipCost] = {}

    def cost(self, kept: Mask) -> ChipCost:
        """What the network takes with the channels `kept`, bool [channels of all groups], or why it does not fit."""
        key = kept.tobytes()
        if key not in self._known:
            masks = [kept[start:end] for start, end in pairwise(self._ends)]
            layers = {name: masks[number] for name, number in self._group_of.items()}
            activity = None if self._activity is None else narrowed_trace(self._activity, layers)
            try:
                self._known[key] = cost_of_program(narrowed(self._program, layers), self.chip, activity, self._cores)
            except CapacityError as error:
                self._known[key] = ChipCost(chip=self.chip.name, why_not=str(error))
        return self._known[key]

    def hold(self, kept: Mask) -> bool:
        """Whether the network keeps within all limits with the channels `kept`."""
        cost = self.cost(kept)
        if cost.why_not is not None:
            return False
        return all(_amount(cost, of, self.chip) <= most for of, most in self.most.items())

    def no_need(self, kept: Mask) -> str:
        """Why nothing has to go for the limits, which the network keeps with all channels."""
        cost = self.cost(kept)
        takes = " and ".join(f"{_amount(cost, of, self.chip):,.5g} {NAMES[of]} {self.chip.name}" for of in self.most)
        cores = max(self._cores, cost.cores or 0)
        timed = f", or deploy it with --optimize time --cores {cores}" if "step-time" in self.most else ""
        return f"this network takes {takes} as it is, no more than the {self._asked()} asked for: ask for fewer{timed}"

    def out_of_reach(self, kept: Mask, floor: float) -> str:
        """Why the limits cannot be kept, which the fewest channels, `kept`, exceed; floor: the share that stays."""
        cost, chip = self.cost(kept), self.chip.name
        start = (
            "removing whole channels of this network"
            f"{f' while every layer keeps {floor:.1%} of them' if floor else ''} cannot leave at most {self._asked()} "
            f"{' and '.join(NAMES[of] for of in self.most)} {chip}"
        )
        if cost.why_not is not None:
            return f"{start}: even with the fewest channels it does not fit, since {cost.why_not}"
        over = {of: _amount(cost, of, self.chip) for of in self.most}
        binding = max(over, key=lambda of: over[of] / self.most[of])
        least = f"{np.ceil(over[binding]):,.0f}"
        return f"{start}: with the fewest channels it takes {least} {NAMES[binding]} {chip}; ask for {least} instead"

    def _asked(self) -> str:
        return " and ".join(f"{most:,.5g}" for most in self.most.values())


def check_limits(most: Mapping[ChipLimit, float], chip: Chip | None) -> None:
    """Raise InputError where the limits `most` cannot be counted on `chip`."""
    if not most:
        return
    name, title = next((each.name, each.title) for each in LIMITS if each.name in most)
    if chip is None:
        raise InputError(f"{name} ({title}) is counted on a chip, and none is given: pass chip, such as loihi-sim")
    if "kib" in most and not any(each.unit == "bits" for each in chip.core.resources):
        raise InputError(
            f"kib = {most['kib']:g} is of memory, and cores of {chip.name} count none in bits: give cores instead"
        )
    if "step-time" in most:
        time_model(chip)


def shapes_of(
    module: nn.Module, frames: Frames, chip: Chip, neurons: Sequence[NeuronModel] | None = None
) -> IntProgram:
    """The integer program of `module` in which no weight is zero but those that folding writes."""
    whole = duplicate(module).eval()
    with torch.no_grad():
        for name, parameter in whole.named_parameters():
            if name.endswith("weight"):
                parameter[parameter == 0] = max(float(parameter.abs().mean()), torch.finfo(torch.float16).tiny)
    device = next(whole.parameters()).device
    floats = fold(trace(whole, torch.from_numpy(frames[:1]).to(device), neurons))
    return _without_zeros(quantize(floats, frames, chip), floats)


def groups_of_layers(program: IntProgram, groups: Sequence[ChannelGroup]) -> dict[str, int]:
    """By layer of `program`, the number of the group of `groups` whose channels it has.

    That is of its neurons or, of a pool or a product that fires, of what it reads channel by channel.
    """
    number_of = {name: number for number, group in enumerate(groups) for name in group.neurons}
    found: dict[str, int] = {}
    for layer in program.layers:
        number = number_of.get(layer.name.partition("[")[0], _read_by_channel(layer, found))
        if number is not None:
            found[layer.name] = number
    return found


def _read_by_channel(layer: IntLayer, found: Mapping[str, int]) -> int | None:
    """The one group whose channels all connections of `layer` read channel by channel."""
    read = {found.get(each.source) for each in layer.forward}
    return read.pop() if len(read) == 1 and all(map(is_channelwise, layer.forward)) else None


def _without_zeros(program: IntProgram, floats: FloatProgram) -> IntProgram:
    """`program` with the weights stored that were rounded to zero."""

    def stored(connection: IntConnection, before: FloatConnection) -> IntConnection:
        return with_zeros_stored(connection, (connection.synapse.weight == 0) & (before.synapse.weight != 0))

    layers = (
        replace(layer, connections=tuple(map(stored, layer.connections, before.connections)))
        for layer, before in zip(program.layers, floats.layers, strict=True)
    )
    return replace(program, layers=tuple(layers))


def _amount(cost: ChipCost, of: ChipLimit, chip: Chip) -> float:
    amount = cost.amount(of)
    assert amount is not None, chip.name
    return amount
