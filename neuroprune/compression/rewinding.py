"""Rewinding: a training that goes on from an earlier state of its network, as lottery tickets do."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from neuroprune.training.observer import Step, TrainingRun

Tensors = dict[str, torch.Tensor]


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
    """Give this iteration, after its backward pass, the learning rate that it has in `epoch` of a training of `epochs`."""
    progress = step.iteration % step.run.iterations_per_epoch / step.run.iterations_per_epoch
    rate = replace(step.run.settings, epochs=epochs).learning_rate(epoch, progress)
    for group in step.run.optimizer.param_groups:
        group["lr"] = rate


def check_snapshot(module: nn.Module, kept: Mapping[str, torch.Tensor]) -> Tensors:
    """`kept`, if it is a snapshot of `module`; ValueError if not."""
    tensors = module.state_dict()
    if {name: (each.shape, each.dtype) for name, each in kept.items()} != {
        name: (each.shape, each.dtype) for name, each in tensors.items()
    }:
        raise ValueError(f"the {len(kept)} tensors to rewind to are not those of a {type(module).__name__}")
    return dict(kept)
