"""Training: it learns, repeats itself, and says in a sentence when it cannot go on."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.choices import names
from neuroprune.data.coding import frames_of
from neuroprune.data.hold_out import hold_out
from neuroprune.data.types import Augmentation, Dataset, Split, make_dataset
from neuroprune.errors import InputError, OutputError
from neuroprune.networks.build import build
from neuroprune.networks.catalog import LOSSES, OPTIMIZERS
from neuroprune.networks.recipe import parse_recipe
from neuroprune.runs import is_unfinished
from neuroprune.training import samples, train as training
from neuroprune.training.checkpoint import load_checkpoint, restore
from neuroprune.training.evaluate import measure_accuracy
from neuroprune.training.loss import loss_of
from neuroprune.training.observer import Observer
from neuroprune.training.resume import Keeping, read_unfinished
from neuroprune.training.settings import TrainSettings
from neuroprune.training.tensors import read_tensors, write_tensors
from neuroprune.training.train import train

SETTINGS = TrainSettings(epochs=3, batch=20, lr=0.02, device="cpu", l1=1e-4)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("optimizer", names(OPTIMIZERS))
def test_a_network_learns(network, data, optimizer):
    lr = {"adamw": 0.02, "sgd": 0.2}[optimizer]
    result = train(network, data, replace(SETTINGS, epochs=8, optimizer=optimizer, lr=lr))
    assert result.history[-1].loss < result.history[0].loss
    assert result.history[-1].test_accuracy > 0.9
    assert result.module is network and not network.training


@pytest.mark.parametrize("loss", names(LOSSES))
def test_a_network_learns_by_each_loss(network, data, loss):
    result = train(network, data, replace(SETTINGS, epochs=8, loss=loss))
    assert result.history[-1].loss < result.history[0].loss
    assert result.history[-1].test_accuracy > 0.7  # chance is a third


def test_the_losses_are_those_stated():
    rates, labels = torch.tensor([[0.5, 0.25, 0.0], [1.0, 0.0, 0.75]]), torch.tensor([0, 2])
    squares = [0.5**2, 0.25**2, 0.0, 1.0, 0.0, 0.25**2]
    assert float(loss_of(rates, labels, TrainSettings(loss="mse"))) == pytest.approx(sum(squares) / 6)
    logits = [[5 * rate for rate in row] for row in rates.tolist()]
    shares = [math.exp(row[label]) / sum(map(math.exp, row)) for row, label in zip(logits, (0, 2), strict=True)]
    expected = -sum(map(math.log, shares)) / 2
    assert float(loss_of(rates, labels, TrainSettings(loss="cross-entropy"))) == pytest.approx(expected)


def test_a_loss_is_computed_in_float32_whatever_the_network_returns():
    rates, labels = torch.tensor([[0.5, 0.25]], dtype=torch.bfloat16), torch.tensor([1])
    for loss in names(LOSSES):
        assert loss_of(rates, labels, TrainSettings(loss=loss)).dtype is torch.float32


def test_the_last_record_is_of_the_network_that_is_returned(network, data):
    result = train(network, data, SETTINGS)
    measured = measure_accuracy(network, data.test.images, data.test.labels, data.coding)
    assert result.history[-1].test_accuracy == measured
    assert [record.epoch for record in result.history] == [1, 2, 3]


def test_a_seed_decides_all_numbers(network, recipe, data):
    again, other = build(recipe, data.input_shape, 3), build(recipe, data.input_shape, 3)
    torch.manual_seed(1)
    train(network, data, SETTINGS)
    torch.manual_seed(2)
    train(again, data, SETTINGS)
    train(other, data, replace(SETTINGS, seed=1))
    assert equal(state(network), state(again))
    assert not equal(state(network), state(other))


def test_training_leaves_the_global_generator_alone(network, data):
    before = torch.get_rng_state()
    train(network, data, replace(SETTINGS, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_counts_every_batch_with_its_figures(network, data):
    calls = []
    train(
        network,
        data,
        SETTINGS,
        progress=lambda task, done, total, **figures: calls.append((task, done, total, figures)),
    )
    steps = 96 // 20
    assert [call[:3] for call in calls] == [("training", done, 3 * steps) for done in range(1, 3 * steps + 1)]
    assert calls[-1][3].keys() == {"epoch", "loss", "accuracy", "images_per_s"}


def test_l1_adds_lambda_times_the_sign_of_gamma(recipe, data):
    gradients = {}
    for strength in (0.0, 0.25):
        module = build(recipe, data.input_shape, 3)
        with torch.no_grad():
            module.stem.norm1.weight[0] = -0.5
        found = gradients[strength] = {}

        class Keep(Observer):
            def after_backward(self, step, found=found):
                found.update({name: parameter.grad.clone() for name, parameter in step.run.module.named_parameters()})
                raise StopIteration

        with pytest.raises(StopIteration):
            train(module, data, replace(SETTINGS, l1=strength), observers=[Keep()])
    for name, plain in gradients[0.0].items():
        difference = gradients[0.25][name] - plain
        if name.endswith(("norm1.weight", "norm2.weight")):
            signs = torch.ones_like(plain)
            signs[0] = -1 if name == "stem.norm1.weight" else 1
            assert torch.allclose(difference, 0.25 * signs, atol=1e-6)
        else:
            assert not difference.any()


def test_frames_are_varied_only_when_asked(network, data, monkeypatch):
    used = []
    original = samples.augment
    monkeypatch.setattr(samples, "augment", lambda images, how, g: used.append(how) or original(images, how, g))
    train(network, data, replace(SETTINGS, epochs=1, augment=False))
    assert {(how.shift, how.flip) for how in used} == {(0, False)}
    used.clear()
    train(network, data, replace(SETTINGS, epochs=1))
    assert set(used) == {data.augmentation}


def test_a_batch_larger_than_the_data_is_all_of_it(network, data):
    calls = []
    train(network, data, replace(SETTINGS, batch=1000), progress=lambda task, done, total, **_: calls.append(total))
    assert calls == [3, 3, 3]


def test_automatic_mixed_precision_trains(network, data):
    assert train(network, data, replace(SETTINGS, amp=True)).history[-1].loss < 1.2


# --- sequences -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moving() -> Dataset:
    """Recordings of 3x5 pixels, 6 steps, two polarities: something that goes right, or left; no frame tells which."""
    counts, labels = np.random.default_rng(0).integers(0, 2, (60, 6, 2, 3, 5), dtype=np.uint8), np.arange(60) % 2
    for sample, label in enumerate(labels):
        for step in range(5):
            counts[sample, step, sample // 2 % 2, :, step if label else 4 - step] += 6
    train_split, test_split = Split(counts[:40], labels[:40]), Split(counts[40:], labels[40:])
    return make_dataset("moving", train_split, test_split, ("left", "right"), Augmentation(1))


class Rates(nn.Module):
    """A network that takes whatever comes, and keeps what it was given."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = nn.LazyLinear(classes)
        self.given: list[torch.Tensor] = []

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        self.given.append(frames)
        return self.linear(frames.transpose(0, 1).flatten(1) if frames.ndim == 5 else frames.flatten(1))


