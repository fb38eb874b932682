"""Observers of training: when they are called, what they see, and that their state survives an interruption."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from neuroprune.choices import names
from neuroprune.errors import InputError
from neuroprune.networks.build import build
from neuroprune.networks.catalog import OPTIMIZERS
from neuroprune.training.observer import Observer, ObserverState, Step, TrainingRun
from neuroprune.training.settings import TrainSettings
from neuroprune.training.tensors import read_tensors, write_tensors
from neuroprune.training.train import train

SETTINGS = TrainSettings(epochs=3, batch=20, lr=0.02, device="cpu", l1=1e-4)
PER_EPOCH = 96 // 20
STATE = "training.safetensors"


class Diary(Observer):
    """Writes down each call."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self._name = name
        self.calls = calls
        self.steps: list[Step] = []

    @property
    def name(self) -> str:
        return self._name

    def begin(self, run: TrainingRun) -> None:
        self.calls.append(f"{self.name} begins")

    def restore(self, state: ObserverState) -> None:
        self.calls.append(f"{self.name} goes on from {state.values['epochs']}")

    def before_forward(self, step: Step) -> None:
        assert all(parameter.grad is None for parameter in step.run.module.parameters())
        self.calls.append(f"{self.name} {step.epoch}:{step.iteration} forward")

    def after_backward(self, step: Step) -> None:
        assert all(parameter.grad is not None for parameter in step.run.module.parameters())
        self.calls.append(f"{self.name} {step.epoch}:{step.iteration} backward")

    def after_step(self, step: Step) -> None:
        self.calls.append(f"{self.name} {step.epoch}:{step.iteration} step")
        self.steps.append(step)

    def state(self) -> ObserverState:
        self.calls.append(f"{self.name} saves")
        return ObserverState(values={"epochs": sum(step.ends_epoch for step in self.steps)})

    def finish(self) -> None:
        self.calls.append(f"{self.name} finishes")


class RandomMask(Observer):
    """Holds random weights of one layer at 0 at every step, and draws others every few iterations.

    What it carries: the mask, a generator of its own, a count, and the sum of the gradients since the last draw, by
    which it chooses which weights come back.
    """

    EVERY = 3

    def begin(self, run: TrainingRun) -> None:
        self.weight = run.module.get_submodule("body.conv2").weight
        self.generator = torch.Generator().manual_seed(run.settings.seed + 7)
        self.mask = torch.rand(self.weight.shape, generator=self.generator) < 0.5
        self.gradients = torch.zeros_like(self.weight)
        self.draws = 0

    def after_backward(self, step: Step) -> None:
        self.gradients += self.weight.grad.abs()

    def after_step(self, step: Step) -> None:
        if (step.iteration + 1) % self.EVERY == 0:
            self.mask = torch.rand(self.weight.shape, generator=self.generator) < 0.5
            self.mask.view(-1)[self.gradients.argmax()] = True
            self.gradients.zero_()
            self.draws += 1
        with torch.no_grad():
            self.weight.mul_(self.mask)

    def state(self) -> ObserverState:
        tensors = {"mask": self.mask, "gradients": self.gradients, "generator": self.generator.get_state()}
        return ObserverState(tensors, {"draws": self.draws})

    def restore(self, state: ObserverState) -> None:
        self.mask, self.gradients = state.tensors["mask"], state.tensors["gradients"]
        self.generator.set_state(state.tensors["generator"])
        self.draws = state.values["draws"]


class Rewinding(Observer):
    """Puts every parameter back to where it began at the end of chosen epochs, and lets the optimiser forget them."""

    def __init__(self, *epochs: int) -> None:
        self.epochs = epochs

    def begin(self, run: TrainingRun) -> None:
        self.first = {name: parameter.detach().clone() for name, parameter in run.module.named_parameters()}

    def after_step(self, step: Step) -> None:
        if step.ends_epoch and step.epoch in self.epochs:
            with torch.no_grad():
                for name, parameter in step.run.module.named_parameters():
                    parameter.copy_(self.first[name])
            step.run.optimizer.state.clear()

    def state(self) -> ObserverState:
        return ObserverState(self.first)

    def restore(self, state: ObserverState) -> None:
        self.first = dict(state.tensors)


class OwnUpdate(Observer):
    """Takes a layer away from the optimiser from an epoch on, and walks it down its gradient with noise of its own."""

    def __init__(self, layer: str, first_epoch: int = 0) -> None:
        self.layer = layer
        self.first_epoch = first_epoch

    def begin(self, run: TrainingRun) -> None:
        self.weight = run.module.get_submodule(self.layer).weight

    def after_backward(self, step: Step) -> None:
        self.gradient = self.weight.grad
        if step.epoch >= self.first_epoch:
            self.weight.grad = None

    def after_step(self, step: Step) -> None:
        if step.epoch >= self.first_epoch:
            with torch.no_grad():
                self.weight.sub_(0.1 * self.gradient + 1e-3 * torch.randn(self.weight.shape))


