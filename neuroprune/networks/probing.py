"""Finds out what a network of the user's takes and returns, by trying."""

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch
from spikingjelly.activation_based import base, functional, neuron
from spikingjelly.activation_based.layer import Dropout
from torch import nn
from torch.utils import _pytree

from neuroprune.errors import InputError
from neuroprune.evaluation import evaluation_mode
from neuroprune.excerpts import capped
from neuroprune.networks.presentation import Form, Presentation, Returns, Takes, call, scores_of

SAMPLES, STEPS = 7, 5
"""Numbers that tell their axes from each other, and that T is seldom; STEPS where nothing says how many."""

STEP = "single_step_functional_forward"
"""The method in which neurons of the installed SpikingJelly have their dynamics."""

LOUDNESS = (1.0, 30.0)
"""Factors of the frames that are tried, since a silent network tells nothing."""


def present(
    network: nn.Module, input_shape: tuple[int, int, int], steps: int | None = None, sequence: bool = False
) -> nn.Module:
    """`network` as one that takes samples and returns scores [N, K]: itself where it does, else a Presentation.

    input_shape: channels, height, width. sequence: whether samples have a frame for each of `steps`; else `steps` is
    how often an image is shown to a network that does not do so itself. A form is found by trying, and counts only if
    samples in another order give scores in that order.
    Raises InputError where no form fits, where `steps` are needed, and where the network has others of its own.

    >>> import torch
    >>> from spikingjelly.activation_based import neuron
    >>> from neuroprune import present
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10), neuron.LIFNode())  # one step a call
    >>> network = present(network, (1, 8, 8), steps=4)
    >>> network(torch.zeros(3, 1, 8, 8)).shape, network.form.title
    (torch.Size([3, 10]), '[N, C, H, W], one step a call: each image is shown 4 times')
    """
    network = getattr(network, "_orig_mod", network)  # of torch.compile, whose graphs have no layers
    form = find_form(network, input_shape, steps, sequence)
    if form == Form("sequences" if sequence else "frames"):
        return network
    return Presentation(network, form)


def find_form(
    network: nn.Module, input_shape: tuple[int, int, int], steps: int | None = None, sequence: bool = False
) -> Form:
    """The form of `network`: see `present`. Raises InputError."""
    try:
        return _find_form(network, input_shape, steps, sequence, stays=False)
    except InputError as error:
        if torch.cuda.is_available() or "cuda" not in str(error).lower():
            raise
    return _find_form(network, input_shape, steps, sequence, stays=True)


def _find_form(
    network: nn.Module, input_shape: tuple[int, int, int], steps: int | None, sequence: bool, stays: bool
) -> Form:
    name = type(network).__name__
    if steps is not None and steps < 1:
        raise InputError(f"samples of {steps} steps cannot be shown to network {name}: give at least 1")
    tried: tuple[Takes, ...] = ("sequences", "batch-first sequences", "time-last sequences")
    tried = (*tried, "steps") if sequence else ("frames", *tried)
    reasons = []
    for multi_step, flat, takes in itertools.product((False, True), (False, True), tried):
        if multi_step and (takes in ("frames", "steps") or not _single_steppers(network)):
            continue  # before that, only what the network is as it stands
        form = Form(takes, steps=None if sequence or takes == "frames" else steps or STEPS, flat=flat)
        form = replace(form, multi_step=multi_step, stays=stays)
        try:
            with in_step_mode(network, form):
                form, made = _probe(network, form, input_shape, steps or STEPS, sequence)
        except _Misfit as misfit:
            reasons.append(misfit)
        else:
            return _settled(name, form, made, steps, sequence)
    _check_neurons(network)
    told = next((reason for reason in reasons if reason.remedy), reasons[0])
    raise InputError(
        f"network {name} cannot take {' or '.join(Form(takes).title for takes in tried)} of {tuple(input_shape)} "
        f"(channels, height, width) ({told}): {told.remedy or 'choose another data set or change the network'}"
    )


def _check_neurons(network: nn.Module) -> None:
    """Raise InputError for neurons of an earlier SpikingJelly's form, which the one that is installed cannot run."""
    for path, layer in network.named_modules():
        has_step = getattr(type(layer), STEP, None) is not getattr(neuron.BaseNode, STEP)
        if isinstance(layer, neuron.BaseNode) and hasattr(layer, "neuronal_charge") and not has_step:
            raise InputError(
                f"layer {path}: {type(layer).__name__} has its dynamics in neuronal_charge, which SpikingJelly "
                f"{version('spikingjelly')} does not call: use LIFNode, IFNode or ParametricLIFNode"
            )


