"""Reads neurons that someone wrote as a module of their own, by what they do."""

import copy
import functools
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import base, functional, neuron
from torch import nn

from neuroprune.arrays import frozen_array
from neuroprune.graph.layout import Layout
from neuroprune.graph.nodes import Shape
from neuroprune.graph.overrides import added
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.cuba_lif.identify import LARGEST, NotNeurons, differing_step, identify

STEPS = 12
"""Steps that neurons are tried for which take one at a call."""

MOST_PROBES, MOST_NUMBERS = 16, 1 << 24
"""Inputs that are tried at once, and numbers in them: 64 MiB of float32."""


@dataclass(frozen=True, eq=False)
class Taken:
    """The tensors that a module takes, of the dtype and on the device of `like`.

    sample: the shape without steps and samples. steps: of a tensor, 1 where its layout has none.
    """

    like: torch.Tensor
    layout: Layout
    sample: Shape
    steps: int


@dataclass(frozen=True)
class WrittenNeurons:
    """What a module was found to do: like neurons, unlike those of the chip, or not like neurons at all.

    keeps_state: whether a call goes on from where the last one ended.
    """

    found: CubaLif | NotNeurons | str
    keeps_state: bool


DIFFER = "its neurons differ among each other"


class NotTried(Exception):
    """The module cannot be run on other numbers than its own."""


def written_neurons(module: nn.Module, taken: Taken) -> WrittenNeurons:
    """What `module` does to the tensors that it takes, found by running copies of it.

    A single neuron is tried where the module takes one, else its whole layer; the layer must then do what it does.
    Neurons may differ in their thresholds.
    """
    steps = taken.steps if taken.layout.has_steps else STEPS
    unknown = WrittenNeurons(NotNeurons(), keeps_state=True)
    one = (1,) * len(taken.sample)
    for sample, find in ((one, _alike), (taken.sample, _alike), (taken.sample, _of_own_thresholds)):
        if find is _of_own_thresholds and unknown.found != DIFFER:
            break  # what the module gave were no spikes
        probes = max(2, min(MOST_PROBES, MOST_NUMBERS // max(1, steps * prod(sample))))
        try:
            tried = copy.deepcopy(module).eval()
            found = find(tried, taken, sample, steps, probes)
            keeps_state = not taken.layout.has_steps or _goes_on(tried, taken, steps)
        except NotTried as reason:
            unknown = WrittenNeurons(str(reason) or NotNeurons(), keeps_state=True)
        except Exception:  # noqa: BLE001  # of code that expects its own network around it
            continue
        else:
            return WrittenNeurons(found, keeps_state)
    return unknown


Found = CubaLif | NotNeurons | str


def _alike(module: nn.Module, taken: Taken, sample: tuple[int, ...], steps: int, probes: int) -> Found:
    """Of a layer whose neurons are all the same."""
    fire = functools.partial(_uniform, module, taken, sample)
    found = identify(fire, steps, probes, taken.layout.has_steps)
    if isinstance(found, CubaLif) and not _whole_layer_does(module, taken, steps, found):
        return "neurons of it act on each other, or differ"
    return found


def _of_own_thresholds(module: nn.Module, taken: Taken, sample: tuple[int, ...], steps: int, probes: int) -> Found:
    """Of a layer whose neurons are the same but for their thresholds: as the first one, each of an input that is as
    many times larger as its threshold is lower."""

    def fire(drive: torch.Tensor) -> torch.Tensor:
        return _all_fired(module, taken, sample, drive)[:, :, 0]

    thresholds = _thresholds(module, taken, steps)
    found = identify(fire, steps, probes, taken.layout.has_steps)
    if not isinstance(found, CubaLif):
        return found
    neurons = replace(found, gain=frozen_array(found.threshold / thresholds.numpy(), np.float64))
    if _whole_layer_does(module, taken, steps, neurons):
        return neurons
    return (
        "its neurons differ among each other in more than their thresholds, and those of a layer of the chip have one "
        "decay and one reset"
    )


def _thresholds(module: nn.Module, taken: Taken, steps: int) -> torch.Tensor:
    """The smallest first input that makes each neuron fire, to the last bit of float32, [*sample] in float64."""
    drive = torch.zeros((steps if taken.layout.has_steps else 1), 2, *taken.sample)

    def fires(first: torch.Tensor) -> torch.Tensor:
        drive[0] = first
        return fired_from_rest(module, taken, drive.to(taken.like))[0, 0].cpu() == 1.0

    low = torch.zeros(taken.sample, dtype=torch.int32)  # floats above 0 are ordered as their bits are
    high = torch.full(taken.sample, LARGEST).view(torch.int32)
    if bool(fires(low.view(torch.float32)).any()) or not bool(fires(high.view(torch.float32)).all()):
        raise NotTried(DIFFER)
    while bool((high - low > 1).any()):
        middle = low + (high - low) // 2
        fired = fires(middle.view(torch.float32))
        low, high = torch.where(fired, low, middle), torch.where(fired, middle, high)
    return high.view(torch.float32).double()


def _uniform(module: nn.Module, taken: Taken, sample: tuple[int, ...], drive: torch.Tensor) -> torch.Tensor:
    """What each neuron of a layer of shape `sample` gives where all receive the inputs [steps, probes]."""
    flat = _all_fired(module, taken, sample, drive)
    if not torch.equal(flat, flat[:, :, :1].expand_as(flat)):
        raise NotTried(DIFFER if bool(((flat == 0.0) | (flat == 1.0)).all()) else "")
    return flat[:, :, 0]


def _all_fired(module: nn.Module, taken: Taken, sample: tuple[int, ...], drive: torch.Tensor) -> torch.Tensor:
    """What neurons of a layer of shape `sample` give where all receive the inputs [steps, probes]: [..., neurons]."""
    whole = drive.to(taken.like).reshape(*drive.shape, *(1 for _ in sample)).expand(*drive.shape, *sample)
    return fired_from_rest(module, taken, whole.contiguous()).flatten(2).float().cpu()


def fired_from_rest(module: nn.Module, taken: Taken, drive: torch.Tensor) -> torch.Tensor:
    """What neurons at rest give for the inputs [steps, probes, *sample]."""
    module = copy.deepcopy(module)  # its code may keep a state that nothing resets
    functional.reset_net(module)
    if taken.layout.has_steps:
        outputs = taken.layout.steps_first(_tensor(module(taken.layout.arranged(drive).contiguous())), drive.shape[1])
    else:
        outputs = torch.stack([_tensor(module(step)) for step in drive.clone().unbind(0)])
    if outputs.shape != drive.shape:
        raise NotTried
    return outputs


def _whole_layer_does(module: nn.Module, taken: Taken, steps: int, neurons: CubaLif) -> bool:
    """Whether a layer of different inputs gives what `neurons` do."""
    shape = (steps, 2, *taken.sample)
    gain = torch.tensor(neurons.gain, dtype=torch.float64)
    drive = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) * neurons.threshold / gain).to(taken.like)
    fired = fired_from_rest(module, taken, drive)
    return differing_step(neurons, drive.double().cpu() * gain, fired.double().cpu()) is None


