"""Deep R: a step worked out by hand, the same in plain NumPy beside a training, and a count that never changes."""

import numpy as np
import pytest
import torch
from weight_pruning import PER_EPOCH, Watch, make_algorithm, make_job, run, same_bytes_after_a_kill

from neuroprune.compression.job import seed_of
from neuroprune.compression.masks import count, count_kept, size
from neuroprune.compression.methods.deep_r import DeepRewiring, draw, rewire
from neuroprune.training.observer import Observer, Step, TrainingRun
from neuroprune.training.settings import TrainSettings

KEPT = 0.8


def made(sparsity: float = KEPT, prune_epochs: int = 2, epochs: int = 1, seed: int = 0, **changes) -> DeepRewiring:
    algorithm = make_algorithm(make_job("deep-r", sparsity, prune_epochs, epochs, seed, **changes))
    assert isinstance(algorithm, DeepRewiring)
    return algorithm


class Drawn:
    """A generator whose draw is known."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = np.array(numbers, np.int64)

    def choice(self, total: int, number: int, **options: bool) -> np.ndarray:
        assert number == len(self.numbers) and max(self.numbers, default=-1) < total
        return self.numbers


def test_which_connections_die_and_which_are_born_worked_out_by_hand():
    theta = torch.tensor([0.5, 0.125, 0.0, 0.0, 0.25, 0.0])
    active = torch.tensor([True, True, False, False, True, False])
    # 0.125 - 0.25 is below 0, so connection 1 dies; of the dormant ones 1, 2, 3 and 5 the third is born at 0.
    moved, after = rewire(theta, active, torch.tensor([-0.25, -0.25, 0.125]), Drawn(2))
    assert after.tolist() == [True, False, False, True, True, False]
    assert moved.tolist() == [0.25, 0.0, 0.0, 0.0, 0.375, 0.0]
    # One that has just died may be drawn at once, and begins anew.
    moved, after = rewire(theta, active, torch.tensor([-0.25, -0.25, 0.125]), Drawn(0))
    assert torch.equal(after, active) and moved[1] == 0
    # At exactly 0 a connection lives: nobody dies, nobody is born.
    moved, after = rewire(theta, active, torch.tensor([-0.5, 0.0, 0.0]), Drawn())
    assert torch.equal(after, active) and moved.tolist() == [0.0, 0.125, 0.0, 0.0, 0.25, 0.0]


def test_dormant_connections_are_drawn_uniformly_and_once():
    generator = np.random.default_rng(0)
    counts = np.zeros(7)
    for _ in range(7000):
        drawn = draw(generator, 3, 7)
        assert len(set(drawn)) == 3
        counts[drawn] += 1
    # Each is binomial with mean 3000 and deviation 41.
    assert np.abs(counts - 3000).max() < 5 * 41
    assert sorted(draw(generator, 7, 7)) == list(range(7))


def test_the_pull_is_the_authors_in_their_training():
    algorithm = made()
    module = algorithm.job.module
    settings = TrainSettings(epochs=2, lr=0.5, schedule="step", milestones=(5,))
    algorithm.begin(TrainingRun(module, torch.optim.SGD(module.parameters()), settings, 55_000 // 2))
    assert algorithm.alpha == pytest.approx(1e-5)


class InNumpy(Observer):
    """The same rewiring in plain NumPy with its own stochastic gradient descent, from the gradients of each step."""

    def __init__(self, algorithm: DeepRewiring) -> None:
        self.algorithm = algorithm
        self.deaths = 0

    def flat(self, tensors: dict[str, torch.Tensor]) -> np.ndarray:
        return np.concatenate([tensors[name].detach().numpy().ravel() for name in self.algorithm.masks]).copy()

    def begin(self, run: TrainingRun) -> None:
        self.active = self.flat(self.algorithm.masks)
        self.sign = np.where(self.flat(self.algorithm.positive), 1.0, -1.0)
        self.theta = np.abs(self.flat(self.algorithm.parameters)).astype(np.float64)
        assert not self.theta[~self.active].any()
        rates = [run.settings.learning_rate(index // PER_EPOCH, index % PER_EPOCH / PER_EPOCH) for index in range(12)]
        self.alpha = 0.275 / sum(rates)

    def after_backward(self, step: Step) -> None:
        self.gradient = self.flat({name: each.grad for name, each in self.algorithm.parameters.items()})
        self.rate = step.run.optimizer.param_groups[0]["lr"]

    def after_step(self, step: Step) -> None:
        if step.epoch >= 2:
            return
        generator = np.random.default_rng(seed_of(self.algorithm.job, step.iteration + 1))
        noise = iter(generator.standard_normal(int(self.active.sum()), dtype=np.float32))
        # sqrt(2 lr T) with T = lr alpha^2 / 2
        spread = np.sqrt(2 * self.rate * (self.rate * self.alpha**2 / 2))
        for place in np.flatnonzero(self.active):
            self.theta[place] -= self.rate * self.sign[place] * self.gradient[place] + self.rate * self.alpha
            self.theta[place] += spread * next(noise)
        dead = np.flatnonzero(self.active & (self.theta < 0))
        self.active[dead], self.theta[dead] = False, 0.0
        dormant = np.flatnonzero(~self.active)
        born = dormant[generator.choice(len(dormant), len(dead), replace=False, shuffle=False)]
        self.active[born] = True
        self.deaths += len(dead)
        np.testing.assert_array_equal(self.flat(self.algorithm.masks), self.active)
        np.testing.assert_allclose(self.flat(self.algorithm.parameters), self.sign * self.theta, atol=1e-6)


def test_a_training_follows_the_same_rewiring_in_plain_numpy():
    algorithm = made()
    oracle = InNumpy(algorithm)
    run(algorithm, [oracle], momentum=0.0, weight_decay=0.0)
    assert oracle.deaths > 20


class Signs(Observer):
    """Asserts that no active weight has changed its sign while connections were rewired, and that all are finite."""

    def __init__(self, algorithm: DeepRewiring) -> None:
        self.algorithm = algorithm
        self.masks: list[dict[str, torch.Tensor]] = []

    def after_step(self, step: Step) -> None:
        self.masks.append({name: mask.clone() for name, mask in self.algorithm.masks.items()})
        for name, parameter in self.algorithm.parameters.items():
            assert torch.isfinite(parameter).all()
            if step.epoch < self.algorithm.job.strategy.prune_epochs:
                assert not (parameter < 0)[self.algorithm.positive[name]].any()
                assert not (parameter > 0)[~self.algorithm.positive[name]].any()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(("sparsity", "forget"), [(0.1, False), (0.8, True), (0.97, False)])
def test_the_number_of_connections_and_the_signs_never_change(sparsity, forget, optimizer):
    algorithm = made(sparsity, mask_momentum=forget)
    watch, signs = Watch(algorithm), Signs(algorithm)
    run(algorithm, [watch, signs], optimizer=optimizer, lr=0.01)
    assert watch.alive == [count_kept(size(algorithm.masks), sparsity)] * 3 * PER_EPOCH

    def changes(first: int, second: int) -> bool:
        pair = signs.masks[first], signs.masks[second]
        return any(not torch.equal(mask, pair[1][name]) for name, mask in pair[0].items())

    assert changes(0, 2 * PER_EPOCH - 1)
    assert not changes(2 * PER_EPOCH - 1, -1)


def test_those_that_were_born_and_live_are_told_from_those_of_the_beginning():
    algorithm = made()

    class Beginning(Observer):
        def begin(self, run: TrainingRun) -> None:
            self.masks = {name: mask.clone() for name, mask in algorithm.masks.items()}

    beginning = Beginning()
    run(algorithm, [beginning])
    assert 0 < count(algorithm.regenerated) <= count(algorithm.masks)
    for name, mask in algorithm.masks.items():
        new = mask & ~beginning.masks[name]
        assert not (new & ~algorithm.regenerated[name]).any()
        assert not (algorithm.regenerated[name] & ~mask).any()


def test_a_first_network_has_the_magnitudes_of_the_initial_weights_and_signs_at_random():
    algorithm = made(0.5)
    module = algorithm.job.module
    before = {name: each.detach().clone() for name, each in module.named_parameters()}
    algorithm.begin(TrainingRun(module, torch.optim.SGD(module.parameters()), TrainSettings(epochs=3), PER_EPOCH))
    kept, turned = 0, 0
    for name, mask in algorithm.masks.items():
        after = module.get_parameter(name)
        assert torch.equal(after[mask].abs(), before[name][mask].abs()) and not after[~mask].any()
        kept, turned = kept + int(mask.sum()), turned + int((after * before[name] < 0).sum())
    assert kept == count_kept(size(algorithm.masks), 0.5)
    assert 0.35 < turned / kept < 0.65


@pytest.mark.parametrize("batches", [PER_EPOCH + 2, 2 * PER_EPOCH + 1, 3 * PER_EPOCH + 2])
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path, batches):
    """In the second epoch of pruning, and in the first and second of fine-tuning."""
    same_bytes_after_a_kill(lambda: made(epochs=2), tmp_path, batches)


def test_equal_seeds_give_equal_bytes():
    first, second, other = made(), made(), made(seed=1)
    for algorithm in (first, second, other):
        run(algorithm)
    for name, parameter in first.parameters.items():
        assert torch.equal(parameter, second.parameters[name])
    assert any(not torch.equal(mask, other.masks[name]) for name, mask in first.masks.items())