def _settled(name: str, form: Form, made: int | None, steps: int | None, sequence: bool) -> Form:
    """`form` with the steps that were asked for, where a call makes `made` of them, None where none can be counted."""
    if form.takes == "frames":
        if made == 1 and form.returns == "scores":
            return replace(form, takes="steps", steps=steps or 1)
        if steps in (None, made):
            return form
        raise InputError(
            f"network {name} presents each image at {'steps of its own' if made is None else f'{made} steps'}, not at "
            f"{steps}: leave the steps out, or tell its code (as with --args T={steps})"
        )
    if form.takes == "steps" and made not in (None, 1):
        raise InputError(
            f"network {name} presents each frame at {made} steps, and cannot take samples that have a frame for each "
            "step: name images, or change its code"
        )
    if not sequence and steps is None:
        raise InputError(
            f"network {name} takes {replace(form, steps=None).title}, and nothing says how often an image is shown: "
            "give the steps (--steps 4)"
        )
    return form


class _Misfit(Exception):
    """Why a network is not of a form, and what helps, where that is known."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.remedy = remedy


def _probe(
    network: nn.Module, form: Form, input_shape: tuple[int, int, int], steps: int, sequence: bool
) -> tuple[Form, int | None]:
    """`form` with what `network` returns, and the steps that a call made. Raises _Misfit where it is of another."""
    samples = SAMPLES if steps != SAMPLES else SAMPLES + 2
    generator = torch.Generator().manual_seed(0)
    like = next(network.parameters(), torch.zeros(1))
    shape = (steps, samples, *input_shape) if sequence else (samples, *input_shape)
    frames = torch.randn(shape, generator=generator).to(like)
    order = torch.roll(torch.arange(samples), 1).to(like.device)
    with torch.no_grad():
        for loudness in LOUDNESS:
            given, made, sums = _run(network, form, frames * loudness)
            if "sequences" in form.takes and _single_steppers(network) and made == 1 < steps:
                raise _Misfit("its neurons are in step mode 's' and take a whole sequence for one step")
            if made == samples and _run(network, form, frames.narrow(-4, 0, samples - 1))[1] != samples:
                raise _Misfit("it takes samples for steps")
            read = _reading(given, samples, form)
            if read is None:
                is_class = isinstance(given, torch.Tensor) and tuple(given.shape) == (samples,)
                remedy = "return the scores of all classes, [N, classes]" if is_class else None
                raise _Misfit(f"it returns {described(given)} for {samples} samples", remedy)
            form = replace(form, returns=read[0], part=read[1])
            scores = scores_of(form, given)
            permuted, _, permuted_sums = _run(network, form, (frames * loudness).index_select(-4, order))
            again = scores_of(form, permuted)
            alike = torch.allclose(scores[order], again, rtol=1e-4, atol=1e-5, equal_nan=True)
            if not alike or not _same_sums(sums, permuted_sums):
                if not _same_sums(sums, _run(network, form, frames * loudness)[2]):
                    raise _unsteady(network, form, frames * loudness)
                raise _Misfit("samples in another order do not give scores in that order")
    if made == 1 and not _memories(network) and not _goes_on(network, form, frames):
        made = None  # its neurons are its own, and make all their steps in a call
    return form, made


def _unsteady(network: nn.Module, form: Form, frames: torch.Tensor) -> _Misfit:
    """Why a network that is reset gives other numbers for the same frames."""
    sums = []
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            sums.append(_run(network, form, frames)[2])
    if _same_sums(*sums):
        return _Misfit(
            "it draws random numbers in evaluation mode, as Poisson coding or F.dropout without self.training does",
            "leave them out of its code (--coding poisson shows Poisson spikes)",
        )
    return _Misfit(
        "it goes on from call to call, where nothing that resets layers of SpikingJelly resets it",
        "let its forward begin with the state at rest, or give what keeps the state a method reset()",
    )


def _goes_on(network: nn.Module, form: Form, frames: torch.Tensor) -> bool:
    """Whether a second call goes on from the first, as of a network that makes one step a call."""
    with evaluation_mode(network), torch.no_grad(), _counted(network) as (_, sums):
        for _ in range(2):
            call(network, form, frames.clone())  # which its code may change in place
    half = len(sums) // 2
    return not _same_sums(sums[:half], sums[half:])


def _single_steppers(network: nn.Module) -> list[nn.Module]:
    """The layers of SpikingJelly's that keep state and are in step mode 's'."""
    return [layer for layer in _memories(network) if getattr(layer, "step_mode", None) == "s"]


