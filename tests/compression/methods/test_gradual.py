"""Algorithm 1: cases worked out by hand, the same in plain NumPy beside torch, and what holds at every step."""

from dataclasses import replace
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from spikingjelly.activation_based import functional
from torch import nn
from weight_pruning import PER_EPOCH, Watch, make_algorithm, make_job, run, same_bytes_after_a_kill

from neuroprune.compression.masks import count, count_kept, size
from neuroprune.compression.methods.gradual import GradualPruning, choose, choose_by_layer, share_out
from neuroprune.compression.weights import PrunableWeight
from neuroprune.training.observer import Observer, Step, TrainingRun

METHODS = ("criticality", "gmp", "grad", "random", "uniform")
CLASSIFIER = frozenset({"classifier"})


def tensors(**values: list[float]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(each) for name, each in values.items()}


def places(masks: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    return {name: mask.flatten().nonzero().flatten().tolist() for name, mask in masks.items()}


SCORES = tensors(first=[0.9, 0.1, 0.5, 0.4], second=[0.3, 0.8, 0.2, 0.7], classifier=[0.6, 0.05])
REGROWTH = tensors(first=[0.0, 0.2, 0.0, 0.9], second=[0.0, 0.0, 0.7, 0.0], classifier=[0.0, 1.0])
ALL = tensors(first=[True] * 4, second=[True] * 4, classifier=[True] * 2)


def test_which_weights_go_and_which_return_worked_out_by_hand():
    # Six stay. Two of them, int(0.4 * 6), by regrowth; the four largest are 0.9, 0.8, 0.7 and 0.6 (the classifier's).
    chosen = choose(SCORES, REGROWTH, ALL, 6, 0.4, fixed=CLASSIFIER)
    assert places(chosen.masks) == {"first": [0, 3], "second": [1, 2, 3], "classifier": [0]}
    assert places(chosen.regenerated) == {"first": [3], "second": [2], "classifier": []}
    # Without regrowth the six largest stay: 0.5 and 0.4 as well.
    assert places(choose(SCORES, REGROWTH, ALL, 6, 0.0).masks) == {
        "first": [0, 2, 3],
        "second": [1, 3],
        "classifier": [0],
    }


def test_what_died_before_returns_by_regrowth_alone():
    alive = ALL | {"first": torch.tensor([False, True, True, False])}
    chosen = choose(SCORES, REGROWTH, alive, 5, 0.2, fixed=CLASSIFIER)
    # 0.9 is of a dead weight; 0.8, 0.7, 0.6 and 0.5 are the largest of the living, and 0.9 the highest regrowth.
    assert places(chosen.masks) == {"first": [2, 3], "second": [1, 3], "classifier": [0]}
    assert places(chosen.regenerated) == {"first": [3], "second": [], "classifier": []}


def test_of_equals_the_earlier_stays_and_the_earlier_returns():
    even = {name: torch.ones_like(score) for name, score in SCORES.items()}
    chosen = choose(even, even, ALL, 5, 0.4, fixed=CLASSIFIER)
    assert places(chosen.masks) == {"first": [0, 1, 2, 3], "second": [0], "classifier": []}
    assert places(chosen.regenerated) == {"first": [3], "second": [0], "classifier": []}


def test_no_layer_keeps_fewer_by_its_score_than_the_floor():
    # 0.5 of the weights of each layer, so 2, 2 and 1; alone the score keeps 0.9, 0.8, 0.7, 0.6 and 0.5.
    scores = SCORES | {"first": SCORES["first"] / 10}
    assert places(choose(scores, REGROWTH, ALL, 5, 0.0).masks)["first"] == []
    chosen = choose(scores, REGROWTH, ALL, 5, 0.0, layer_floor=0.5)
    assert places(chosen.masks) == {"first": [0, 2], "second": [1, 3], "classifier": [0]}
    # There is no room for regrowth beside the floor, and one place where one more stays.
    beside = {"fixed": CLASSIFIER, "layer_floor": 0.5}
    assert count(choose(scores, REGROWTH, ALL, 5, 0.9, **beside).regenerated) == 0
    assert places(choose(scores, REGROWTH, ALL, 6, 0.9, **beside).regenerated)["first"] == [3]


def test_floors_that_do_not_divide_a_layer_leave_the_count_exact():
    scores = {str(place): torch.arange(10.0) + place for place in range(3)}
    alive = {name: torch.ones(10, dtype=torch.bool) for name in scores}
    chosen = choose(scores, scores, alive, 4, 0.0, layer_floor=0.14)
    assert [int(chosen.masks[name].sum()) for name in scores] == [1, 1, 2]


def test_a_fixed_layer_gets_no_dead_weight_back_where_too_few_others_can_return():
    scores, regrowth = tensors(classifier=[5.0, 4.0, 3.0, 2.0]), tensors(classifier=[9.0, 9.0, 9.0, 9.0])
    alive = {"classifier": torch.tensor([False, True, True, True])}
    chosen = choose(scores, regrowth, alive, 2, 0.5, fixed=CLASSIFIER)
    assert places(chosen.masks) == {"classifier": [1, 2]} and count(chosen.regenerated) == 0


def test_uniform_leaves_every_layer_the_same_share():
    chosen = choose_by_layer(SCORES, REGROWTH, ALL, 5, 0.0)
    assert places(chosen.masks) == {"first": [0, 2], "second": [1, 3], "classifier": [0]}
    chosen = choose_by_layer(SCORES, REGROWTH, ALL, 5, 0.5, fixed=CLASSIFIER)
    assert places(chosen.masks) == {"first": [0, 3], "second": [1, 2], "classifier": [0]}
    assert places(chosen.regenerated) == {"first": [3], "second": [2], "classifier": []}


def test_shares_are_whole_numbers_nearest_to_the_same_share():
    assert share_out(5, {"a": 4, "b": 4, "c": 2}, {"a": 4, "b": 4, "c": 2}) == {"a": 2, "b": 2, "c": 1}
    assert share_out(4, {"a": 3, "b": 3, "c": 4}, {"a": 3, "b": 3, "c": 4}) == {"a": 1, "b": 1, "c": 2}


def test_no_layer_is_given_more_weights_than_live_in_it_when_fewer_stay():
    # The paradox of Alabama: of 11 seats the smallest gets 1, of 10 it would get 2.
    sizes = {"a": 6, "b": 6, "c": 2}
    before = share_out(11, sizes, sizes)
    assert before == {"a": 5, "b": 5, "c": 1} and share_out(10, sizes, sizes)["c"] == 2
    assert share_out(10, sizes, before) == {"a": 5, "b": 4, "c": 1}


@st.composite
def situations(draw):
    """Three layers, the last the classifier, with ties; what lives, how many stay, r and a floor that leaves room."""
    names = ("first", "second", "classifier")
    sizes = {name: draw(st.integers(1, 8)) for name in names}
    number = st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0])
    scores, regrowth, alive = (
        {name: np.array(draw(st.lists(kind, min_size=n, max_size=n))) for name, n in sizes.items()}
        for kind in (number, number, st.booleans())
    )
    floored = draw(st.booleans())
    if floored:
        alive = {name: np.ones(n, dtype=bool) for name, n in sizes.items()}
    living = sum(int(mask.sum()) for mask in alive.values())
    keep = draw(st.integers(0, living))
    floor = draw(st.floats(0, keep / sum(sizes.values()))) if floored else 0.0
    return scores, regrowth, alive, keep, draw(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9])), floor


