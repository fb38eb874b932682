"""What is found out about a pruned network beside its figures, where a plan asks for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from spikingjelly.activation_based import functional, neuron
from torch import nn

from neuroprune.arrays import Labels
from neuroprune.data.coding import frames_on, time_first
from neuroprune.data.types import Coding, Dataset, Images
from neuroprune.errors import InputError
from neuroprune.evaluation import evaluation_mode
from neuroprune.experiment.record import FEATURES, FeatureRecord
from neuroprune.records import save_record

Features = npt.NDArray[np.float64]


def save_features(module: nn.Module, data: Dataset, folder: Path) -> None:
    """Leave features.json in `folder`. Raises InputError for a network without neurons before its classifier."""
    splits = [(split, features_of(module, split.images, data.coding)) for split in (data.train, data.test)]
    (train, of_train), (test, of_test) = splits
    count = len(data.classes)
    save_record(
        FeatureRecord(
            variance=tuple(intra_class_variance(of_test, test.labels, count)),
            similarity=tuple(similarity(of_train, train.labels, of_test, test.labels, count)),
        ),
        folder / FEATURES,
    )


def features_of(module: nn.Module, images: Images, coding: Coding, batch: int = 256) -> Features:
    """What the classifier sees: spikes of the last neurons before the last linear layer, [N, channels].

    Summed over time and space, then scaled so that the least of each sample is 0 and the largest 1.
    """
    device = next(module.parameters()).device
    classifier = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
    latest: list[torch.Tensor] = []
    counted: list[torch.Tensor] = []

    def see(layer: nn.Module, given: Any, spikes: torch.Tensor) -> None:
        steps = spikes if getattr(layer, "step_mode", "s") == "m" else spikes.unsqueeze(0)
        latest[:] = [steps.flatten(3).sum(3).sum(0) if steps.ndim > 3 else steps.sum(0)]

    def take(layer: nn.Module, given: Any) -> None:
        """Called once with all time steps, or once at each."""
        counted.extend(latest)

    hooks = [layer.register_forward_hook(see) for layer in module.modules() if isinstance(layer, neuron.BaseNode)]
    hooks.append(classifier.register_forward_pre_hook(take))
    found: list[Features] = []
    try:
        with evaluation_mode(module), torch.inference_mode():
            for start in range(0, len(images), batch):
                frames = frames_on(device, images[start : start + batch], coding)
                functional.reset_net(module)
                latest.clear()
                counted.clear()
                module(time_first(frames))
                if not counted:
                    raise InputError(
                        f"{type(module).__name__} has no neurons before its last linear layer, so no features: leave "
                        "the analysis features out of the plan"
                    )
                found.append(torch.stack(counted).sum(0).double().cpu().numpy())
    finally:
        for hook in hooks:
            hook.remove()
    counts = np.concatenate(found)
    low, high = counts.min(1, keepdims=True), counts.max(1, keepdims=True)
    scaled: Features = (counts - low) / np.where(high > low, high - low, 1.0)
    return scaled


def intra_class_variance(features: Features, labels: Labels, classes: int) -> list[float]:
    """Of each class the variance of its samples' features, mean over the features; 0 for a class without samples."""
    return _by_class(labels, classes, lambda chosen: float(features[chosen].var(0).mean()))


def similarity(features: Features, labels: Labels, others: Features, other_labels: Labels, classes: int) -> list[float]:
    """Of each class the cosine between the mean features of one split and of the other; 0 where one has none."""

    def cosine(number: int) -> float:
        first, second = (each[of == number].mean(0) for each, of in ((features, labels), (others, other_labels)))
        lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
        return float(first @ second) / lengths if lengths else 0.0

    both = set(labels.tolist()) & set(other_labels.tolist())
    return [cosine(number) if number in both else 0.0 for number in range(classes)]


def _by_class(labels: Labels, classes: int, figure: Callable[[npt.NDArray[np.bool_]], float]) -> list[float]:
    masks = [labels == number for number in range(classes)]
    return [figure(mask) if mask.any() else 0.0 for mask in masks]