@contextmanager
def in_step_mode(network: nn.Module, form: Form) -> Iterator[None]:
    """Within it, layers are in the step mode that `form` says, and in their own afterwards."""
    modes = {layer: layer.step_mode for layer in network.modules() if hasattr(layer, "step_mode")}
    if form.multi_step:
        functional.set_step_mode(network, "m")
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.step_mode = mode


def _memories(network: nn.Module) -> list[nn.Module]:
    """The layers that SpikingJelly knows to keep state from call to call; dropout does not in evaluation."""
    layers = (each for each in network.modules() if each is not network)
    return [each for each in layers if isinstance(each, base.MemoryModule) and not isinstance(each, Dropout)]


Sums = list[tuple[float, float]]
"""Of what each layer gives at each call: the sum, and that of the magnitudes.

They do not depend on the order of samples, which the scores of a network that hardly fires would not tell.
"""


def _run(network: nn.Module, form: Form, frames: torch.Tensor) -> tuple[Any, int | None, Sums]:
    """What `network` returns, the most steps that one of its layers makes in a call, and what its layers give."""
    with evaluation_mode(network), _counted(network) as (counts, sums):
        try:
            given = call(network, form, frames)
        except Exception as error:  # whatever the user's code raises
            raise _Misfit(capped(f"{type(error).__name__}: {error}")) from error
        for output in _pytree.tree_leaves(given):
            if isinstance(output, torch.Tensor) and output.is_floating_point():
                sums.append((float(output.double().sum()), float(output.double().abs().sum())))
    calls = len(given) if form.takes == "steps" else 1
    return given, max(counts.values()) // calls if counts else None, sums


def _same_sums(sums: Sums, others: Sums) -> bool:
    return len(sums) == len(others) and all(
        abs(one - other) <= 1e-5 * magnitude + 1e-6
        for (one, magnitude), (other, _) in zip(sums, others, strict=True)
        if math.isfinite(magnitude)
    )


@contextmanager
def _counted(network: nn.Module) -> Iterator[tuple[dict[nn.Module, int], Sums]]:
    """Within it, the steps that each layer with state makes are counted, and what all layers give is summed.

    Where no layer is known to keep state, neurons are the user's own, and the calls of layers with weights are counted.
    """
    counts: dict[nn.Module, int] = {}
    sums: Sums = []

    def count(module: nn.Module, args: tuple[Any, ...]) -> None:
        is_multi = getattr(module, "step_mode", "s") == "m" and args and isinstance(args[0], torch.Tensor)
        counts[module] = counts.get(module, 0) + (args[0].shape[0] if is_multi else 1)

    def add(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point():
            sums.append((float(output.double().sum()), float(output.double().abs().sum())))

    inner = [layer for layer in network.modules() if layer is not network]
    weighted = [layer for layer in inner if next(layer.parameters(recurse=False), None) is not None]
    layers = _memories(network) or weighted
    handles = [layer.register_forward_pre_hook(count) for layer in layers]
    handles += [layer.register_forward_hook(add) for layer in inner if next(layer.children(), None) is None]
    try:
        yield counts, sums
    finally:
        for handle in handles:
            handle.remove()


def _reading(given: Any, samples: int, form: Form) -> tuple[Returns, int | str | None] | None:
    """What of `given` are scores, and over time how; None where nothing is."""
    if form.takes == "steps":
        found = _reading(given[0], samples, replace(form, takes="frames"))
        return found if found is not None and found[0] == "scores" else None
    kind = _kind(given, samples)
    if kind is not None:
        return kind, None
    parts: list[tuple[int | str, Any]] = []
    if isinstance(given, dict):
        parts = list(given.items()) if len(given) == 1 else []
    elif isinstance(given, tuple | list) and given:
        parts = [(0, given[0])]
    for part, value in parts:
        kind = _kind(value, samples)
        if kind is not None:
            return kind, part
    return None


def _kind(value: Any, samples: int) -> Returns | None:
    if isinstance(value, torch.Tensor):
        shape = tuple(value.shape)
        if len(shape) == 2 and shape[0] == samples:
            return "scores"
        if len(shape) == 3 and samples in shape[:2]:
            return "steps" if shape[1] == samples else "batch-first steps"
        return None
    is_list = isinstance(value, list) and len(value) > 1
    return "list of steps" if is_list and all(_kind(each, samples) == "scores" for each in value) else None


def described(given: object) -> str:
    """What was returned, for people."""
    return f"the shape {tuple(given.shape)}" if isinstance(given, torch.Tensor) else f"a {type(given).__name__}"
