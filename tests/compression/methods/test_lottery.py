"""Lottery tickets: which weights go after which round, what is rewound, and that one search is read at all rounds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from weight_pruning import DATA, PER_EPOCH, TUNING, Watch, make_algorithm, make_job, run, same_bytes_after_a_kill

from neuroprune.compression.masks import count, count_kept, size, top
from neuroprune.compression.methods.lottery import LotteryTicket
from neuroprune.training.evaluate import measure_accuracy
from neuroprune.training.observer import Observer, Step, TrainingRun


def make(
    sparsity: float = 0.5, prune_epochs: int = 3, epochs: int = 3, milestones: tuple[float, ...] = ()
) -> LotteryTicket:
    return LotteryTicket(make_job("lth", sparsity, prune_epochs, epochs), milestones)


def late(sparsity: float = 0.4, prune_epochs: int = 8, epochs: int = 8) -> LotteryTicket:
    """Rewinds to the weights after one epoch of its eight."""
    algorithm = make(sparsity, prune_epochs, epochs)
    assert algorithm.rounds[1].skipped == 1
    return algorithm


class Story(Observer):
    """Keeps all tensors of the network at the end of each epoch, and as the next one begins with them."""

    def __init__(self) -> None:
        self.ends: list[dict[str, torch.Tensor]] = []
        self.starts: list[dict[str, torch.Tensor]] = []
        self.accuracies: list[float] = []
        self.fresh: list[bool] = []

    def before_forward(self, step: Step) -> None:
        if step.begins_epoch:
            self.starts.append(self._tensors(step.run))
            self.fresh.append(not step.run.optimizer.state)

    def after_step(self, step: Step) -> None:
        if step.ends_epoch:
            self.ends.append(self._tensors(step.run))

    def _tensors(self, run: TrainingRun) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in run.module.state_dict().items()}


@pytest.mark.parametrize("maker", [make, late])
def test_each_round_begins_with_the_early_weights_of_what_is_largest_after_the_one_before(maker):
    algorithm, story = maker(), Story()
    watch = Watch(algorithm)
    history = run(algorithm, [watch, story]).history
    assert len(history) == algorithm.epochs == algorithm.rounds[-1].end == len(story.starts)
    rewound = story.starts[algorithm.rounds[1].skipped]
    alive = {name: torch.ones_like(mask) for name, mask in algorithm.masks.items()}
    total = size(alive)
    for each in algorithm.rounds[1:]:
        trained = {name: story.ends[each.start - 1][name].abs() for name in alive}
        alive = top(trained, count_kept(total, each.sparsity), alive)
        for name, tensor in story.starts[each.start].items():
            expected = rewound[name] * alive[name] if name in alive else rewound[name]
            assert torch.equal(tensor, expected)
        during = watch.alive[each.start * PER_EPOCH : each.end * PER_EPOCH]
        assert during == [count_kept(total, each.sparsity)] * len(during)
    assert all(torch.equal(mask, algorithm.masks[name]) for name, mask in alive.items())
    assert [epoch for epoch, fresh in enumerate(story.fresh) if fresh] == [each.start for each in algorithm.rounds]
    assert count(algorithm.regenerated) == 0


def test_running_statistics_are_rewound_too():
    algorithm, story = make(), Story()
    run(algorithm, [story])
    moved = [name for name, tensor in story.ends[0].items() if not torch.equal(tensor, story.starts[0][name])]
    assert any(name.endswith("running_mean") for name in moved)
    start = algorithm.rounds[1].start
    assert all(torch.equal(story.starts[start][name], story.starts[0][name]) for name in moved if "running" in name)


def test_the_density_is_exact_and_the_accuracy_of_a_round_is_of_its_trained_network():
    algorithm = make(0.6, 2, 1, milestones=(0.4,))
    run_module, story = algorithm.job.module, Story()
    history = run(algorithm, [story]).history
    assert [each.sparsity for each in algorithm.rounds] == pytest.approx(
        [0, 1 - 0.6**0.5, 0.4, 1 - (0.6 * 0.4) ** 0.5, 0.6]
    )
    assert count(algorithm.masks) == count_kept(size(algorithm.masks), 0.6)
    for each in algorithm.rounds:
        run_module.load_state_dict(story.ends[each.end - 1])
        accuracy = measure_accuracy(run_module, DATA.test.images, DATA.test.labels, DATA.coding)
        assert history[each.end - 1].test_accuracy == accuracy
        living = sum(int((story.ends[each.end - 1][name] != 0).sum()) for name in algorithm.masks)
        assert living <= count_kept(size(algorithm.masks), each.sparsity)
    assert [step.sparsity for step in algorithm.survival] == [each.sparsity for each in algorithm.rounds[1:]]
    assert [step.iteration + 1 for step in algorithm.survival] == [
        each.start * PER_EPOCH for each in algorithm.rounds[1:]
    ]
    assert sum(step.cut for step in algorithm.survival) == size(algorithm.masks) - count(algorithm.masks)
    assert all(step.rescued == 0 for step in algorithm.survival)


def test_milestones_of_the_papers_tables_are_met_on_the_way():
    sparsities = [each.sparsity for each in make_algorithm(make_job("lth", 0.98, 2, 2)).rounds]
    assert {0.90, 0.95, 0.98} <= set(sparsities) and len(sparsities) == 17


@pytest.mark.parametrize("schedule", [{}, {"schedule": "step", "milestones": (1, 3)}])
def test_each_round_follows_a_course_of_the_learning_rate_of_its_own(schedule):
    algorithm = make(0.4, 8, 6)  # rewinds to the weights after one epoch
    watch = Watch(algorithm)
    history = run(algorithm, [watch], **schedule).history
    expected = []
    for course, epochs in ((8, range(8)), (8, range(1, 8)), (6, range(1, 6))):
        own = replace(TUNING, epochs=course, **schedule)
        expected += [own.learning_rate(epoch, index / PER_EPOCH) for epoch in epochs for index in range(PER_EPOCH)]
    assert watch.rates == expected
    assert [record.lr for record in history] == expected[::PER_EPOCH]


def test_equal_seeds_repeat():
    first, second = make(), make()
    for each in (first, second):
        run(each)
    for name, tensor in first.job.module.state_dict().items():
        assert torch.equal(tensor, second.job.module.state_dict()[name])


@pytest.mark.parametrize("epochs", [1, 3, 8, 10])
def test_a_killed_search_goes_on_to_the_same_bytes(epochs, tmp_path):
    """Before the weights to rewind to are kept, after it, right before the next round begins, and within that."""
    same_bytes_after_a_kill(lambda: late(0.25), tmp_path, epochs * PER_EPOCH + 2)


def test_a_state_of_another_network_is_refused():
    algorithm = late()
    run(algorithm)
    state = algorithm.state()
    name = next(name for name in state.tensors if name.startswith("kept."))
    for tensor in (torch.zeros(1), torch.zeros(state.tensors[name].shape, dtype=torch.int64)):
        with pytest.raises(ValueError, match="tensors to rewind to are not those of a SpikingNetwork"):
            algorithm.restore(replace(state, tensors={**state.tensors, name: tensor}))
    assert np.isfinite([float(each.sum()) for each in state.tensors.values()]).all()
