"""Gradient rewiring, Grad R: Chen et al., Pruning of Deep Spiking Neural Networks through Gradient Rewiring, IJCAI
2021.

    w = s max(theta, 0)                 s = sign(w_0), fixed; theta_0 = |w_0|
    theta <- theta - lr / (1 - beta1^t) [s m / (sqrt(v) + eps) + alpha sign(theta - mu)]

m and v are Adam's moments of dL/dw (v corrected for its bias), also while theta < 0: the gradient passes by the
rectifier, so a weight that died can grow back. The prior is a Laplace distribution of theta, of which the share p lies
below 0.
"""

from dataclasses import dataclass
from math import log, sqrt

import torch

from neuroprune.compression.job import PruningJob
from neuroprune.compression.masks import Masks, Scores, count, count_kept, outside, size, top
from neuroprune.compression.pruning import SurvivalStep, WeightPruning
from neuroprune.compression.rates import strength, summed_rate
from neuroprune.errors import InputError
from neuroprune.training.observer import ObserverState, Step, TrainingRun

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's, as in the authors' code."""

RATE = 1e-3
"""What Adam's rate begins at where that of the settings is SGD's, which is of another size: the paper's on MNIST."""

ALPHA = 1e-3
"""Strength of the prior in the paper."""

PULL = ALPHA * RATE * 512 * 468
"""How far the prior alone takes a theta in the paper on MNIST: in 512 epochs of 468 iterations, 0.24. In a shorter
training a stronger one takes it as far, since the paper's would not be felt."""

LEAST_SPARSITY = 0.5
"""With less, mu lies above 0, and the prior makes weights grow."""


@dataclass(frozen=True)
class Prior:
    """Laplace distribution of theta. alpha: strength, above 0; centre: mu."""

    alpha: float
    centre: float

    @classmethod
    def of(cls, sparsity: float, alpha: float) -> "Prior":
        """That of which the share `sparsity`, in [0.5, 1), lies below 0: mu = ln(2 (1 - p)) / alpha."""
        return cls(alpha, log(2.0 * (1.0 - sparsity)) / alpha)


@dataclass(frozen=True, eq=False)
class Connections:
    """The connections of one layer, in tensors of the shape of its weights, changed in place.

    positive: bool, whether s = 1; theta; mean, square: m and v.
    """

    positive: torch.Tensor
    theta: torch.Tensor
    mean: torch.Tensor
    square: torch.Tensor

    @classmethod
    def of(cls, weights: torch.Tensor) -> "Connections":
        """Those of a layer that begins with `weights`; the sign of a weight that is 0 is +1."""
        weights = weights.detach()
        return cls(weights >= 0, weights.abs(), torch.zeros_like(weights), torch.zeros_like(weights))

    @property
    def alive(self) -> torch.Tensor:
        """Bool: theta > 0."""
        return self.theta > 0

    @property
    def weights(self) -> torch.Tensor:
        """w."""
        return self._signed(self.theta).where(self.alive, 0.0)

    def update(self, gradient: torch.Tensor, number: int, rate: float, prior: Prior) -> None:
        """Optimiser step `number`, from 1, at the learning rate `rate`, along dL/dw."""
        self.mean.mul_(BETA1).add_(gradient, alpha=1.0 - BETA1)
        self.square.mul_(BETA2).addcmul_(gradient, gradient, value=1.0 - BETA2)
        scale = self.square.sqrt().div_(sqrt(1.0 - BETA2**number)).add_(EPSILON)
        force = self._signed(self.mean / scale).add_((self.theta - prior.centre).sign_(), alpha=prior.alpha)
        self.theta.sub_(force, alpha=rate / (1.0 - BETA1**number))

    def _signed(self, values: torch.Tensor) -> torch.Tensor:
        return torch.where(self.positive, values, -values)