class StopError(Exception):
    """Stands for whatever ends a training early."""


def stop_after(batches: int):
    def progress(task: str, done: int, total: int, **figures: float) -> None:
        if done > batches:
            raise StopError

    return progress


def interrupted(folder: Path, recipe, data, *observers: Observer, batches: int = 6, settings=SETTINGS) -> None:
    """A training that is ended early, by default in its second epoch."""
    with pytest.raises(StopError):
        train(
            build(recipe, data.input_shape, 3),
            data,
            settings,
            folder,
            recipe,
            progress=stop_after(batches),
            observers=observers,
        )


def test_each_step_is_seen_at_its_three_moments_in_the_order_of_the_observers(tmp_path, network, recipe, data):
    calls: list[str] = []
    train(
        network, data, replace(SETTINGS, epochs=2), tmp_path, recipe, observers=[Diary("a", calls), Diary("b", calls)]
    )
    expected = ["a begins", "b begins"]
    for iteration in range(2 * PER_EPOCH):
        for moment in ("forward", "backward", "step"):
            expected += [f"{name} {iteration // PER_EPOCH}:{iteration} {moment}" for name in "ab"]
        if iteration % PER_EPOCH == PER_EPOCH - 1:
            expected += ["a saves", "b saves"]
    assert calls == [*expected, "b finishes", "a finishes"]


def test_a_step_shows_the_run_and_the_batch_that_the_network_saw(network, data):
    seen: list[torch.Tensor] = []
    diary = Diary("a", [])
    hook = network.register_forward_pre_hook(lambda module, args: seen.append(args[0]) if module.training else None)
    train(network, data, SETTINGS, observers=[diary])
    hook.remove()
    run = diary.steps[0].run
    assert (run.module, run.settings, run.iterations_per_epoch, run.iterations) == (network, SETTINGS, 4, 12)
    (group,) = run.optimizer.param_groups
    assert [id(each) for each in group["params"]] == [id(each) for each in network.parameters()]
    assert [step.iteration for step in diary.steps if step.ends_epoch] == [3, 7, 11]
    assert [step.iteration for step in diary.steps if step.begins_epoch] == [0, 4, 8]
    for step, frames in zip(diary.steps, seen, strict=True):
        assert step.frames is frames and step.labels.shape == (20,)
        assert step.run is run


def test_what_an_observer_does_to_gradients_and_weights_holds(network, data):
    weight = network.body.conv2.weight
    before = weight.detach().clone()

    class Freeze(Observer):
        def after_backward(self, step: Step) -> None:
            weight.grad[0] = 0

        def after_step(self, step: Step) -> None:
            with torch.no_grad():
                weight[1] = 0

    train(network, data, replace(SETTINGS, epochs=1, weight_decay=0.0), observers=[Freeze()])
    assert torch.equal(weight[0], before[0]) and not weight[1].any()
    assert not torch.equal(weight[2], before[2])


