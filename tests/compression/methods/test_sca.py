"""Spiking channel activity: channels are chosen anew each epoch, masks hold at every step, and some return."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from channel_pruning import TRAIN, job_for, small_network, stripes

from neuroprune.compression.methods.sca import SpikingChannelActivity
from neuroprune.compression.search import Selection
from neuroprune.training.observer import Observer, Step, TrainingRun
from neuroprune.training.train import train


def made(**settings: float) -> SpikingChannelActivity:
    return SpikingChannelActivity(job_for(small_network(), stripes(), "sca", {"flops": 0.5}, **settings))


def test_silenced_channels_stay_so_at_every_step_and_the_target_holds_from_the_first_epoch_on() -> None:
    algorithm = made(regeneration=0.3)
    network, data = algorithm.job.module, algorithm.job.data
    kept: list[np.ndarray] = []

    class Watch(Observer):
        def after_step(self, step: Step) -> None:
            for norm, name in ((network.norm1, "conv1"), (network.norm2, "conv2")):
                gone = ~algorithm.selection.kept[name]
                assert not norm.weight[gone].any() and not norm.bias[gone].any()
            if step.ends_epoch:
                kept.append(algorithm.selection.kept["conv2"].copy())
                assert abs(algorithm.selection.shares["flops"] - 0.5) < 0.02

    train(network, data, replace(TRAIN, epochs=4), observers=[algorithm, Watch()])
    assert len(kept) == 4 and any((first != second).any() for first, second in pairwise(kept))
    chosen = algorithm.choose()
    assert all((chosen.regenerated[name] <= chosen.kept[name]).all() for name in chosen.kept)
    assert abs(chosen.shares["flops"] - 0.5) <= 0.02


def test_a_channel_that_returns_has_what_it_had_and_one_that_goes_is_remembered() -> None:
    algorithm = made()
    network = algorithm.job.module
    algorithm.begin(TrainingRun(network, torch.optim.SGD(network.parameters(), lr=0.1), TRAIN, 6))
    everything = algorithm.selection.kept
    scale = float(network.norm1.weight.detach()[3])

    def keep(without: int | None) -> Selection:
        kept = {name: mask.copy() for name, mask in everything.items()}
        if without is not None:
            kept["conv1"][without] = False
        return Selection(kept, {name: np.zeros_like(mask) for name, mask in kept.items()}, {"flops": 0.9})

    algorithm._exchange(keep(without=3))
    with torch.no_grad():
        network.norm1.weight[3] = 0.0
    algorithm._exchange(keep(without=None))
    assert float(network.norm1.weight.detach()[3]) == scale


def test_the_last_choice_is_by_activity_alone() -> None:
    algorithm = made(regeneration=0.5)
    returned: list[int] = []
    choose = algorithm._chosen

    def watched(is_last: bool) -> Selection:
        chosen = choose(is_last)
        returned.append(sum(int(mask.sum()) for mask in chosen.regenerated.values()))
        return chosen

    algorithm._chosen = watched  # type: ignore[method-assign]
    train(algorithm.job.module, algorithm.job.data, TRAIN, observers=[algorithm])
    assert [each > 0 for each in returned] == [True, True, False]


def test_the_weights_of_3x3_convolutions_are_penalised_and_no_others() -> None:
    algorithm = made()
    network = algorithm.job.module
    before: dict[str, torch.Tensor] = {}

    class Gradients(Observer):
        def __init__(self, kept: dict[str, torch.Tensor]) -> None:
            self.kept = kept

        @property
        def name(self) -> str:
            return f"gradients {id(self.kept)}"

        def after_backward(self, step: Step) -> None:
            if step.iteration == 0:
                self.kept |= {name: each.grad.clone() for name, each in network.named_parameters()}

    after: dict[str, torch.Tensor] = {}
    signs = {name: each.detach().sign() for name, each in network.named_parameters()}
    train(
        network,
        algorithm.job.data,
        replace(TRAIN, epochs=1),
        observers=[Gradients(before), algorithm, Gradients(after)],
    )
    for name, gradient in before.items():
        penalty = 3e-5 * signs[name] if name.startswith("conv") else torch.zeros_like(gradient)
        torch.testing.assert_close(after[name] - gradient, penalty, atol=1e-7, rtol=0)