def cut(theta: Scores, keep: int) -> tuple[Masks, Masks]:
    """Masks of the `keep` weights of largest theta over all layers, and of those of them that are dead."""
    masks = top(theta, keep)
    return masks, {name: mask & (theta[name] <= 0) for name, mask in masks.items()}


class GradientRewiring(WeightPruning):
    """grad-r: theta of every weight moves for N_p epochs, then the weights of largest theta are kept and fine-tuned.

    What moves by theta, the optimiser leaves alone, weight decay included. Where the target is not what the prior has
    led to, the count is made exact: living weights of least theta go, or dead ones of largest theta come back at 0.
    `survival` says at that cut how many weights were dead (`cut`) and how many of them came back (`rescued`), so the
    sparsity that the rewiring reached by itself is `cut` by all.
    """

    def __init__(self, job: PruningJob) -> None:
        super().__init__(job)
        self.connections: dict[str, Connections] = {}
        if self.sparsity < LEAST_SPARSITY:
            raise InputError(
                f"a sparsity of {self.sparsity} is below {LEAST_SPARSITY}, the least that the prior of method "
                f"{job.strategy.method} makes: ask for at least {LEAST_SPARSITY}, or choose a method such as gmp"
            )

    def begin(self, run: TrainingRun) -> None:
        """Take theta and signs from the weights."""
        super().begin(run)
        self.scale = RATE / run.settings.lr if run.settings.optimizer == "sgd" else 1.0
        summed = self.scale * summed_rate(run, self.job.strategy.prune_epochs)
        self.prior = Prior.of(self.sparsity, max(ALPHA, strength(PULL, summed)))
        self.connections = {name: Connections.of(parameter) for name, parameter in self.parameters.items()}

    def after_backward(self, step: Step) -> None:
        """Take the gradients from the optimiser."""
        if step.epoch < self.job.strategy.prune_epochs:
            self.gradients = {name: parameter.grad for name, parameter in self.parameters.items()}
            for parameter in self.parameters.values():
                parameter.grad = None

    @torch.no_grad()
    def prune(self, step: Step) -> None:
        """Move every theta; cut when it was for the last time."""
        if step.epoch >= self.job.strategy.prune_epochs:
            return
        rate = self.scale * step.run.optimizer.param_groups[0]["lr"]
        for name, connections in self.connections.items():
            gradient = self.gradients[name]
            if gradient is not None:
                connections.update(gradient, step.iteration + 1, rate, self.prior)
            self.parameters[name].copy_(connections.weights)
        self.gradients = {}
        self.masks = {name: connections.alive for name, connections in self.connections.items()}
        if step.ends_epoch and step.epoch + 1 == self.job.strategy.prune_epochs:
            self._cut(step)

    def _cut(self, step: Step) -> None:
        """Make the count exact, and let the optimiser go on."""
        dead, total = count(outside(self.masks)), size(self.masks)
        keep = count_kept(total, self.sparsity)
        self.masks, self.regenerated = cut({name: each.theta for name, each in self.connections.items()}, keep)
        self.survival.append(SurvivalStep(step.iteration, 1.0 - keep / total, dead, count(self.regenerated)))
        self.connections = {}

    def state(self) -> ObserverState:
        """Until the cut, all of the connections as well."""
        base = super().state()
        tensors = {
            f"{part}.{name}": tensor
            for name, connections in self.connections.items()
            for part, tensor in vars(connections).items()
        }
        return ObserverState({**base.tensors, **tensors}, base.values)

    def restore(self, state: ObserverState) -> None:
        """Take the connections back, or none after the cut, which is the only entry of the survival."""
        super().restore(state)
        if self.survival:
            self.connections = {}
        for name, connections in self.connections.items():
            for part, tensor in vars(connections).items():
                kept = state.tensors[f"{part}.{name}"]
                if kept.dtype != tensor.dtype or kept.shape != tensor.shape:
                    raise ValueError(f"{part} of {name} is of {kept.dtype} in the shape {tuple(kept.shape)}")
                tensor.copy_(kept)
