"""Grad R: steps worked out by hand, the same in plain NumPy beside a training, and the cut to an exact count."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
import torch
from weight_pruning import PER_EPOCH, Watch, make_algorithm, make_job, run, same_bytes_after_a_kill

from neuroprune.compression.masks import count, count_kept, size
from neuroprune.compression.methods.grad_r import ALPHA, RATE, Connections, GradientRewiring, Prior, cut
from neuroprune.errors import InputError
from neuroprune.training.observer import Observer, Step, TrainingRun
from neuroprune.training.settings import TrainSettings

FAR = Prior(alpha=0.2, centre=-10.0)


def made(sparsity: float = 0.8, prune_epochs: int = 2, epochs: int = 1, seed: int = 0) -> GradientRewiring:
    algorithm = make_algorithm(make_job("grad-r", sparsity, prune_epochs, epochs, seed))
    assert isinstance(algorithm, GradientRewiring)
    return algorithm


def test_a_first_step_worked_out_by_hand():
    # lr_1 = 0.1 / (1 - 0.9) = 1, s m / sqrt(v) = 0.1 s sign(g), and the prior takes 1 * 0.2.
    connections = Connections.of(torch.tensor([0.5, -0.5, 0.25, -0.125, 0.0]))
    connections.update(torch.tensor([3.0, 3.0, 3.0, -7.0, -1.0]), 1, 0.1, FAR)
    assert torch.allclose(connections.theta, torch.tensor([0.2, 0.4, -0.05, -0.175, -0.1]))
    assert torch.allclose(connections.weights, torch.tensor([0.2, -0.4, 0.0, 0.0, 0.0]))
    assert connections.alive.tolist() == [True, True, False, False, False]


def test_a_dead_weight_follows_its_gradient_and_grows_back_with_its_sign():
    connections = Connections.of(torch.tensor([0.1, -0.1, 0.0]))
    nothing = Prior(alpha=0.0, centre=0.0)
    connections.update(torch.tensor([1.0, -1.0, 1.0]), 1, 0.3, nothing)
    assert connections.weights.tolist() == [0, 0, 0]
    for number in range(2, 40):
        connections.update(torch.tensor([-1.0, 1.0, -1.0]), number, 0.3, nothing)
    # A weight that begins at 0 is positive.
    assert connections.weights.sign().tolist() == [1, -1, 1]


def test_the_prior_pulls_towards_its_centre_from_either_side():
    connections = Connections.of(torch.tensor([0.5, 0.1, 0.3]))
    connections.update(torch.zeros(3), 1, 0.01, Prior(alpha=1.0, centre=0.3))
    assert torch.allclose(connections.theta, torch.tensor([0.4, 0.2, 0.3]))


@pytest.mark.parametrize("sparsity", [0.5, 0.75, 0.95, 0.999])
def test_the_share_of_the_prior_below_zero_is_the_sparsity(sparsity):
    prior = Prior.of(sparsity, 0.3)
    assert prior.centre <= 0
    assert 1.0 - exp(0.3 * prior.centre) / 2.0 == pytest.approx(sparsity)
    assert Prior.of(0.95, 1e-3).centre == pytest.approx(log(0.1) / 1e-3)


def begun(settings: TrainSettings, iterations_per_epoch: int) -> GradientRewiring:
    """Before the first step of a training in all epochs of which is pruned."""
    algorithm = made(prune_epochs=settings.epochs)
    module = algorithm.job.module
    algorithm.begin(TrainingRun(module, torch.optim.SGD(module.parameters()), settings, iterations_per_epoch))
    return algorithm


def test_the_prior_is_the_papers_in_its_training_and_stronger_in_a_shorter_one():
    constant = TrainSettings(epochs=512, lr=1e-3, schedule="step", milestones=(512,))
    assert begun(constant, 468).prior.alpha == pytest.approx(ALPHA)
    assert begun(constant, 600).prior.alpha == ALPHA
    assert begun(replace(constant, epochs=16), 468).prior.alpha == pytest.approx(32 * ALPHA)
    # More than 0.5 is never asked of it.
    assert begun(replace(constant, epochs=1), 5).prior.alpha == 0.5


def test_what_is_cut_and_what_comes_back_worked_out_by_hand():
    theta = {"first": torch.tensor([0.5, -0.1, -0.3]), "second": torch.tensor([0.2, 0.0])}
    masks, back = cut(theta, 4)
    assert masks["first"].tolist() == [True, True, False] and masks["second"].tolist() == [True, True]
    assert back["first"].tolist() == [False, True, False] and back["second"].tolist() == [False, True]
    masks, back = cut(theta, 1)
    assert masks["first"].tolist() == [True, False, False] and not masks["second"].any()
    assert count(back) == 0


class InNumpy(Observer):
    """The same rewiring in plain NumPy, from the gradients that the algorithm took; compared after each step."""

    def __init__(self, algorithm: GradientRewiring) -> None:
        self.algorithm = algorithm
        self.steps = 0

    def begin(self, run: TrainingRun) -> None:
        weights = {name: each.detach().double().numpy() for name, each in self.algorithm.parameters.items()}
        self.theta = {name: np.abs(each) for name, each in weights.items()}
        self.sign = {name: np.where(each < 0, -1.0, 1.0) for name, each in weights.items()}
        self.m = {name: np.zeros_like(each) for name, each in weights.items()}
        self.v = {name: np.zeros_like(each) for name, each in weights.items()}
        share = 1.0 if run.settings.optimizer == "adamw" else RATE / run.settings.lr
        rates = [run.settings.learning_rate(0, index / PER_EPOCH) for index in range(PER_EPOCH)]
        rates += [run.settings.learning_rate(1, index / PER_EPOCH) for index in range(PER_EPOCH)]
        self.rates = [share * rate for rate in rates]
        self.alpha = min(1e-3 * 1e-3 * 512 * 468 / sum(self.rates), 0.5)
        self.mu = np.log(2 * (1 - self.algorithm.sparsity)) / self.alpha

    def after_backward(self, step: Step) -> None:
        if step.epoch < 2:
            self.gradients = {name: each.double().numpy() for name, each in self.algorithm.gradients.items()}
            assert all(parameter.grad is None for parameter in self.algorithm.parameters.values())

    def after_step(self, step: Step) -> None:
        if step.epoch >= 2:
            return
        t = step.iteration + 1
        rate = self.rates[step.iteration] / (1 - 0.9**t)
        for name, g in self.gradients.items():
            self.m[name] = 0.9 * self.m[name] + 0.1 * g
            self.v[name] = 0.999 * self.v[name] + 0.001 * g * g
            adam = self.m[name] / (np.sqrt(self.v[name] / (1 - 0.999**t)) + 1e-8)
            self.theta[name] -= rate * (self.sign[name] * adam + self.alpha * np.sign(self.theta[name] - self.mu))
            if t < 2 * PER_EPOCH:  # after the last step the weights are cut
                ours = self.algorithm.parameters[name].detach().numpy()
                np.testing.assert_allclose(ours, self.sign[name] * np.maximum(self.theta[name], 0), atol=2e-6)
        self.steps += 1


@pytest.mark.parametrize("tuning", [{}, {"optimizer": "adamw", "lr": 0.004}], ids=["sgd", "adamw"])
def test_a_training_follows_the_same_rewiring_in_plain_numpy(tuning):
    """With SGD at 0.2, the schedule begins at Adam's usual rate instead."""
    algorithm = made()
    oracle = InNumpy(algorithm)
    run(algorithm, [oracle], **tuning)
    assert oracle.steps == 2 * PER_EPOCH
    flat = np.concatenate([oracle.theta[name].ravel() for name in algorithm.masks])
    order = np.argsort(-flat, kind="stable")[: count_kept(flat.size, 0.8)]
    ours = np.concatenate([mask.numpy().ravel() for mask in algorithm.masks.values()])
    assert set(order) == set(np.flatnonzero(ours))
    (step,) = algorithm.survival
    assert step.iteration == 2 * PER_EPOCH - 1 and step.sparsity == 1 - len(order) / flat.size
    assert (step.cut, step.rescued) == (np.sum(flat <= 0), count(algorithm.regenerated))


