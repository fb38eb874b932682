"""Early-bird tickets: when a mask is taken, worked out by hand, and what is trained after it."""

from dataclasses import replace

import pytest
import torch
from weight_pruning import PER_EPOCH, TUNING, Watch, make_algorithm, make_job, run, same_bytes_after_a_kill

from neuroprune.compression.masks import Masks, count, count_kept, size, top
from neuroprune.compression.methods.early_bird import EarlyBird, distance, settled
from neuroprune.training.observer import Observer, Step


def mask(*dead: int, number: int = 100) -> Masks:
    """Two tensors of 100 weights in all, of which those numbers do not stay."""
    flat = torch.ones(number, dtype=torch.bool)
    flat[list(dead)] = False
    return {"first": flat[:60].view(6, 10), "second": flat[60:]}


def test_the_distance_is_the_share_of_weights_that_only_one_keeps():
    assert distance(mask(1, 2, 70), mask(1, 2, 70)) == 0.0
    assert distance(mask(1, 2, 70), mask(1, 3, 71)) == 0.04


def test_masks_have_settled_when_the_newest_is_near_all_four_before():
    same, near, far = mask(1, 70), mask(1), mask(1, 2)
    assert settled([same, near, same, near, same])  # 0.01 apart
    assert not settled([near, far, same, same, same])  # 0.02 is not below 0.02
    assert not settled([same] * 4)
    assert not settled([same, same, same, same, far])
    assert settled([same, mask(1, 70, 71), near, mask(1, 70, 71), same])  # others may be 0.02 apart


class Story(Observer):
    """Keeps all tensors of the network at the start of each epoch."""

    def __init__(self) -> None:
        self.starts: list[dict[str, torch.Tensor]] = []
        self.fresh: list[bool] = []
        self.ends: list[dict[str, torch.Tensor]] = []

    def before_forward(self, step: Step) -> None:
        if step.begins_epoch:
            self.starts.append({name: tensor.clone() for name, tensor in step.run.module.state_dict().items()})
            self.fresh.append(not step.run.optimizer.state)

    def after_step(self, step: Step) -> None:
        if step.ends_epoch:
            self.ends.append({name: tensor.clone() for name, tensor in step.run.module.state_dict().items()})


def make(prune_epochs: int = 6, sparsity: float = 0.6) -> EarlyBird:
    algorithm = make_algorithm(make_job("early-bird", sparsity, prune_epochs, 2))
    assert isinstance(algorithm, EarlyBird)
    return algorithm


@pytest.mark.parametrize(
    ("rate", "prune_epochs", "taken"),
    [
        (1e-6, 6, 4),  # nothing changes: the masks of the initial weights and after each of four epochs are the same
        (0.2, 6, 6),  # too much changes until the end of the pruning
        (1e-6, 2, 2),  # too few epochs for five masks
    ],
)
def test_the_mask_is_taken_when_it_has_settled_or_at_the_end(rate, prune_epochs, taken):
    algorithm, story = make(prune_epochs), Story()
    watch = Watch(algorithm)
    history = run(algorithm, [watch, story], lr=rate).history
    assert algorithm.taken == taken and len(history) == algorithm.epochs == prune_epochs + 2
    total = size(algorithm.masks)
    keep = count_kept(total, 0.6)
    assert watch.alive == [total] * taken * PER_EPOCH + [keep] * (algorithm.epochs - taken) * PER_EPOCH
    kept = top({name: story.ends[taken - 1][name].abs() for name in algorithm.masks}, keep)
    for name, tensor in story.starts[taken].items():
        initial = story.starts[0][name]
        assert torch.equal(tensor, initial * kept[name] if name in kept else initial)
    assert [epoch for epoch, fresh in enumerate(story.fresh) if fresh] == [0, taken]
    (step,) = algorithm.survival
    assert (step.iteration, step.sparsity, step.cut, step.rescued) == (taken * PER_EPOCH - 1, 0.6, total - keep, 0)
    assert count(algorithm.regenerated) == 0


def test_masks_are_those_of_the_weights_at_the_end_of_each_epoch():
    algorithm, story = make(6), Story()
    drawn: list[Masks] = []

    class Follow(Observer):
        def before_forward(self, step: Step) -> None:
            if step.begins_epoch and step.epoch == 4:
                drawn.extend(algorithm._drawn)

    run(algorithm, [story, Follow()])
    assert len(drawn) == 5
    for masks, tensors in zip(drawn, [story.starts[0], *story.ends], strict=False):
        weights = {name: tensors[name].abs() for name in masks}
        expected = top(weights, count_kept(size(masks), 0.6))
        assert all(torch.equal(each, expected[name]) for name, each in masks.items())


@pytest.mark.parametrize("schedule", [{}, {"schedule": "step", "milestones": (1,)}])
def test_the_ticket_follows_a_course_of_the_learning_rate_of_its_own(schedule):
    algorithm = make(4)
    watch = Watch(algorithm)
    history = run(algorithm, [watch], lr=1e-6, **schedule).history
    search, own = (replace(TUNING, epochs=number, lr=1e-6, **schedule) for number in (6, 2))
    expected = [search.learning_rate(epoch, index / PER_EPOCH) for epoch in range(4) for index in range(PER_EPOCH)]
    expected += [own.learning_rate(epoch, index / PER_EPOCH) for epoch in range(2) for index in range(PER_EPOCH)]
    assert watch.rates == expected
    assert [record.lr for record in history] == expected[::PER_EPOCH]


@pytest.mark.parametrize("epochs", [0, 2, 5])
def test_a_killed_search_goes_on_to_the_same_bytes(epochs, tmp_path):
    same_bytes_after_a_kill(lambda: make(4), tmp_path, epochs * PER_EPOCH + 2)


def test_a_state_without_its_masks_is_refused():
    algorithm = make(4)
    run(algorithm)
    state = algorithm.state()
    with pytest.raises(KeyError):
        algorithm.restore(replace(state, values={**state.values, "drawn": 1}))
