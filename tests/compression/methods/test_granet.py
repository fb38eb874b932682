"""GraNet: exchanges worked out by hand, the same by sorting, and what holds at every step."""

from math import ceil

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from weight_pruning import PER_EPOCH, Watch, make_algorithm, make_job, run, same_bytes_after_a_kill

from neuroprune.compression.masks import count, count_kept, size, top
from neuroprune.compression.methods.granet import exchange
from neuroprune.compression.schedules import cosine_drop
from neuroprune.training.observer import Observer, Step


def test_the_smallest_are_exchanged_for_those_of_largest_gradient_worked_out_by_hand():
    scores = {"first": torch.tensor([0.9, 0.1, 0.5, 0.4, 0.0]), "second": torch.tensor([0.3, 0.2, 0.0, 0.0])}
    gradients = {"first": torch.tensor([0.0, 0.7, 0.0, 0.1, 0.5]), "second": torch.tensor([9.0, 1.0, 2.0, 3.0])}
    masks = {"first": torch.tensor([True, True, True, True, False]), "second": torch.tensor([True, True, False, False])}
    chosen = exchange(scores, gradients, masks, 0.5)
    # first: two of four go, 0.1 and 0.4; 0.7 and 0.5 come, so the one of 0.1 is back. second: 0.2 goes, 3.0 comes.
    assert chosen.masks["first"].tolist() == [True, True, True, False, True]
    assert chosen.regenerated["first"].tolist() == [False, True, False, False, True]
    assert chosen.masks["second"].tolist() == [True, False, False, True]
    assert exchange(scores, gradients, masks, 0.5, frozenset({"first"})).masks["first"].equal(masks["first"])
    # 0.2 of four is one, rounded up.
    assert exchange(scores, gradients, masks, 0.2).regenerated["first"].tolist() == [False, True, False, False, False]


@st.composite
def layers(draw):
    number = draw(st.integers(1, 12))
    values = st.sampled_from([0.0, 0.25, 1.0, 2.0])
    scores, gradients = (np.array(draw(st.lists(values, min_size=number, max_size=number))) for _ in range(2))
    alive = np.array(draw(st.lists(st.booleans(), min_size=number, max_size=number)))
    return scores, gradients, alive, draw(st.floats(0.005, 0.5))


@given(layers())
def test_an_exchange_is_that_of_a_plain_rewrite_and_leaves_the_count(case):
    scores, gradients, alive, drop = case
    chosen = exchange(*({"w": torch.from_numpy(each)} for each in (scores, gradients, alive)), drop)
    gone = ceil(round(drop * alive.sum(), 6))
    order = sorted(np.flatnonzero(alive), key=lambda place: (-scores[place], place))
    kept = set(order[: len(order) - gone])
    others = sorted(set(range(len(alive))) - kept, key=lambda place: (-gradients[place], place))
    assert chosen.regenerated["w"].nonzero().flatten().tolist() == sorted(others[:gone])
    assert chosen.masks["w"].nonzero().flatten().tolist() == sorted(kept | set(others[:gone]))
    assert count(chosen.masks) == alive.sum()


class Follow(Observer):
    """Works out every pruning from weights and gradients as they are before it."""

    def __init__(self, algorithm) -> None:
        self.algorithm = algorithm
        self.exchanged: list[int] = []

    def begin(self, run) -> None:
        self.masks = dict(self.algorithm.masks)

    def after_step(self, step: Step) -> None:
        number = self.algorithm.schedule.number(step.iteration)
        if number is None:
            assert all(torch.equal(mask, self.masks[name]) for name, mask in self.algorithm.masks.items())
            return
        total = size(self.masks)
        keep = count_kept(total, self.algorithm.schedule.sparsity(number))
        assert count(self.algorithm.masks) == keep
        # The largest of all layers have been chosen by weights that live on or were just set to 0, so by counts alone:
        drop = cosine_drop(number, self.algorithm.schedule.prunings)
        zeros = 0
        for weight in self.algorithm.job.weights:
            mask, parameter = self.algorithm.masks[weight.parameter], self.algorithm.parameters[weight.parameter]
            new = int((parameter[mask] == 0).sum())
            assert new == (0 if weight.classifier else ceil(round(drop * int(mask.sum()), 6)))
            zeros += new
        self.exchanged.append(zeros)
        self.masks = dict(self.algorithm.masks)


def test_each_pruning_exchanges_its_share_of_every_layer_but_the_classifier():
    algorithm = make_algorithm(make_job("granet", 0.8, 2, 1, interval=3))
    follow, watch = Follow(algorithm), Watch(algorithm)
    run(algorithm, [watch, follow])
    assert len(follow.exchanged) == 4 and follow.exchanged == sorted(follow.exchanged, reverse=True)
    assert watch.alive[-1] == count_kept(size(algorithm.masks), 0.8)
    assert len(watch.alive) == 3 * PER_EPOCH
    (classifier,) = (weight.parameter for weight in algorithm.job.weights if weight.classifier)
    assert not algorithm.regenerated[classifier].any() and count(algorithm.regenerated) > 0


def test_the_largest_of_all_layers_are_what_is_exchanged_from():
    """With one pruning only the first choice is left to be worked out: it is of all weights, by their magnitude."""
    algorithm = make_algorithm(make_job("granet", 0.5, 1, 1, interval=PER_EPOCH))
    before: dict[str, torch.Tensor] = {}
    choose = algorithm.choose

    def spy(scores, regrowth, keep, number):
        before.update(scores=scores, regrowth=regrowth)
        return choose(scores, regrowth, keep, number)

    algorithm.choose = spy
    run(algorithm)
    largest = top(before["scores"], count_kept(size(algorithm.masks), 0.5))
    expected = exchange(before["scores"], before["regrowth"], largest, 0.005, algorithm.fixed)
    assert all(torch.equal(mask, expected.masks[name]) for name, mask in algorithm.masks.items())
    (step,) = algorithm.survival
    assert step.cut == size(algorithm.masks) - count(largest) and 0 < step.rescued <= count(expected.regenerated)


def test_the_optimiser_forgets_what_it_holds_for_pruned_weights():
    """As in the authors' code; else a weight would come back with the momentum of its gradients while it was dead."""
    algorithm = make_algorithm(make_job("granet", 0.8, 1, 1))
    run(algorithm)
    state = algorithm.run.optimizer.state
    for name, parameter in algorithm.parameters.items():
        assert not state[parameter]["momentum_buffer"][~algorithm.masks[name]].any()


@pytest.mark.parametrize("batches", [8, 15])
def test_a_killed_training_goes_on_to_the_same_bytes(batches, tmp_path):
    same_bytes_after_a_kill(lambda: make_algorithm(make_job("granet", 0.8, 2, 1, interval=4)), tmp_path, batches)


def test_the_share_that_is_exchanged_at_first_can_be_chosen():
    assert make_job("granet", 0.8, 2, 1).strategy.regeneration == 0.5
    algorithm = make_algorithm(make_job("granet", 0.8, 2, 1, regeneration=0.0))
    plain = make_algorithm(make_job("gmp", 0.8, 2, 1, mask_momentum=True))
    for each in (algorithm, plain):
        run(each)
    assert all(torch.equal(mask, plain.masks[name]) for name, mask in algorithm.masks.items())
