"""The neurons of one layer, all samples at once, over all steps.

Bounds that are proved of a layer decide which overflow checks are left out. Where they do not prove u and v free of
overflows, a tighter bound is taken from the actual drive; if that leaves overflows possible, they are counted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neuroprune.fixed_point import STATE_SHIFT
from neuroprune.neurons.model import IntNeuron
from neuroprune.program.bounds import LayerBound


@dataclass(frozen=True, eq=False)
class Firing:
    """spikes: bool [steps, samples, *shape]; voltages [samples, *shape] after the last step; counts of overflows.

    states: u and v at the end of every step, [steps, samples, *shape] each, where they were asked for.
    """

    spikes: Tensor
    voltages: Tensor
    current_wraps: int
    voltage_saturations: int
    states: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True, eq=False)
class Feedback:
    """What a layer's own spikes add to its drive one step later.

    deliver: from spikes as bytes, [samples, *shape], to 64 * synaptic current, exact, and how many sums wrapped. peak:
    the largest magnitude of that for any spikes.
    """

    deliver: Callable[[Tensor], tuple[Tensor, int]]
    peak: int


def fire(
    drive: Tensor,
    steps: int,
    neuron: IntNeuron,
    bias: Tensor,
    bound: LayerBound,
    every_step: bool = False,
    feedback: Feedback | None = None,
) -> Firing:
    """Run `steps` time steps from u = v = 0.

    drive: [steps, samples, *shape], or [1, samples, *shape] where every step receives the same: 64 * synaptic current
    + bias in units of v, exact.
    bias: what of the drive is bias, broadcastable to it. bound: what is proved of the layer; where it is safe, nothing
    is counted. every_step: record u and v of each step. feedback: of recurrent connections, which the drive leaves out.
    """
    registers = bound.registers
    if not bound.safe:
        low, high = (int(value) for value in torch.aminmax(drive))
        peak = max(-low, high) + (feedback.peak if feedback else 0)
        registers = neuron.measured_bound(peak, int(bias.abs().max()), steps)
    run = neuron.start(drive, bias, registers)
    threshold = neuron.vth << STATE_SHIFT
    fired = torch.empty_like(run.v)
    spikes = drive.new_empty((steps, *drive.shape[1:]), dtype=torch.bool)
    states: list[tuple[Tensor, Tensor]] = []
    sum_wraps = 0
    for step in range(steps):
        arrived = drive[step if len(drive) == steps else 0]
        if feedback and step:
            currents, wrapped = feedback.deliver(spikes[step - 1].view(torch.uint8))
            arrived, sum_wraps = arrived + currents, sum_wraps + wrapped
        run.integrate(arrived)
        torch.gt(run.v, threshold, out=fired)
        spikes[step].copy_(fired)
        run.reset(fired)
        if every_step:
            states.append(run.registers(arrived))
    kept = (torch.stack([u for u, _ in states]), torch.stack([v for _, v in states])) if every_step else None
    return Firing(spikes, run.v, run.current_wraps + sum_wraps, run.voltage_saturations, kept)
