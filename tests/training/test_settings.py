"""Training settings: checked, taken from recipes, and turned into learning rates."""

import math
from dataclasses import replace

import pytest
import torch

from neuroprune.errors import InputError
from neuroprune.networks.recipe import FineTuning, Training, load_recipe
from neuroprune.training import settings as settings_module
from neuroprune.training.settings import (
    TrainSettings,
    computes_bfloat16,
    fine_tuning_of,
    pick_device,
    settings_of,
)


def test_cosine_falls_from_the_rate_to_zero_over_all_epochs():
    settings = TrainSettings(epochs=4, lr=0.2)
    assert settings.learning_rate(0, 0.0) == 0.2
    assert math.isclose(settings.learning_rate(2, 0.0), 0.1)
    assert math.isclose(settings.learning_rate(3, 1.0), 0.0, abs_tol=1e-12)


def test_step_cuts_the_rate_to_a_tenth_at_each_milestone():
    settings = TrainSettings(epochs=4, lr=0.3, schedule="step", milestones=(1, 3))
    assert [settings.learning_rate(epoch, 0.9) for epoch in range(4)] == pytest.approx([0.3, 0.03, 0.03, 0.003])


def test_a_recipe_gives_defaults_that_can_be_changed():
    recipe = load_recipe("vgg16")
    settings = settings_of(recipe, epochs=3, seed=7)
    assert (settings.epochs, settings.seed, settings.lr, settings.milestones) == (3, 7, 0.3, (80, 120))


def test_fine_tuning_is_as_the_training_was_but_for_its_epochs_rate_and_no_l1():
    recipe = load_recipe("vgg16")
    training = settings_of(recipe, batch=32, seed=7)
    fine = fine_tuning_of(training, recipe.fine_tuning)
    assert (training.l1, fine.l1) == (1e-4, 0.0)
    assert (fine.epochs, fine.lr) == (recipe.fine_tuning.epochs, recipe.fine_tuning.lr)
    assert (fine.batch, fine.seed, fine.milestones) == (32, 7, (80, 120))
    held = fine_tuning_of(replace(training, validation=0.2, loss="mse", label_smoothing=0.0), recipe.fine_tuning)
    assert (held.validation, held.loss) == (0.2, "mse")
    assert fine_tuning_of(training, recipe.fine_tuning, epochs=2).epochs == 2


def test_the_defaults_of_recipes_and_of_settings_are_the_same():
    assert TrainSettings(**Training().model_dump()) == TrainSettings()
    assert FineTuning().model_fields_set == set()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 0}, "training setting epochs is 0, but must be at least 1: give a larger one"),
        ({"batch": -1}, "training setting batch is -1, but must be at least 1"),
        ({"seed": -1}, "training setting seed is -1, but must be at least 0"),
        ({"seed": 2**63}, r"training setting seed is 9223372036854775808, but must be below 2\^63: give a smaller one"),
        ({"l1": math.nan}, "training setting l1 is nan, but must be at least 0"),
        ({"weight_decay": -0.1}, "training setting weight_decay is -0.1, but must be at least 0"),
        ({"lr": 0.0}, "training setting lr is 0.0, but must lie above 0: give one such as 0.001"),
        ({"momentum": 1.0}, "training setting momentum is 1.0, but must be at least 0 and below 1: correct it"),
        ({"label_smoothing": -0.1}, "training setting label_smoothing is -0.1, but must be at least 0 and below 1"),
        ({"optimizer": "lion"}, "there is no optimizer 'lion': choose one of adamw, sgd"),
        ({"schedule": "linear"}, "there is no schedule 'linear': choose one of cosine, step"),
        (
            {"validation": -0.1},
            "a share of -0.1 of the training samples cannot be held out for validation: it must be at least 0 and at "
            "most 0.5, such as 0.1",
        ),
        ({"validation": 0.51}, "a share of 0.51 of the training samples cannot be held out for validation: it must be"),
        ({"validation": math.nan}, "a share of nan of the training samples cannot be held out for validation"),
        ({"loss": "hinge"}, "there is no loss 'hinge': choose one of cross-entropy, mse"),
        (
            {"loss": "mse", "label_smoothing": 0.1},
            "training setting label_smoothing is 0.1, but must be 0 with the loss mse, since only the cross-entropy is "
            "smoothed: give --label-smoothing 0, or take the loss cross-entropy",
        ),
        ({"schedule": "step"}, "the schedule step has 0 milestones, but needs at least 1: name the epochs"),
    ],
)
def test_settings_out_of_range_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        TrainSettings(**changes)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("cuda")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gpu", "there is no device 'gpu': choose auto, cpu, cuda or cuda:<number>"),
        ("meta", "device meta cannot be used: choose auto, cpu"),
        ("cuda:99", r"device cuda:99 is not there \(this machine offers \d+ CUDA devices\): choose auto or cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused(name, sentence):
    with pytest.raises(InputError, match=sentence):
        pick_device(name)


@pytest.mark.parametrize(
    ("flags", "there"),
    [
        ("flags\t\t: fpu avx2 fma avx512f avx512_vnni", False),
        ("flags\t\t: fpu avx2 avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("Features\t: fp asimd i8mm bf16 sve", True),
        ("flags\t\t: fpu bf161", False),
    ],
)
def test_a_cpu_says_whether_it_has_bfloat16_instructions(tmp_path, monkeypatch, flags, there):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n\n")
    monkeypatch.setattr(settings_module, "CPU_INFO", tmp_path / "cpuinfo")
    assert computes_bfloat16(torch.device("cpu")) is there


def test_a_cpu_that_cannot_be_asked_is_left_to_who_uses_it(tmp_path, monkeypatch):
    monkeypatch.setattr(settings_module, "CPU_INFO", tmp_path / "none")
    assert computes_bfloat16(torch.device("cpu"))