@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.97])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_from_the_cut_on_the_density_is_exact_and_holds(sparsity, optimizer):
    algorithm = made(sparsity, epochs=2)
    watch = Watch(algorithm)
    run(algorithm, [watch], optimizer=optimizer, lr=0.01)
    keep = count_kept(size(algorithm.masks), sparsity)
    assert watch.alive[2 * PER_EPOCH - 1 :] == [keep] * (2 * PER_EPOCH + 1)
    assert len(set(watch.alive[: 2 * PER_EPOCH - 1])) > 1
    for name, parameter in algorithm.parameters.items():
        assert torch.isfinite(parameter).all()
        assert not (algorithm.regenerated[name] & ~algorithm.masks[name]).any()


def test_dead_weights_that_are_needed_restart_at_zero_and_are_trained():
    algorithm = made(0.55)

    class MostAreDead(Observer):
        def begin(self, run: TrainingRun) -> None:
            for connections in algorithm.connections.values():
                connections.theta.sub_(0.9 * connections.theta.max())

        def after_step(self, step: Step) -> None:
            if step.iteration == 2 * PER_EPOCH - 1:
                self.back = {name: mask.clone() for name, mask in algorithm.regenerated.items()}
                assert all(not algorithm.parameters[name][mask].any() for name, mask in self.back.items())

    dead = MostAreDead()
    run(algorithm, [dead])
    assert count(dead.back) > 0.3 * size(dead.back)
    assert any(algorithm.parameters[name][mask].any() for name, mask in dead.back.items())


