"""Whether a network can be trained on a data set; a class of the user's may return and raise anything."""

import torch
from torch import nn

from neuroprune.data.types import Dataset
from neuroprune.errors import InputError
from neuroprune.evaluation import evaluation_mode
from neuroprune.excerpts import capped
from neuroprune.networks.probing import described


def check_fits(module: nn.Module, data: Dataset, device: torch.device) -> None:
    """Raise InputError unless `module` has parameters to train and returns one rate per class for samples of `data`."""
    steps = data.coding.steps
    frames = torch.zeros(2, *data.input_shape, device=device)
    if steps is not None:
        frames = frames.expand(steps, *frames.shape)
    name, kind = type(module).__name__, "frames" if steps is None else f"sequences [{steps}, N, C, H, W] with frames"
    try:
        with evaluation_mode(module), torch.no_grad():
            given = module(frames)
    except Exception as error:  # whatever the user's code raises
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"network {name} cannot take {kind} of {tuple(frames.shape[-3:])} (channels, height, width), those of "
            f"{data.name} ({capped(reason)}): choose another data set or change the network"
        ) from error
    if not isinstance(given, torch.Tensor) or given.shape != (2, len(data.classes)):
        raise InputError(
            f"network {name} returns {described(given)} for 2 samples, but data set {data.name} needs "
            f"{(2, len(data.classes))} (samples, classes): give it one output neuron per class and the mean over time"
        )
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise InputError(f"network {name} has 0 parameters to train, but needs at least 1: give it layers with weights")


def rates_of(module: nn.Module, frames: torch.Tensor, classes: int) -> torch.Tensor:
    """The rates [N, classes] that `module` returns in training, where its code may do other things than in evaluation.

    Raises InputError when they are something else, or do not depend on the module's parameters.
    """
    given = module(frames)
    samples = frames.shape[-4]
    if not isinstance(given, torch.Tensor) or given.shape != (samples, classes):
        raise InputError(
            f"network {type(module).__name__} returns {described(given)} for {samples} samples in training, but needs "
            f"{(samples, classes)} (samples, classes): let it return the same as in evaluation"
        )
    if not given.requires_grad:
        raise InputError(
            f"network {type(module).__name__} returns rates without a gradient, so nothing can be trained: give its "
            "neurons a surrogate function, and detach or round nothing on the way"
        )
    return given
