"""Rewinding: a training that goes on from an earlier state of its network, as lottery tickets do."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from neuroprune.training.observer import ObserverState, Step, TrainingRun

Tensors = dict[str, torch.Tensor]
_KEPT = "kept."
"""What the names of the tensors to rewind to begin with."""


def snapshot(module: nn.Module) -> Tensors:
    """Copies of all tensors of `module`, running statistics of BatchNorm included."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


@torch.no_grad()
def rewind(run: TrainingRun, kept: Mapping[str, torch.Tensor]) -> None:
    """Put a snapshot back; the optimiser begins anew."""
    for name, tensor in run.module.state_dict().items():
        tensor.copy_(kept[name])
    run.optimizer.state.clear()


def set_rate(step: Step, epochs: int, epoch: int) -> None:
    """Give this iteration the learning rate of `epoch` in a training of `epochs`; to be called in `after_backward`."""
    progress = step.iteration % step.run.iterations_per_epoch / step.run.iterations_per_epoch
    rate = replace(step.run.settings, epochs=epochs).learning_rate(epoch, progress)
    for group in step.run.optimizer.param_groups:
        group["lr"] = rate


def kept_state(kept: Mapping[str, torch.Tensor]) -> Tensors:
    """A snapshot, or none, under the names that it has in the state of an observer."""
    return {_KEPT + name: tensor for name, tensor in kept.items()}


def read_kept_state(module: nn.Module, state: ObserverState) -> Tensors:
    """The snapshot of `module` in `state`, empty where there is none; ValueError where it is one of another module."""
    kept = {name.removeprefix(_KEPT): each for name, each in state.tensors.items() if name.startswith(_KEPT)}
    tensors = module.state_dict()
    if kept and _kinds(kept) != _kinds(tensors):
        raise ValueError(f"the {len(kept)} tensors to rewind to are not those of a {type(module).__name__}")
    return kept


def _kinds(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
