"""Shows samples to a network of the user's in the form that its code takes, and makes rates of what it returns."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.networks.devices import Staying

Takes = Literal["frames", "sequences", "batch-first sequences", "time-last sequences", "steps"]
"""What a network is called with: frames [N, C, H, W], which it presents at its own steps; sequences [T, N, C, H, W],
[N, T, C, H, W] or [N, C, H, W, T]; or the frames of one step, [N, C, H, W], at T calls."""

_TAKES: dict[Takes, str] = {
    "frames": "[N, C, H, W]",
    "sequences": "[T, N, C, H, W]",
    "batch-first sequences": "[N, T, C, H, W]",
    "time-last sequences": "[N, C, H, W, T]",
    "steps": "[N, C, H, W], one step a call",
}

Returns = Literal["scores", "steps", "batch-first steps", "list of steps"]
"""What a call returns, or what is taken of it: [N, K], [T, N, K], [N, T, K], or a list of T times [N, K]."""

_RETURNS: dict[Returns, str] = {
    "scores": "[N, K]",
    "steps": "[T, N, K]",
    "batch-first steps": "[N, T, K]",
    "list of steps": "a list of T times [N, K]",
}


@dataclass(frozen=True)
class Form:
    """What a network takes and returns.

    steps: T of what is presented, None where frames are the network's own affair or data have steps of their own.
    part: which of several things that it returns is taken, by position or key; None where it returns one. flat: whether
    it takes frames as features, C * H * W of them in place of the three axes. multi_step: whether its layers are put
    into SpikingJelly's step mode 'm', as the scripts that train such networks do. stays: whether its code moves tensors
    to a GPU that is not there, which then stay where they are.
    """

    takes: Takes = "frames"
    returns: Returns = "scores"
    steps: int | None = None
    part: int | str | None = None
    flat: bool = False
    multi_step: bool = False
    stays: bool = False

    @property
    def title(self) -> str:
        """What a network of this form takes and returns, for people."""
        of = "" if self.part is None else f" as {self.part!r}"
        returned = "" if self.returns == "scores" and not of else f" and returns {_RETURNS[self.returns]}{of}"
        times = "once" if self.steps == 1 else f"{self.steps} times"
        shown = "" if self.steps is None else f": each image is shown {times}"
        takes = _TAKES[self.takes].replace("C, H, W", "C * H * W") if self.flat else _TAKES[self.takes]
        mode = " in step mode 'm'" if self.multi_step else ""
        stays = "; what its code moves to a GPU stays on the CPU" if self.stays else ""
        return f"{takes}{mode}{returned}{shown}{stays}"


_SHARED = ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set")
"""What a presentation has of its network, so that each sees what is put in place of a layer in the other."""


class Presentation(nn.Module):
    """A network of the user's as one that takes frames [N, C, H, W], or sequences [T, N, C, H, W], and returns [N, K].

    Its layers, parameters and buffers are the network's own, under their own names.
    """

    network: nn.Module

    def __init__(self, network: nn.Module, form: Form) -> None:
        super().__init__()
        vars(self).update({name: vars(network)[name] for name in _SHARED})
        vars(self)["network"] = network  # not as a layer of this one, whose names would then begin with it
        self.form = form
        if form.multi_step:
            functional.set_step_mode(network, "m")
        self.__class__ = type(type(network).__name__, (type(self),), {})  # sentences name the user's class

    @property
    def training(self) -> bool:
        """The network's own."""
        return self.network.training

    @training.setter
    def training(self, mode: bool) -> None:
        if "network" in vars(self):  # not while torch's own initialisation sets it
            self.network.training = mode

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return scores_of(self.form, call(self.network, self.form, frames))

    def reset(self) -> None:
        """Forget the state of a network that keeps some itself, as SpikingJelly resets it."""
        if hasattr(self.network, "reset"):
            self.network.reset()  # type: ignore[operator]

    def _apply(self, fn: Any, recurse: bool = True) -> "Presentation":
        self.network._apply(fn, recurse)
        return self


def call(network: nn.Module, form: Form, frames: torch.Tensor) -> Any:
    """What `network` returns for frames [N, C, H, W] or sequences [T, N, C, H, W]; of one of steps a list of all."""
    with Staying() if form.stays else nullcontext():
        return _call(network, form, frames)


def _call(network: nn.Module, form: Form, frames: torch.Tensor) -> Any:
    is_sequence = frames.ndim == 5
    frames = frames.flatten(-3) if form.flat else frames
    if form.takes == "frames":
        return network(frames)
    if form.takes == "steps":
        return [network(step) for step in (frames.unbind(0) if is_sequence else [frames] * (form.steps or 1))]
    sequence = frames if is_sequence else torch.stack([frames] * (form.steps or 1))
    if form.takes == "batch-first sequences":
        sequence = sequence.transpose(0, 1)
    elif form.takes == "time-last sequences":
        sequence = sequence.movedim(0, -1)
    return network(sequence)


def scores_of(form: Form, returned: Any) -> torch.Tensor:
    """The scores [N, K] in what `call` returned."""
    if form.takes == "steps":
        parts = [_part(each, form) for each in returned]
        return parts[0] if len(parts) == 1 else torch.stack(parts).mean(0)  # a voltage of one step stays itself
    given = _part(returned, form)
    if form.returns == "list of steps":
        return torch.stack(list(given)).mean(0)
    scores: torch.Tensor = given
    return scores if form.returns == "scores" else scores.mean(1 if form.returns == "batch-first steps" else 0)


def _part(returned: Any, form: Form) -> Any:
    return returned if form.part is None else returned[form.part]