def test_a_network_learns_from_recordings_what_no_single_frame_tells(moving):
    layers = [{"conv": 8}]
    recipe = parse_recipe({"name": "tiny", "title": "t", "data": "moving", "steps": 6, "layers": layers}, "tiny")
    result = train(build(recipe, moving.input_shape, 2), moving, replace(SETTINGS, epochs=16, lr=0.05))
    assert result.history[-1].test_accuracy > 0.9


def test_recordings_reach_the_network_as_their_counts_with_the_steps_first(moving):
    module = Rates(2)
    train(module, moving, replace(SETTINGS, epochs=1, batch=40, augment=False))
    frames = module.given[1]
    assert frames.shape == (6, 40, 2, 3, 5)
    found = sorted(frames[:, index].numpy().tobytes() for index in range(40))
    assert found == sorted(counts.astype(np.float32).tobytes() for counts in moving.train.images)


@pytest.mark.parametrize("kind", ["poisson", "latency"])
def test_coded_images_are_spikes_that_only_poisson_draws_anew(data, kind):
    coded = make_dataset("bars", data.train, data.test, data.classes, coding=kind, steps=4)
    module = Rates(3)
    train(module, coded, replace(SETTINGS, epochs=2, batch=96))
    _, first, first_test, second, second_test = module.given
    assert first.shape == (4, 96, 1, 6, 6) and set(first.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first_test, second_test)

    def by_sample(frames: torch.Tensor) -> set[bytes]:
        return {frames[:, index].contiguous().numpy().tobytes() for index in range(96)}

    assert (by_sample(first) == by_sample(second)) == (kind == "latency")


