"""The losses that networks are trained by."""

import torch
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from neuroprune.training.settings import TrainSettings

RATE_SCALE = 5.0
"""What firing rates (0..1) are multiplied by to serve as logits of the cross-entropy: an empirical constant.

Without it the softmax of ten rates never exceeds 0.23, and the loss stays high for samples that are classified well.
"""


def loss_of(rates: torch.Tensor, labels: torch.Tensor, settings: TrainSettings) -> torch.Tensor:
    """The loss of `rates` [N, classes] for `labels`, int64 [N], as `settings` choose it: float32 []."""
    rates = rates.float()
    if settings.loss == "mse":
        return mse_loss(rates, one_hot(labels, rates.shape[1]).float())
    return cross_entropy(RATE_SCALE * rates, labels, label_smoothing=settings.label_smoothing)