def as_torch(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@given(situations())
def test_counts_are_exact_and_nothing_dead_returns_but_by_regrowth(situation):
    scores, regrowth, alive, keep, r, floor = situation
    given_ = as_torch(scores), as_torch(regrowth), as_torch(alive)
    for chosen in (
        choose(*given_, keep, r, fixed=CLASSIFIER, layer_floor=floor),
        choose_by_layer(*given_, keep, r, fixed=CLASSIFIER),
    ):
        assert count(chosen.masks) == keep
        assert not chosen.regenerated["classifier"].any()
        for name, mask in chosen.masks.items():
            assert not (chosen.regenerated[name] & ~mask).any()
            assert not (mask & ~chosen.regenerated[name] & ~given_[2][name]).any()
    chosen = choose(*given_, keep, r, fixed=CLASSIFIER, layer_floor=floor)
    assert count(chosen.regenerated) <= round(r * keep, 6)
    for mask in chosen.masks.values():
        assert int(mask.sum()) >= int(floor * mask.numel() + 1e-9)


def numpy_choose(scores, regrowth, alive, keep, r):
    """Algorithm 1 in one flat array [n]; the classifier is the last layer."""
    names = list(scores)
    of = np.concatenate([np.full(scores[name].size, place) for place, name in enumerate(names)])
    flat, back, living = (np.concatenate([each[name].ravel() for name in names]) for each in (scores, regrowth, alive))
    grown = int(round(r * keep, 6))
    order = np.lexsort((np.arange(flat.size), -flat, ~living))
    mask = np.zeros(flat.size, dtype=bool)
    mask[order[: keep - grown]] = True
    may = ~mask & (of != len(names) - 1)
    order = np.lexsort((np.arange(flat.size), -back, ~may))[: min(grown, may.sum())]
    mask[order] = True
    regenerated = np.zeros_like(mask)
    regenerated[order] = True
    order = np.lexsort((np.arange(flat.size), -flat, ~(living & ~mask)))[: keep - mask.sum()]
    mask[order] = True
    ends = np.cumsum([scores[name].size for name in names])[:-1]
    return tuple(dict(zip(names, np.split(each, ends), strict=True)) for each in (mask, regenerated))


@given(situations())
def test_the_choice_is_that_of_a_plain_rewrite(situation):
    scores, regrowth, alive, keep, r, _ = situation
    chosen = choose(as_torch(scores), as_torch(regrowth), as_torch(alive), keep, r, fixed=CLASSIFIER)
    masks, regenerated = numpy_choose(scores, regrowth, alive, keep, r)
    for name in scores:
        assert (chosen.masks[name].numpy() == masks[name]).all()
        assert (chosen.regenerated[name].numpy() == regenerated[name]).all()


class Injected:
    """Gives the regrowth scores that a test drew, and magnitudes."""

    def __init__(self, module: nn.Module, regrowth: list[dict[str, np.ndarray]]) -> None:
        self._parameters, self._regrowth = dict(module.named_parameters()), iter(regrowth)

    def arm(self) -> None: ...

    def gather(self) -> None: ...

    def finish(self) -> None: ...

    def of(self, kind: str, seed: int) -> dict[str, torch.Tensor]:
        if kind == "magnitude":
            return {name: parameter.detach().abs() for name, parameter in self._parameters.items()}
        return as_torch(next(self._regrowth))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_training_is_that_of_a_plain_rewrite_of_algorithm_1(seed, momentum):
    generator = np.random.default_rng(seed)
    shapes = {"0.weight": (7, 5), "1.weight": (6, 7), "2.weight": (3, 6)}
    weights = {name: generator.normal(size=shape) for name, shape in shapes.items()}
    module = nn.Sequential(*(nn.Linear(n, m, bias=False, dtype=torch.float64) for m, n in shapes.values()))
    module.load_state_dict(as_torch(weights))
    job = make_job("criticality", 0.8, prune_epochs=2, epochs=1, interval=3, regeneration=0.3)
    found = tuple(PrunableWeight(name, shape, name.startswith("2"), None, ()) for name, shape in shapes.items())
    job = replace(job, module=module, weights=found, strategy=replace(job.strategy, regenerate_by="random"))
    algorithm = GradualPruning(job)
    iterations, prunings = 12, 4  # of 6 an epoch, N_p = 2, dT = 3
    gradients = [{name: generator.normal(size=shape) for name, shape in shapes.items()} for _ in range(iterations + 6)]
    regrowth = [{name: generator.integers(0, 4, shape) for name, shape in shapes.items()} for _ in range(prunings)]
    algorithm.scorer = Injected(module, regrowth)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5, momentum=momentum)  # powers of two: exact in both
    run_ = TrainingRun(module, optimizer, None, PER_EPOCH)
    algorithm.begin(run_)

    masks = {name: np.ones(shape, dtype=bool) for name, shape in shapes.items()}
    velocity = {name: np.zeros(shape) for name, shape in shapes.items()}
    total, i = sum(weight.size for weight in weights.values()), 0
    for iteration in range(iterations + 6):
        step = Step(run_, iteration // PER_EPOCH, iteration, torch.zeros(0), torch.zeros(0))
        algorithm.before_forward(step)
        for name, parameter in module.named_parameters():
            parameter.grad = torch.from_numpy(gradients[iteration][name])
        algorithm.after_backward(step)
        optimizer.step()
        algorithm.after_step(step)

        for name in weights:
            velocity[name] = momentum * velocity[name] + gradients[iteration][name]
            weights[name] = (weights[name] - 0.5 * velocity[name]) * masks[name]
        if (iteration + 1) % 3 == 0 and i < prunings:
            i += 1
            keep = int(total * (1 - Fraction(8, 10) * (1 - (1 - Fraction(i, prunings)) ** 3)))
            scores = {name: abs(weight) for name, weight in weights.items()}
            masks, regenerated = numpy_choose(scores, regrowth[i - 1], masks, keep, 0.3)
            masks, regenerated = (
                {name: each[name].reshape(shape) for name, shape in shapes.items()} for each in (masks, regenerated)
            )
            assert sum(mask.sum() for mask in regenerated.values()) == int(0.3 * keep)
            weights = {name: weight * masks[name] * ~regenerated[name] for name, weight in weights.items()}
        for name, parameter in module.named_parameters():
            assert (algorithm.masks[name].numpy() == masks[name]).all()
            assert (parameter.detach().numpy() == weights[name]).all()
    assert i == prunings and count(algorithm.masks) == total // 5


@pytest.mark.parametrize("method", METHODS)
def test_the_density_follows_the_schedule_and_holds_at_every_step(method):
    algorithm = make_algorithm(make_job(method, 0.8, 2, 1, interval=2))
    watch = Watch(algorithm)
    history = run(algorithm, [watch]).history
    total = size(algorithm.masks)
    expected = [total]
    for iteration in range(3 * PER_EPOCH):
        number = (iteration + 1) // 2
        due = (iteration + 1) % 2 == 0 and number <= 6
        expected.append(count_kept(total, 0.8 * (1 - (1 - number / 6) ** 3)) if due else expected[-1])
    assert watch.alive == expected[1:] and watch.alive[-1] == count_kept(total, 0.8)
    assert len(history) == algorithm.epochs == 3
    assert [step.iteration for step in algorithm.survival] == [1, 3, 5, 7, 9, 11]


@pytest.mark.parametrize("method", METHODS)
def test_the_classifier_is_never_regenerated_and_only_loses(method):
    changes = {} if method != "uniform" else {"regenerate_by": "random", "regeneration": 0.3, "score": "random"}
    job = make_job(method, 0.8, 2, 1, interval=1, **changes)
    (classifier,) = (weight.parameter for weight in job.weights if weight.classifier)

    class Follow(Observer):
        def after_step(self, step: Step) -> None:
            mask = algorithm.masks[classifier]
            assert not (mask & ~self.before).any() and not algorithm.regenerated[classifier].any()
            self.before = mask

    follow, algorithm = Follow(), make_algorithm(job)
    follow.before = torch.ones(job.module.get_parameter(classifier).shape, dtype=torch.bool)
    run(algorithm, [follow])
    assert count(algorithm.regenerated) > 0 or method == "gmp"


@pytest.mark.parametrize("method", ["criticality", "grad", "random"])
def test_what_returns_begins_at_zero(method):
    algorithm = make_algorithm(make_job(method, 0.8, 2, 1, interval=4, regeneration=0.4))
    seen: list[int] = []

    class Follow(Observer):
        def after_step(self, step: Step) -> None:
            if algorithm.schedule.number(step.iteration) is not None:
                masks, parameters = algorithm.masks, algorithm.parameters
                keep = count(masks)
                zeros = sum(int((parameters[name][mask] == 0).sum()) for name, mask in masks.items())
                seen.append(zeros)
                assert zeros == int(round(0.4 * keep, 6)) <= count(algorithm.regenerated)

    run(algorithm, [Follow()])
    assert len(seen) == 3 and min(seen) > 0


def test_criticality_without_regrowth_is_gmp():
    plain, bare = (
        make_algorithm(make_job(*how, 0.8, 2, 1, **r))
        for how, r in ((("gmp",), {}), (("criticality",), {"regeneration": 0.0}))
    )
    for each in (plain, bare):
        run(each)
    for name, parameter in plain.job.module.state_dict().items():
        assert torch.equal(parameter, bare.job.module.state_dict()[name])
    assert plain.survival == bare.survival
    assert all(step.rescued == 0 for step in plain.survival)
    cut = size(plain.masks) - count(plain.masks)
    assert sum(step.cut for step in plain.survival) == cut and count(plain.regenerated) == 0


def test_the_survival_counts_what_magnitude_alone_would_have_cut():
    job = make_job("random", 0.5, 1, 1, interval=6, regeneration=0.5)
    algorithm = make_algorithm(job)
    run(algorithm)
    total = size(algorithm.masks)
    keep = count_kept(total, 0.5)
    (step,) = algorithm.survival
    assert (step.iteration, step.sparsity, step.cut) == (5, 0.5, total - keep)
    # All lived, so what returned and is not of the `keep` largest is what was rescued.
    assert 0 < step.rescued <= count(algorithm.regenerated) == keep // 2


def test_uniform_keeps_the_same_share_of_every_layer_at_the_end():
    algorithm = make_algorithm(make_job("uniform", 0.75, 1, 1))
    run(algorithm)
    for mask in algorithm.masks.values():
        assert abs(int(mask.sum()) - 0.25 * mask.numel()) <= 1


@pytest.mark.parametrize("method", ["gmp", "criticality"])
def test_no_layer_falls_below_the_floor(method):
    counts = []
    for floor in (0.0, 0.1):
        algorithm = make_algorithm(make_job(method, 0.9, 2, 1, layer_floor=floor))
        run(algorithm)
        assert count(algorithm.masks) == count_kept(size(algorithm.masks), 0.9)
        counts.append([int(mask.sum()) / mask.numel() for mask in algorithm.masks.values()])
        assert all(int(mask.sum()) >= int(floor * mask.numel()) for mask in algorithm.masks.values())
    assert counts[0] != counts[1]


def test_equal_seeds_repeat_and_others_draw_others():
    found = []
    for seed in (0, 0, 1):
        algorithm = make_algorithm(replace(make_job("random", 0.8, 2, 1), seed=seed))
        run(algorithm)
        found.append((algorithm.masks, algorithm.job.module.state_dict()))
    for first, second in zip(*found[:2], strict=True):
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert any(not torch.equal(mask, found[2][0][name]) for name, mask in found[0][0].items())


@pytest.mark.parametrize(("method", "batches"), [("criticality", 2), ("criticality", 8), ("random", 8), ("gmp", 15)])
def test_a_killed_training_goes_on_to_the_same_bytes(method, batches, tmp_path):
    same_bytes_after_a_kill(lambda: make_algorithm(make_job(method, 0.8, 2, 1, interval=4)), tmp_path, batches)


@pytest.mark.parametrize("optimizer", [{}, {"momentum": 0.0}, {"optimizer": "adamw", "lr": 0.01}])
def test_the_optimiser_forgets_pruned_weights_if_asked_to(optimizer):
    for forgets in (True, False):
        algorithm = make_algorithm(make_job("gmp", 0.8, 1, 1, mask_momentum=forgets))
        run(algorithm, **optimizer)
        state = algorithm.run.optimizer.state
        held = [
            tensor[~algorithm.masks[name]]
            for name, parameter in algorithm.parameters.items()
            for tensor in state[parameter].values()
            if tensor.shape == parameter.shape
        ]
        assert any(bool(each.any()) for each in held) == (not forgets and optimizer != {"momentum": 0.0})


@pytest.mark.parametrize("score", ["criticality", "gradient", "random"])
@pytest.mark.parametrize("regrowth", ["criticality", "grad", "random", "magnitude"])
def test_every_score_goes_with_every_regrowth(score, regrowth):
    parts = {"score": score, "regenerate_by": regrowth, "regeneration": 0.3}
    algorithm = make_algorithm(make_job("criticality", 0.8, 1, 1, interval=3, **parts))
    run(algorithm)
    assert count(algorithm.masks) == count_kept(size(algorithm.masks), 0.8)


def test_what_is_dead_has_no_magnitude_to_return_by():
    """The optimiser moves dead weights too, in the step before a pruning."""
    parts = {"regenerate_by": "magnitude", "regeneration": 0.5}
    algorithm = make_algorithm(make_job("criticality", 0.9, 2, 1, interval=2, **parts))
    score, asked = algorithm.scorer.of, []

    def of(kind: str, seed: int) -> dict[str, torch.Tensor]:
        scores = score(kind, seed)
        assert not any(scores[name][~mask].any() for name, mask in algorithm.masks.items())
        asked.append(kind)
        return scores

    algorithm.scorer.of = of
    run(algorithm)
    assert asked == ["magnitude"] * 12


def test_no_hook_stays_behind_when_a_training_fails():
    job = make_job("criticality", 0.8, 1, 1, interval=1)
    algorithm = make_algorithm(job)

    class FailError(Exception):
        pass

    def fail(module: nn.Module, args: object, output: object) -> None:
        if module.training:
            raise FailError

    hook = job.module.register_forward_hook(fail)
    with pytest.raises(FailError):
        run(algorithm)
    hook.remove()
    functional.reset_net(job.module)
    assert not any(module._forward_hooks for module in job.module.modules())