def test_the_optimiser_keeps_nothing_of_the_weights_before_the_cut_and_trains_all_else():
    algorithm = made()

    class Look(Observer):
        def begin(self, run: TrainingRun) -> None:
            self.known: list[set[str]] = []

        def after_step(self, step: Step) -> None:
            state = step.run.optimizer.state
            self.known.append({name for name, each in step.run.module.named_parameters() if state.get(each)})

    look = Look()
    run(algorithm, [look])
    everything = {name for name, _ in algorithm.job.module.named_parameters()}
    assert look.known == [everything - set(algorithm.masks)] * 2 * PER_EPOCH + [everything] * PER_EPOCH


@pytest.mark.parametrize("batches", [PER_EPOCH + 2, 2 * PER_EPOCH + 1, 3 * PER_EPOCH + 2])
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path, batches):
    """In the second epoch of pruning, right after the cut, and in the second epoch of fine-tuning."""
    same_bytes_after_a_kill(lambda: made(epochs=2), tmp_path, batches)


def test_equal_seeds_give_equal_bytes():
    first, second, other = made(), made(), made(seed=1)
    for algorithm in (first, second, other):
        run(algorithm)
    for name, parameter in first.parameters.items():
        assert torch.equal(parameter, second.parameters[name])
    assert any(not torch.equal(mask, other.masks[name]) for name, mask in first.masks.items())


def test_a_state_of_another_network_is_refused():
    algorithm = begun(TrainSettings(epochs=2), PER_EPOCH)
    state = algorithm.state()
    name = next(iter(algorithm.masks))
    for wrong in (torch.zeros(3), torch.zeros_like(state.tensors[f"theta.{name}"], dtype=torch.float64)):
        with pytest.raises(ValueError, match="theta of"):
            algorithm.restore(type(state)({**state.tensors, f"theta.{name}": wrong}, state.values))


def test_less_than_half_is_refused_in_a_sentence():
    with pytest.raises(
        InputError,
        match=r"0\.3 is below 0\.5, the least that the prior of method grad-r makes: ask for at least 0\.5, or choose",
    ):
        made(0.3)
