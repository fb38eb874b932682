"""Whether a network can be trained on a data set; a class of the user's may return and raise anything."""

import torch
from torch import nn

from neuroprune.data.types import Dataset
from neuroprune.errors import InputError
from neuroprune.evaluation import evaluation_mode
from neuroprune.excerpts import capped
from neuroprune.networks.probing import described


def check_fits(module: nn.Module, data: Dataset, device: torch.device, to_train: bool = True) -> None:
    """Raise InputError unless `module` takes samples of `data`, and returns an output for each class of them.

    to_train: whether it is for training, which needs parameters; else there may be more outputs than classes.
    """
    classes, steps = len(data.classes), data.coding.steps
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
    outputs = given.shape[1] if isinstance(given, torch.Tensor) and given.ndim == 2 and len(given) == 2 else 0
    if outputs < classes or (to_train and outputs > classes):
        raise InputError(
            f"network {name} returns {described(given)} for 2 samples, but data set {data.name} needs "
            f"{(2, classes)} (samples, classes): give it one output neuron per class and the mean over time"
        )
    if to_train and not any(parameter.requires_grad for parameter in module.parameters()):
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