def test_for_a_network_that_takes_no_sequences_the_error_names_their_shape(moving):
    class Frames(nn.Conv2d):
        pass

    sentence = (
        r"network Frames cannot take sequences \[6, N, C, H, W\] with frames of \(2, 3, 5\) \(channels, height, width\)"
    )
    with pytest.raises(InputError, match=sentence):
        train(Frames(2, 2, 3), moving, SETTINGS)


# --- samples held out ------------------------------------------------------------------------------------------------


def test_samples_held_out_are_those_of_every_epoch_and_the_test_split_is_read_once(network, data, monkeypatch):
    read = []
    original = training.measure_split

    def watched(module, split, *arguments):
        read.append(len(split))
        return original(module, split, *arguments)

    monkeypatch.setattr(training, "measure_split", watched)
    history = train(network, data, replace(SETTINGS, validation=0.25)).history
    assert sorted(read) == [24, 24, 24, 30] and set(read[:2]) == {24}
    assert [record.test_accuracy is None for record in history] == [True, True, False]
    held = hold_out(data, 0.25)
    last = history[-1]
    for split, found, loss in (
        (held.validation, last.validation_accuracy, last.validation_loss),
        (held.test, last.test_accuracy, last.test_loss),
    ):
        assert found == measure_accuracy(network, split.images, split.labels, data.coding)
        with torch.no_grad():
            rates = 5 * network(torch.tensor(frames_of(split.images, data.coding))).double().numpy()
        functional.reset_net(network)
        shares = np.exp(rates) / np.exp(rates).sum(1, keepdims=True)
        expected = -np.log(shares[np.arange(len(split)), split.labels]).mean()
        assert loss == pytest.approx(expected, rel=1e-5)


def test_nothing_is_learned_from_samples_that_are_held_out(recipe, data):
    first, second, third = (build(recipe, data.input_shape, 3) for _ in range(3))
    held = hold_out(data, 0.25)
    train(first, data, replace(SETTINGS, validation=0.25))
    train(second, replace(held, validation=None), SETTINGS)
    train(third, replace(held, validation=Split(255 - held.validation.images, held.validation.labels)), SETTINGS)
    assert equal(state(first), state(second)) and equal(state(first), state(third))


def test_progress_shows_the_accuracy_on_the_samples_held_out(network, data):
    calls = []
    result = train(
        network, data, replace(SETTINGS, validation=0.25), progress=lambda t, done, n, **figures: calls.append(figures)
    )
    assert "validation" not in calls[0]
    shown = {figures["epoch"]: figures["validation"] for figures in calls if figures["epoch"] > 1}
    assert shown == {2: result.history[0].validation_accuracy, 3: result.history[1].validation_accuracy}


@pytest.mark.parametrize("batches", [5, 8])
def test_a_training_with_samples_held_out_resumes_to_the_same_records(tmp_path, recipe, data, batches):
    settings = replace(SETTINGS, validation=0.25)
    unbroken, first, resumed = (build(recipe, data.input_shape, 3) for _ in range(3))
    expected = train(unbroken, data, settings).history
    with pytest.raises(StopError):
        train(first, data, settings, tmp_path, recipe, progress=stop_after(batches))
    found = train(resumed, data, settings, tmp_path, recipe, resume=True).history
    assert [replace(record, seconds=0) for record in found] == [replace(record, seconds=0) for record in expected]
    assert equal(state(resumed), state(unbroken))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["test_accuracy"] for line in lines[:2]] == [None, None]
    assert [line["validation_accuracy"] for line in lines] == [record.validation_accuracy for record in found]


def test_resuming_holds_out_the_same_share(tmp_path, network, recipe, data):
    with pytest.raises(StopError):
        train(network, data, replace(SETTINGS, validation=0.25), tmp_path, recipe, progress=stop_after(5))
    with pytest.raises(InputError, match=r"was started with validation = 0.25, but resuming asks for 0.1: give the"):
        train(network, data, replace(SETTINGS, validation=0.1), tmp_path, recipe, resume=True)


# --- interrupted and resumed -----------------------------------------------------------------------------------------


class StopError(Exception):
    """Stands for whatever ends a training early."""


def stop_after(batches: int, error: type[BaseException] = StopError):
    def progress(task: str, done: int, total: int, **figures: float) -> None:
        if done > batches:
            raise error

    return progress


