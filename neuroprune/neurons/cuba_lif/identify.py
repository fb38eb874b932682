"""Recognises such neurons by what they do: by the spikes that they give for inputs that are chosen to tell.

Only spikes are seen, so what is found is in units of the input: a neuron that fires where x / tau >= 1 is one that
fires where x >= tau. Each number is found as the smallest input, to the last bit of float32, that still makes neurons
fire; what is found is then held against the neurons on random inputs.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import torch

from neuroprune.neurons.cuba_lif.neurons import CubaLif

Fire = Callable[[torch.Tensor], torch.Tensor]
"""Runs neurons at rest on float32 [steps, probes] and gives their output of the same shape; steps may be fewer for
those that take one at a call."""

TOLERANCE = 1e-5
"""Of the threshold: what float32 roundings can add up to over the few steps of a probe."""

LARGEST = 1e6
"""An input that neurons which fire at all must fire for."""


@dataclass(frozen=True)
class NotNeurons:
    """What is tried gives something else than spikes."""


class _Unlike(Exception):
    """How neurons differ from those that are known."""


def identify(fire: Fire, steps: int, probes: int, all_at_once: bool = True) -> CubaLif | NotNeurons | str:
    """The neurons that give the spikes of `fire`, what tells them from such neurons, or that they are none.

    steps: how many `fire` takes; what cannot be told with so few does not matter with so few. probes: how many it may
    be given at once, at least 2. all_at_once: whether it needs all steps.
    """
    probe = _Probe(fire, steps, probes, all_at_once)
    height = probe.height()
    if height is None:
        return NotNeurons()
    if height != 1.0:
        return f"it gives {height:.4g} for a spike, where 1 is handed on"
    try:
        threshold = probe.smallest([])
        if threshold <= 0.0:
            raise _Unlike("it fires without input")
        candidates = _candidates(probe, threshold)
        reasons = [reason for each in candidates if (reason := _difference(probe, each)) is None or reason]
        for neuron in candidates:
            if _difference(probe, neuron) is None:
                return neuron
        raise _Unlike(reasons[0] or "")
    except _Unlike as unlike:
        return str(unlike)


@dataclass(frozen=True)
class _Probe:
    fire: Fire
    steps: int
    probes: int
    all_at_once: bool

    def last(self, before: list[float], tried: torch.Tensor) -> torch.Tensor:
        """The output after inputs `before` and then each of `tried`, float32 [tries]."""
        drive = torch.zeros(self.steps if self.all_at_once else len(before) + 1, len(tried))
        for step, value in enumerate(before):
            drive[step] = value
        drive[len(before)] = tried
        return self.fire(drive)[len(before)]

    def height(self) -> float | None:
        """What a first input gives that is large, if that is the same for all large ones, and 0 for negative ones."""
        least, large, largest = (
            float(self.last([], torch.full((2,), value))[0]) for value in (-LARGEST, LARGEST / 10, LARGEST)
        )
        return largest if least == 0.0 and large == largest != 0.0 else None

    def smallest(self, before: list[float]) -> float:
        """The smallest last input after `before` that makes neurons fire, to the last bit of float32."""
        low, high = _number(-LARGEST), _number(LARGEST)
        ends = self.last(before, torch.tensor([_float(low), _float(high)])).tolist()
        if ends == [0.0, 0.0]:
            raise _Unlike("it does not fire in the step after a spike, whatever it receives")
        if ends != [0.0, 1.0]:
            raise _Unlike(f"it gives {ends[1]:g} and not 1 for a spike")
        while high - low > 1:
            places = sorted(
                {low + (high - low) * (at + 1) // (self.probes + 1) for at in range(self.probes)} - {low, high}
            )
            tried = torch.tensor([_float(place) for place in places] or [_float(low)])
            given = self.last(before, tried).tolist()
            for place, output in zip(places, given, strict=False):
                if output == 1.0:
                    high = place
                    break
                low = place
        return _float(high)


def _candidates(probe: _Probe, threshold: float) -> list[CubaLif]:
    """The neurons that it may be, by what is left of an input one and two steps later."""
    if probe.steps == 1:
        return [CubaLif(0.0, threshold)]
    drift = threshold - probe.smallest([0.0])
    if abs(drift) > TOLERANCE * threshold:
        raise _Unlike(f"its potential moves by {drift:.3g} in a step without input")
    kept = [(threshold - probe.smallest([share * threshold])) / (share * threshold) for share in (0.5, 0.9, -1.0, -4.0)]
    if max(kept) - min(kept) > TOLERANCE:
        raise _Unlike(
            f"of a potential of {0.5 * threshold:.4g} it keeps {kept[0]:.4g} in a step, of {-4 * threshold:.4g} "
            f"{kept[3]:.4g}, so its leak is not in proportion"
        )
    first = _plain(kept[3])
    pairs = [(first, 0.0)]
    if probe.steps > 2:
        second = (threshold - probe.smallest([-4.0 * threshold, 0.0])) / (-4.0 * threshold)
        if abs(second - first**2) > TOLERANCE:
            # what is left of a current a and a potential b: a + b, and a a + a b + b b a step later
            product = first**2 - second
            root = first**2 - 4.0 * product
            if root < 0.0:
                raise _Unlike("an input goes on to act as that of no current and potential that decay would")
            one, two = (first + math.sqrt(root)) / 2.0, (first - math.sqrt(root)) / 2.0
            pairs = [(_plain(one), _plain(two)), (_plain(two), _plain(one))]
    found = []
    for voltage, current in pairs:
        if not (-TOLERANCE < voltage <= 1.0 + TOLERANCE and -TOLERANCE < current < 1.0):
            raise _Unlike(f"it keeps {first:.4g} of its potential in a step, where 0 to 1 can be kept")
        if voltage < TOLERANCE:
            raise _Unlike("it keeps nothing of its potential from step to step")
        decays = max(0.0, 1.0 - voltage), 1.0 - max(0.0, current)
        found += [CubaLif(decays[0], threshold, current_decay=decays[1], reset="zero")]
        found += [CubaLif(decays[0], threshold, current_decay=decays[1], reset="subtract")]
    return found


def _difference(probe: _Probe, neuron: CubaLif) -> str | None:
    """Where the spikes on random inputs, and after spikes, are others than those of `neuron`; None where nowhere."""
    generator = torch.Generator().manual_seed(0)
    size = neuron.threshold
    if probe.steps > 1 and (reason := _reset_problem(probe, neuron)):
        return reason
    for spread in (0.4, 1.0, 3.0):
        drive = torch.randn(probe.steps, probe.probes, generator=generator) * size * spread + 0.2 * size
        step = differing_step(neuron, drive.double(), probe.fire(drive).double())
        if step is not None:
            return f"in step {step + 1} of a random input it gives other spikes"
    return None


def differing_step(neuron: CubaLif, drive: torch.Tensor, fired: torch.Tensor) -> int | None:
    """The first step in which neurons with inputs [steps, ...] that give `fired` are unlike `neuron`, from 0, or None.

    Spikes of a potential that is at the threshold but for roundings are taken as they are.
    """
    state = neuron.rest(drive[0])
    for step, current in enumerate(drive):
        state = neuron.integrate(state, current, 0.0)
        highest = max(neuron.threshold, float(state[-1].abs().max()))
        near = (state[-1] - neuron.threshold).abs() <= 10 * TOLERANCE * highest
        if bool(((fired[step] != (state[-1] >= neuron.threshold).double()) & ~near).any()):
            return step
        state = neuron.after_spike(state, fired[step] > 0.5)
    return None


def _reset_problem(probe: _Probe, neuron: CubaLif) -> str | None:
    """What is wrong with the potential after a spike."""
    size, kept, current = neuron.threshold, 1.0 - neuron.decay, 1.0 - neuron.current_decay
    left = []
    for share in (1.5, 3.0):
        given = share * size
        left.append((size - probe.smallest([given]) - current * given) / kept)
    expected = [0.0, 0.0] if neuron.reset == "zero" else [0.5 * size, 2.0 * size]
    if all(abs(one - two) <= 10 * TOLERANCE * size for one, two in zip(left, expected, strict=True)):
        return None
    if abs(left[0] - left[1]) <= 10 * TOLERANCE * size:
        return f"after a spike its potential is {left[0]:.4g}, where it may be 0 or {size:.4g} less than before"
    lost = 1.5 * size - left[0]
    if kept < 1.0 and abs(lost * kept - size) <= 10 * TOLERANCE * size:
        return "its reset takes the threshold off a step late, behind the leak (one to zero is read)"
    return f"a spike takes {lost:.4g} off its potential, while it fires from {size:.4g} on"


def _plain(value: float) -> float:
    """The number of six digits that `value` was measured of, if any."""
    near = round(value, 6)
    return near if abs(near - value) < 3e-7 else value


def _number(value: float) -> int:
    """The place of a float32 among all, which are ordered as their values are."""
    bits = int(struct.unpack("<i", struct.pack("<f", value))[0])
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _float(number: int) -> float:
    """The float32 at that place."""
    (value,) = struct.unpack("<f", struct.pack("<i", number if number >= 0 else -number - (1 << 31)))
    return float(value)
