"""Deep rewiring, Deep R: Bellec et al., Deep Rewiring: Training very sparse deep networks, ICLR 2018.

    w = s theta for an active connection, 0 for a dormant one; s is random and fixed
    theta <- theta - lr dE/dtheta - lr alpha + sqrt(2 lr T) nu,    nu normal, of active connections
    those with theta < 0 become dormant, and as many dormant ones, drawn uniformly, become active at theta = 0+

The number of active connections of the whole network never changes, as in the authors'
`script_mnist_deep_rewiring_with_global_constraint.py`; another script of theirs fixes that of each layer.

The step along the gradient is that of the settings' optimiser, as where the authors wrap others (`rewiring_tools` of
their LSNN): with SGD without momentum and weight decay it is the one above. The optimiser's state follows the gradients
of dormant connections too.
"""

import numpy as np
import numpy.typing as npt
import torch

from neuroprune.compression.job import seed_of
from neuroprune.compression.masks import Masks, count_kept, size
from neuroprune.compression.pruning import WeightPruning
from neuroprune.compression.rates import strength, summed_rate
from neuroprune.training.observer import Step, TrainingRun

PULL = 1e-5 * 0.5 * 55_000
"""How far alpha alone takes a theta in `script_mnist_deep_rewiring.py`: alpha 1e-5 at the rate 0.5 in 10 epochs of 5500
iterations, 0.275. Grad R's authors let theirs take it 0.24: alpha 1e-3 at 1e-3 in 512 epochs of 468."""

NOISE = 1.0
"""Deviation of one step's noise by its lr alpha, so T = lr alpha^2 / 2: 1e-5 stand for both in that script."""


def draw(generator: np.random.Generator, number: int, total: int) -> npt.NDArray[np.int64]:
    """`number` different numbers of 0..total-1, each set of them as probable as any."""
    return generator.choice(total, number, replace=False, shuffle=False)


def rewire(
    theta: torch.Tensor, active: torch.Tensor, change: torch.Tensor, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """theta [n] and active [n] after the prior and the noise, `change` [active ones], have acted on active connections.

    theta is 0 where a connection is dormant or newly active. Those that have just become dormant may be drawn again.
    """
    moved = torch.zeros_like(theta)
    moved[active] = theta[active] + change
    alive = active & (moved >= 0)
    dormant = (~alive).nonzero().flatten()
    born = draw(generator, int(active.sum()) - int(alive.sum()), len(dormant))
    after = alive.clone()
    after[dormant[torch.from_numpy(born).to(dormant.device)]] = True
    return moved.where(alive, 0.0), after


class DeepRewiring(WeightPruning):
    """deep-r: connections die and are born at every step of N_p epochs; for N_f more those that are there are trained.

    Which are active at first is drawn uniformly from all weights; theta_0 = |w_0|. Signs hold until fine-tuning.
    `regenerated` are the connections that were born and live.
    """

    def begin(self, run: TrainingRun) -> None:
        """Draw signs and the active connections."""
        super().begin(run)
        total = size(self.masks)
        generator = np.random.default_rng(seed_of(self.job, 0))
        active = torch.zeros(total, dtype=torch.bool)
        active[draw(generator, count_kept(total, self.sparsity), total)] = True
        self.positive = self._split(torch.from_numpy(generator.random(total, dtype=np.float32) < 0.5))
        self.masks = self._split(active)
        self.alpha = strength(PULL, summed_rate(run, self.job.strategy.prune_epochs))
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(_signed(self.positive[name], parameter.abs()))
        self.hold()

    @torch.no_grad()
    def prune(self, step: Step) -> None:
        """Let connections die and be born."""
        if step.epoch >= self.job.strategy.prune_epochs:
            return
        generator = np.random.default_rng(seed_of(self.job, step.iteration + 1))
        before = _flat(self.masks)
        theta = _flat({name: _signed(self.positive[name], weights) for name, weights in self.parameters.items()})
        pull = step.run.optimizer.param_groups[0]["lr"] * self.alpha
        noise = generator.standard_normal(count_kept(len(theta), self.sparsity), dtype=np.float32)
        change = torch.from_numpy(noise).to(theta).mul_(NOISE * pull).sub_(pull)
        theta, after = rewire(theta, before, change, generator)
        self.masks = self._split(after)
        for name, values in self._split(theta).items():
            self.parameters[name].copy_(_signed(self.positive[name], values))
            born = self.masks[name] & (values == 0)
            self.regenerated[name] = (self.regenerated[name] | born) & self.masks[name]

    def _split(self, flat: torch.Tensor) -> Masks:
        """One tensor of all weights in pieces of the parameters' shapes, on their device."""
        pieces = flat.split([parameter.numel() for parameter in self.parameters.values()])
        return {
            name: piece.view(parameter.shape).to(parameter.device)
            for (name, parameter), piece in zip(self.parameters.items(), pieces, strict=True)
        }


def _flat(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors.values()])


def _signed(positive: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return torch.where(positive, values, -values)