def test_an_observer_that_overrides_nothing_changes_nothing(tmp_path, recipe, data):
    plain, observed = build(recipe, data.input_shape, 3), build(recipe, data.input_shape, 3)
    train(plain, data, SETTINGS, tmp_path / "plain", recipe)
    train(observed, data, SETTINGS, tmp_path / "observed", recipe, observers=[Observer()])
    files = [tmp_path / name / "checkpoint.safetensors" for name in ("plain", "observed")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("batches", [4, 6, 9])
def test_a_mask_that_is_state_resumes_to_the_bytes_of_an_unbroken_run(tmp_path, recipe, data, batches):
    whole, broken = RandomMask(), RandomMask()
    module = build(recipe, data.input_shape, 3)
    train(module, data, SETTINGS, tmp_path / "whole", recipe, observers=[whole])
    interrupted(tmp_path / "broken", recipe, data, RandomMask(), batches=batches)
    resumed = build(recipe, data.input_shape, 3, seed=99)
    train(resumed, data, SETTINGS, tmp_path / "broken", recipe, resume=True, observers=[broken])

    files = [tmp_path / name / "checkpoint.safetensors" for name in ("whole", "broken")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert torch.equal(whole.mask, broken.mask) and whole.draws == broken.draws == 4
    assert 0.3 < whole.mask.float().mean() < 0.7
    assert not resumed.body.conv2.weight[~broken.mask].any()


def resumes_to_the_same_bytes(folder: Path, recipe, data, settings, batches: int, make) -> nn.Module:
    """Whether a training observed by `make()` that is ended after `batches` resumes to the bytes of an unbroken one.

    Returns the unbroken one's network.
    """
    module = build(recipe, data.input_shape, 3)
    train(module, data, settings, folder / "whole", recipe, observers=[make()])
    interrupted(folder / "broken", recipe, data, make(), batches=batches, settings=settings)
    resumed = build(recipe, data.input_shape, 3, seed=99)
    train(resumed, data, settings, folder / "broken", recipe, resume=True, observers=[make()])
    files = [folder / name / "checkpoint.safetensors" for name in ("whole", "broken")]
    assert files[0].read_bytes() == files[1].read_bytes()
    return module


@pytest.mark.parametrize("optimizer", names(OPTIMIZERS))
@pytest.mark.parametrize("batches", [4, 6, 9])
def test_weights_rewound_and_an_optimiser_cleared_at_an_epochs_end_resume_to_the_same_bytes(
    tmp_path, recipe, data, optimizer, batches
):
    settings = replace(SETTINGS, optimizer=optimizer)
    resumes_to_the_same_bytes(tmp_path, recipe, data, settings, batches, lambda: Rewinding(0, 1))


@pytest.mark.parametrize("optimizer", names(OPTIMIZERS))
def test_what_the_last_iteration_of_an_epoch_does_is_kept_with_it(tmp_path, network, recipe, data, optimizer):
    first = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    interrupted(tmp_path, recipe, data, Rewinding(0), settings=replace(SETTINGS, optimizer=optimizer))
    kept, _ = read_tensors(tmp_path / STATE)
    assert all(torch.equal(kept[f"module.{name}"], tensor) for name, tensor in first.items())
    assert not any(name.startswith("optimizer.") for name in kept)
    shown, _ = read_tensors(tmp_path / "checkpoint.safetensors")
    assert all(torch.equal(shown[name], tensor) for name, tensor in first.items())


@pytest.mark.parametrize("optimizer", names(OPTIMIZERS))
@pytest.mark.parametrize(("batches", "first_epoch"), [(4, 0), (6, 1), (9, 1)])
def test_parameters_that_an_observer_updates_itself_resume_to_the_same_bytes(
    tmp_path, recipe, data, optimizer, batches, first_epoch
):
    """Those that the optimiser never had a gradient of, and those that it lost at an epoch, with their state."""
    settings = replace(SETTINGS, optimizer=optimizer)
    resumes_to_the_same_bytes(
        tmp_path, recipe, data, settings, batches, lambda: OwnUpdate("body.conv2", first_epoch=first_epoch)
    )


@pytest.mark.parametrize("optimizer", names(OPTIMIZERS))
def test_a_parameter_without_a_gradient_is_left_alone_by_the_optimiser(network, data, optimizer):
    class NoGradient(Observer):
        def after_backward(self, step: Step) -> None:
            step.run.module.stem.conv1.weight.grad = None
            step.run.module.stem.norm1.weight.grad = None

    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    train(network, data, replace(SETTINGS, optimizer=optimizer, weight_decay=0.1), observers=[NoGradient()])
    same = {name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])}
    assert same == {"stem.conv1.weight", "stem.norm1.weight"}