def _tensor(output: Any) -> torch.Tensor:
    if not isinstance(output, torch.Tensor):
        raise NotTried
    return output.clone()


def _goes_on(module: nn.Module, taken: Taken, steps: int) -> bool:
    """Whether a second call differs from the first, as of neurons that keep their potential."""
    module = copy.deepcopy(module)
    functional.reset_net(module)
    shape = (steps, 2, *taken.sample)
    drive = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(taken.like)
    arranged = taken.layout.arranged(drive).contiguous()
    return not torch.equal(_tensor(module(arranged.clone())), _tensor(module(arranged.clone())))


CALLED = frozenset(("forward", "single_step_forward", "multi_step_forward", "single_step_functional_forward"))
"""Methods through which SpikingJelly runs a neuron."""


def _is_run(module: nn.Module) -> bool:
    """Whether what the user's class adds to a neuron of SpikingJelly is run at all.

    Releases before 2 called neuronal_charge, neuronal_fire and neuronal_reset, which 2 no longer does; what such a
    class does here then says nothing of what its author meant.
    """
    library = next((each for each in type(module).__mro__ if each.__module__.startswith("spikingjelly")), None)
    methods = set(added(module, library)) if library is not None and issubclass(library, neuron.BaseNode) else set()
    return bool(methods & CALLED) or not any(name.startswith("neuronal_") for name in methods)


def may_be_neurons(module: nn.Module, knows: Any) -> bool:
    """Whether `module` may be neurons that someone wrote: it has no layers of its own that are read."""
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) or not hasattr(type(module), "forward"):
        return False
    if not _is_run(module):
        return False
    library = type(module).__module__
    if library.startswith("torch.nn") or (
        library.startswith("spikingjelly") and not isinstance(module, base.MemoryModule)
    ):
        return False
    return not any(
        knows(each) or isinstance(each, base.MemoryModule) for each in module.modules() if each is not module
    )
