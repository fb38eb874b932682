"""The samples of a training: kept as bytes on its device, and made into varied, coded batches there."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from neuroprune.data.augment import augment
from neuroprune.data.coding import encode, time_first
from neuroprune.data.types import Augmentation, Coding, Dataset
from neuroprune.training.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class Samples:
    """The training split on the device: bytes, labels, and how they become frames."""

    images: torch.Tensor
    labels: torch.Tensor
    coding: Coding
    augmentation: Augmentation
    batch: int
    classes: int

    @classmethod
    def of(cls, data: Dataset, settings: TrainSettings, device: torch.device) -> "Samples":
        return cls(
            images=torch.tensor(data.train.images, device=device),
            labels=torch.tensor(data.train.labels, device=device),
            coding=data.coding,
            augmentation=data.augmentation if settings.augment else Augmentation(),
            batch=min(settings.batch, len(data.train)),
            classes=len(data.classes),
        )

    @property
    def batches_per_epoch(self) -> int:
        return len(self.labels) // self.batch

    def batches(self, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Frames and labels of whole batches, in an order and with variations that follow from `seed`."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.labels), generator=generator).to(self.labels.device)
        for chosen in order.split(self.batch):
            if len(chosen) == self.batch:
                images = augment(self.images[chosen], self.augmentation, generator)
                yield time_first(encode(images, self.coding, generator)), self.labels[chosen]