@pytest.mark.parametrize("optimizer", names(OPTIMIZERS))
def test_a_learning_rate_that_an_observer_sets_holds_for_one_iteration(network, data, optimizer):
    class Pause(Observer):
        """A rate of 0 in every second iteration, in which nothing may move."""

        def begin(self, run: TrainingRun) -> None:
            self.rates: list[float] = []

        def before_forward(self, step: Step) -> None:
            (group,) = step.run.optimizer.param_groups
            self.rates.append(group["lr"])

        def after_backward(self, step: Step) -> None:
            if step.iteration % 2:
                step.run.optimizer.param_groups[0]["lr"] = 0.0
            self.before = [parameter.detach().clone() for parameter in step.run.module.parameters()]

        def after_step(self, step: Step) -> None:
            moved = [not torch.equal(*pair) for pair in zip(step.run.module.parameters(), self.before, strict=True)]
            assert not any(moved) if step.iteration % 2 else all(moved)

    pause, settings = Pause(), replace(SETTINGS, optimizer=optimizer)
    train(network, data, settings, observers=[pause])
    assert pause.rates == [
        settings.learning_rate(iteration // PER_EPOCH, iteration % PER_EPOCH / PER_EPOCH)
        for iteration in range(3 * PER_EPOCH)
    ]


def test_a_resumed_observer_begins_and_then_goes_on_from_its_state(tmp_path, recipe, data):
    interrupted(tmp_path, recipe, data, Diary("a", []))
    calls: list[str] = []
    resumed = build(recipe, data.input_shape, 3)
    train(resumed, data, SETTINGS, tmp_path, recipe, resume=True, observers=[Diary("a", calls)])
    assert calls[:3] == ["a begins", "a goes on from 1", f"a 1:{PER_EPOCH} forward"]


def test_observers_finish_when_training_fails_and_only_those_that_began(network, data):
    class Unable(Diary):
        def begin(self, run: TrainingRun) -> None:
            raise StopError

    calls: list[str] = []
    with pytest.raises(StopError):
        train(network, data, SETTINGS, progress=stop_after(0), observers=[Diary("a", calls)])
    assert calls == ["a begins", "a 0:0 forward", "a 0:0 backward", "a 0:0 step", "a finishes"]
    calls.clear()
    with pytest.raises(StopError):
        train(network, data, SETTINGS, observers=[Diary("a", calls), Unable("b", calls), Diary("c", calls)])
    assert calls == ["a begins", "a finishes"]


@pytest.mark.parametrize(
    ("before", "now", "sentence"),
    [
        (["a", "b"], ["a"], "was started with the observers a, b, but resuming has the observers a: give the same obs"),
        (["a"], [], r"was started with the observers a, but resuming has no observers: give the same observers in the"),
        (
            [],
            ["a"],
            "was started with no observers, but resuming has the observers a: give the same observers in the s",
        ),
        (["a", "b"], ["b", "a"], "with the observers a, b, but resuming has the observers b, a: give the same obse"),
    ],
)
def test_a_training_is_resumed_with_the_observers_that_it_was_started_with(
    tmp_path, recipe, data, before, now, sentence
):
    interrupted(tmp_path, recipe, data, *(Diary(name, []) for name in before))
    module = build(recipe, data.input_shape, 3, seed=99)
    untouched = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(InputError, match=sentence):
        train(module, data, SETTINGS, tmp_path, recipe, resume=True, observers=[Diary(name, []) for name in now])
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in module.state_dict().items())


def damaged(folder: Path, drop: str = "", observers: str | None = None) -> None:
    tensors, metadata = read_tensors(folder / STATE)
    if observers is not None:
        metadata["observers"] = observers
    write_tensors(folder / STATE, {name: value for name, value in tensors.items() if name != drop}, metadata)


def test_a_state_that_an_observer_cannot_go_on_from_is_said(tmp_path, network, recipe, data):
    interrupted(tmp_path, recipe, data, RandomMask())
    damaged(tmp_path, drop="observer.0.mask")
    sentence = (
        r"training\.safetensors is not a state that the observer RandomMask can go on from \('mask' is missing\): "
        "train without --resume"
    )
    with pytest.raises(InputError, match=sentence):
        train(network, data, SETTINGS, tmp_path, recipe, resume=True, observers=[RandomMask()])


@pytest.mark.parametrize("observers", ["{", "[1]", '[["a"]]', '[["a", 3]]'])
def test_a_list_of_observers_that_is_none_is_said(tmp_path, network, recipe, data, observers):
    interrupted(tmp_path, recipe, data, RandomMask())
    damaged(tmp_path, observers=observers)
    with pytest.raises(InputError, match=r"training\.safetensors is not the record of a training \("):
        train(network, data, SETTINGS, tmp_path, recipe, resume=True, observers=[RandomMask()])


def test_two_observers_of_one_name_are_refused(network, data):
    sentence = "2 observers of one training are called Observer: give each a name of its own"
    with pytest.raises(InputError, match=sentence):
        train(network, data, SETTINGS, observers=[Observer(), Observer()])


def test_potentials_can_be_recorded_by_hooks_that_are_gone_afterwards(network: nn.Module, data):
    """As scores need them that are gathered in training: the input of neurons while this batch is learned."""

    class Currents(Observer):
        def begin(self, run: TrainingRun) -> None:
            self.found: list[float] = []
            self.wanted = False
            self.hook = run.module.get_submodule("body.neuron2").register_forward_pre_hook(self._record)

        def _record(self, neurons: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            if self.wanted:
                self.current = args[0].detach()

        def before_forward(self, step: Step) -> None:
            self.wanted = step.iteration % 2 == 0
            self.current = torch.empty(0, 0)

        def after_backward(self, step: Step) -> None:
            self.found.append(float(self.current.shape[1] == len(step.labels)))

        def finish(self) -> None:
            self.hook.remove()

    currents = Currents()
    train(network, data, SETTINGS, observers=[currents])
    assert currents.found == [1.0, 0.0] * (3 * PER_EPOCH // 2)
    assert not network.body.neuron2._forward_pre_hooks


def test_without_observers_the_file_says_nothing_of_them(tmp_path, recipe, data):
    interrupted(tmp_path, recipe, data)
    with safe_open(tmp_path / STATE, framework="pt") as file:
        assert sorted(file.metadata()) == ["command", "earlier", "history", "settings"]