@pytest.mark.parametrize("optimizer", names(OPTIMIZERS))
@pytest.mark.parametrize("batches", [4, 6, 9])
def test_a_resumed_run_ends_with_the_numbers_of_an_unbroken_one(tmp_path, recipe, data, optimizer, batches):
    settings = replace(SETTINGS, optimizer=optimizer)
    unbroken = build(recipe, data.input_shape, 3)
    expected = train(unbroken, data, settings)

    with pytest.raises(StopError):
        first = build(recipe, data.input_shape, 3)
        train(first, data, settings, tmp_path, recipe, progress=stop_after(batches))
    resumed = build(recipe, data.input_shape, 3, seed=99)
    found = train(resumed, data, settings, tmp_path, recipe, resume=True)

    assert equal(state(resumed), state(unbroken))
    assert [replace(record, seconds=0) for record in found.history] == [
        replace(record, seconds=0) for record in expected.history
    ]
    checkpoint = load_checkpoint(tmp_path)
    assert equal(state(restore(checkpoint)), state(unbroken))
    assert checkpoint.history == found.history


def test_ctrl_c_keeps_the_last_finished_epoch(tmp_path, network, recipe, data):
    with pytest.raises(KeyboardInterrupt):
        train(network, data, SETTINGS, tmp_path, recipe, progress=stop_after(6, KeyboardInterrupt))
    checkpoint = load_checkpoint(tmp_path)
    assert len(checkpoint.history) == 1
    restored = restore(checkpoint)
    measured = measure_accuracy(restored, data.test.images, data.test.labels, data.coding)
    assert measured == checkpoint.history[-1].test_accuracy
    assert [json.loads(line)["epoch"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1]


def test_ctrl_c_while_saving_saves_the_whole_epoch_first(tmp_path, network, recipe, data, monkeypatch):
    original, calls = training.save_state, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(*args)

    monkeypatch.setattr(training, "save_state", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(network, data, SETTINGS, tmp_path, recipe)
    resumed = build(recipe, data.input_shape, 3)
    batches = []
    train(resumed, data, SETTINGS, tmp_path, recipe, resume=True, progress=lambda t, done, n, **_: batches.append(done))
    assert batches[0] == 2 * (96 // 20) + 1


def test_a_finished_run_keeps_no_state_to_resume_from(tmp_path, network, recipe, data):
    train(network, data, SETTINGS, tmp_path, recipe)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.json", "checkpoint.safetensors", "metrics.jsonl"}
    with pytest.raises(
        InputError, match=r"holds no training\.safetensors, so nothing that could be resumed: train without"
    ):
        train(network, data, SETTINGS, tmp_path, recipe, resume=True)


def killed_before(name: str, monkeypatch, folder: Path, times: int = 1):
    """Stop before the file `name` is moved into `folder` for the time `times`, with no chance to tidy up."""
    original, seen = Path.replace, []

    def replace_or_stop(self, target):
        seen.extend([target] * (target == folder / name))
        if target == folder / name and len(seen) == times:
            raise StopError
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_stop)


@pytest.mark.parametrize("name", ["training.safetensors", "checkpoint.safetensors", "metrics.jsonl", "checkpoint.json"])
@pytest.mark.parametrize("epoch", [2, 3])
def test_a_training_killed_between_two_files_ends_as_an_unbroken_one(tmp_path, recipe, data, monkeypatch, name, epoch):
    unbroken, broken, resumed = (build(recipe, data.input_shape, 3) for _ in range(3))
    train(unbroken, data, SETTINGS, tmp_path / "unbroken", recipe)
    with monkeypatch.context() as patch, pytest.raises(StopError):
        killed_before(name, patch, tmp_path / "broken", epoch)
        train(broken, data, SETTINGS, tmp_path / "broken", recipe)
    assert is_unfinished(tmp_path / "broken")
    train(resumed, data, SETTINGS, tmp_path / "broken", recipe, resume=True)
    assert not is_unfinished(tmp_path / "broken")
    expected = (tmp_path / "unbroken" / "checkpoint.safetensors").read_bytes()
    assert (tmp_path / "broken" / "checkpoint.safetensors").read_bytes() == expected
    assert len(load_checkpoint(tmp_path / "broken").history) == SETTINGS.epochs


def test_a_checkpoint_is_never_there_without_its_state_while_training_is_under_way(
    tmp_path, network, recipe, data, monkeypatch
):
    original, seen = Path.replace, []

    def watch(self, target):
        seen.append(((tmp_path / "training.safetensors").exists(), target.name))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    train(network, data, SETTINGS, tmp_path, recipe)
    assert seen[0] == (False, "training.safetensors")
    assert all(there for there, _ in seen[1:]) and len(seen) == 4 * SETTINGS.epochs


def test_a_run_of_another_command_is_not_resumed(tmp_path, recipe, data, network):
    keeping = Keeping(tmp_path, recipe, "compress", from_start=True)
    with pytest.raises(StopError):
        training.train_unfinished(network, data, SETTINGS, keeping, progress=stop_after(5))
    sentence = r"was started by `neuroprune compress`, not by train: resume it with `neuroprune compress --resume "
    with pytest.raises(InputError, match=sentence):
        train(network, data, SETTINGS, tmp_path, recipe, resume=True)


def test_an_unfinished_run_says_how_far_it_is(tmp_path, recipe, data, network):
    with pytest.raises(StopError):
        train(network, data, SETTINGS, tmp_path, recipe, progress=stop_after(5))
    found = read_unfinished(tmp_path)
    assert (found.command, found.epochs, len(found.history)) == ("train", 3, 1)
    write_tensors(tmp_path / "training.safetensors", {"a": torch.zeros(1)})
    with pytest.raises(
        InputError, match=r"is not the record of a training \('settings' is missing\): start it without"
    ):
        read_unfinished(tmp_path)


def test_resuming_with_other_settings_is_refused(tmp_path, network, recipe, data):
    with pytest.raises(StopError):
        train(network, data, SETTINGS, tmp_path, recipe, progress=stop_after(5))
    sentence = (
        "was started with lr = 0.02, but resuming asks for 0.5: give the same settings, or train without --resume"
    )
    with pytest.raises(InputError, match=sentence):
        train(network, data, replace(SETTINGS, lr=0.5), tmp_path, recipe, resume=True)


def test_resuming_on_another_device_is_allowed(tmp_path, network, recipe, data):
    with pytest.raises(StopError):
        train(network, data, SETTINGS, tmp_path, recipe, progress=stop_after(5))
    assert len(train(network, data, replace(SETTINGS, device="auto"), tmp_path, recipe, resume=True).history) == 3


def test_a_training_that_was_started_before_a_setting_was_there_is_resumed(tmp_path, network, recipe, data):
    with pytest.raises(StopError):
        train(network, data, SETTINGS, tmp_path, recipe, progress=stop_after(5))
    path = tmp_path / "training.safetensors"
    tensors, metadata = read_tensors(path)
    started = json.loads(metadata["settings"])
    assert started.pop("loss") == "cross-entropy"
    write_tensors(path, tensors, {**metadata, "settings": json.dumps(started)})
    with pytest.raises(InputError, match="was started with loss = 'cross-entropy', but resuming asks for mse"):
        train(network, data, replace(SETTINGS, loss="mse"), tmp_path, recipe, resume=True)
    assert len(train(network, data, SETTINGS, tmp_path, recipe, resume=True).history) == 3


def test_a_state_without_its_record_is_refused(tmp_path, network, recipe, data):
    write_tensors(tmp_path / "training.safetensors", {"a": torch.zeros(1)})
    with pytest.raises(
        InputError, match=r"training\.safetensors is not the record of a training \('settings' is missing\): train with"
    ):
        train(network, data, SETTINGS, tmp_path, recipe, resume=True)


# --- what cannot be trained ------------------------------------------------------------------------------------------


def test_a_folder_with_a_checkpoint_is_not_overwritten(tmp_path, network, recipe, data):
    train(network, data, replace(SETTINGS, epochs=1), tmp_path, recipe)
    with pytest.raises(
        InputError, match="already holds a checkpoint: resume it with --resume, or choose another folder"
    ):
        train(network, data, SETTINGS, tmp_path, recipe)


def test_a_checkpoint_needs_to_know_its_model(tmp_path, network, data):
    with pytest.raises(
        InputError, match=r"a checkpoint must say how its network is built: pass model, a recipe or 'fi"
    ):
        train(network, data, SETTINGS, tmp_path)


def test_frames_the_network_cannot_take_are_refused(network, data):
    colour = make_dataset("colour", *[Split(np.zeros((9, 3, 6, 6)), np.zeros(9))] * 2, data.classes)
    sentence = (
        r"network SpikingNetwork cannot take frames of \(3, 6, 6\) \(channels, height, width\), those of colour \(.*"
    )
    with pytest.raises(InputError, match=sentence):
        train(network, colour, SETTINGS)


def test_a_network_without_one_output_per_class_is_refused(recipe, data):
    module = build(recipe, data.input_shape, 4)
    sentence = (
        r"returns the shape \(2, 4\) for 2 samples, but data set bars needs \(2, 3\) \(samples, classes\): give it one"
    )
    with pytest.raises(InputError, match=sentence):
        train(module, data, SETTINGS)


class Odd(nn.Module):
    """A network that answers as it is told."""

    def __init__(self, answer, training_answer=None, weights=True) -> None:
        super().__init__()
        self.linear = nn.Linear(36, 3) if weights else nn.Identity()
        self.answer, self.training_answer = answer, training_answer or answer

    def forward(self, frames):
        answer = self.training_answer if self.training else self.answer
        return answer(self.linear(frames.flatten(1)))


def fails(rates):
    raise KeyError("no such key")


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (
            Odd(lambda rates: (rates, rates)),
            r"network Odd returns a tuple for 2 samples, but data set bars needs \(2, 3\)",
        ),
        (Odd(lambda rates: None), "network Odd returns a NoneType for 2 samples"),
        (Odd(lambda rates: rates.tolist()), "network Odd returns a list for 2 samples"),
        (Odd(fails), r"network Odd cannot take frames of \(1, 6, 6\) .* \(KeyError: 'no such key'\): choose another"),
        (
            Odd(lambda rates: rates, lambda rates: (rates, rates)),
            r"network Odd returns a tuple for 20 samples in training, but needs \(20, 3\) \(samples, classes\): let it",
        ),
        (
            Odd(lambda rates: (rates > 0).float()),
            "network Odd returns rates without a gradient, so nothing can be trained: give its neurons a surrogate",
        ),
        (
            Odd(lambda rates: rates[:, :3], weights=False),
            "network Odd has 0 parameters to train, but needs at least 1: give it layers with weights",
        ),
    ],
)
def test_whatever_a_class_returns_or_raises_is_one_sentence(data, module, sentence):
    with pytest.raises(InputError, match=sentence):
        train(module, data, SETTINGS)


