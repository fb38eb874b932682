"""Reads neurons that someone wrote as a module of their own, by what they do."""

import copy
import functools
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from spikingjelly.activation_based import base, functional, neuron
from torch import nn

from neuroprune.graph.layout import Layout
from neuroprune.graph.nodes import Shape
from neuroprune.graph.overrides import added
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.cuba_lif.identify import NotNeurons, differing_step, identify

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


class NotTried(Exception):
    """The module cannot be run on other numbers than its own."""


def written_neurons(module: nn.Module, taken: Taken) -> WrittenNeurons:
    """What `module` does to the tensors that it takes, found by running copies of it.

    A single neuron is tried where the module takes one, else its whole layer; the layer must then do what it does.
    """
    steps = taken.steps if taken.layout.has_steps else STEPS
    unknown = WrittenNeurons(NotNeurons(), keeps_state=True)
    for sample in ((1,) * len(taken.sample), taken.sample):
        probes = max(2, min(MOST_PROBES, MOST_NUMBERS // max(1, steps * prod(sample))))
        try:
            tried = copy.deepcopy(module).eval()
            fire = functools.partial(_uniform, tried, taken, sample)
            found = identify(fire, steps, probes, taken.layout.has_steps)
            if isinstance(found, CubaLif) and not _whole_layer_does(tried, taken, steps, found):
                found = "neurons of it act on each other, or differ"
            keeps_state = not taken.layout.has_steps or _goes_on(tried, taken, steps)
        except NotTried as reason:
            unknown = WrittenNeurons(str(reason) or NotNeurons(), keeps_state=True)
        except Exception:  # noqa: BLE001  # of code that expects its own network around it
            continue
        else:
            return WrittenNeurons(found, keeps_state)
    return unknown


def _uniform(module: nn.Module, taken: Taken, sample: tuple[int, ...], drive: torch.Tensor) -> torch.Tensor:
    """What each neuron of a layer of shape `sample` gives where all receive the inputs [steps, probes]."""
    whole = drive.to(taken.like).reshape(*drive.shape, *(1 for _ in sample)).expand(*drive.shape, *sample)
    flat = fired_from_rest(module, taken, whole.contiguous()).flatten(2)
    if not torch.equal(flat, flat[:, :, :1].expand_as(flat)):
        is_spikes = bool(((flat == 0.0) | (flat == 1.0)).all())
        raise NotTried("its neurons differ among each other" if is_spikes else "")
    return flat[:, :, 0].float().cpu()


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
    drive = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) * neurons.threshold).to(taken.like)
    fired = fired_from_rest(module, taken, drive)
    return differing_step(neurons, drive.double().cpu(), fired.double().cpu()) is None


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