def test_a_diverging_training_says_so_and_keeps_what_was_whole(tmp_path, network, recipe, data):
    class SpoilTheSixth(Observer):
        def after_step(self, step):
            if step.iteration == 5:
                with torch.no_grad():
                    step.run.module.body.classifier.weight.fill_(torch.nan)

    sentence = (
        r"training diverged in epoch 2: tensor stem\.conv1\.weight holds values that are not finite; lower the lea"
    )
    with pytest.raises(InputError, match=sentence):
        train(network, data, SETTINGS, tmp_path, recipe, observers=[SpoilTheSixth()])
    assert len(load_checkpoint(tmp_path).history) == 1
    restore(load_checkpoint(tmp_path))


def test_a_full_disk_is_said_and_nothing_half_written_stays(tmp_path, network, recipe, data, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neuroprune.training.tensors.save_file", full)
    with pytest.raises(OutputError, match=r"training\.safetensors could not be written \(No space left on device\)"):
        train(network, data, SETTINGS, tmp_path, recipe)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        (
            "optimizer.0.exp_avg",
            torch.zeros(3),
            r"exp_avg of parameter 0 is not of finite numbers in the shape \(4, 1, 3",
        ),
        ("optimizer.0.exp_avg", torch.full((4, 1, 3, 3), torch.nan), "exp_avg of parameter 0 is not of finite numbers"),
        ("optimizer.0.step", torch.tensor(1), r"step of parameter 0 is not of finite numbers in the shape \(\)"),
        ("optimizer.0.other", torch.zeros(1), r"parameter 0 of \d+ has the state \["),
        ("optimizer.99.step", torch.tensor(1.0), r"parameter 99 of \d+ has the state \['step'\]"),
        ("optimizer.x.step", torch.tensor(1.0), "invalid literal for int"),
    ],
)
def test_a_state_that_no_optimiser_can_go_on_from_is_refused(tmp_path, network, recipe, data, name, tensor, reason):
    adamw = replace(SETTINGS, optimizer="adamw")
    with pytest.raises(StopError):
        train(network, data, adamw, tmp_path, recipe, progress=stop_after(5))
    path = tmp_path / "training.safetensors"
    tensors, metadata = read_tensors(path)
    write_tensors(path, {**tensors, name: tensor}, metadata)
    with pytest.raises(InputError, match=rf"is not a state that its optimiser can go on from \({reason}"):
        train(network, data, adamw, tmp_path, recipe, resume=True)
