"""The whole line as a person runs it: each command takes up the step before, says so, and says what comes next."""

import contextlib
import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Answer, Line

from neuroprune.cli.main import main

RECIPE = """
title: A network that trains in a second
data: digits
steps: 2
layers:
  - {conv: 16}
  - {pool: average}
  - {conv: 16}
training: {epochs: 2, batch: 128, lr: 0.01, l1: 1.0e-4}
fine_tuning: {epochs: 1, lr: 0.01}
"""

NETWORK = """
import torch
from spikingjelly.activation_based import functional, layer, neuron

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = layer.Conv2d(1, 8, 3, padding=1, bias=False, step_mode="m")
        self.norm = layer.BatchNorm2d(8, step_mode="m")
        self.spikes = neuron.IFNode(step_mode="m")
        self.flat = layer.Flatten(step_mode="m")
        self.out = layer.Linear(512, 10, step_mode="m")
        self.last = neuron.IFNode(step_mode="m")

    def forward(self, frames):
        x = frames.unsqueeze(0).repeat(2, 1, 1, 1, 1)
        return self.last(self.out(self.flat(self.spikes(self.norm(self.conv(x)))))).mean(0)
"""


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path / "runs", capsys)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture(scope="module")
def trained(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of runs with one training in it, which tests only read."""
    runs = tmp_path_factory.mktemp("line") / "runs"
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--model", recipe, "--device", "cpu", "--runs", str(runs)])
    assert stopped.value.code == 0
    yield runs
    assert [run.name for run in sorted(runs.iterdir())] == ["0001-train-digits", "latest"]


def said_next(answer: Answer) -> str:
    assert answer.code == 0, answer.err
    found = re.fullmatch(r"next: (neuroprune .*)", answer.err.splitlines()[-1])
    assert found, answer.err
    return found[1]


def test_train_compress_deploy_and_report_follow_each_other_without_paths(line: Line, recipe: str) -> None:
    first = line("train", "--model", recipe)
    assert re.search(
        r"^test accuracy \d+\.\d\d % \(95 % interval \d+\.\d to \d+\.\d\) after epoch 2, kept in .*0001-train-digits$",
        first.out,
        re.M,
    )
    assert said_next(first) == f"neuroprune compress {line.runs / '0001-train-digits'} --structured --flops 0.5"

    second = line("compress", "--structured", "--flops", "0.5")
    assert f"taking {line.runs / '0001-train-digits'} (the latest train run)" in second.err
    for word in ("accuracy", "parameters", "FLOPs", "SynOps", "Channels kept", "stem.conv1"):
        assert word in second.out
    assert said_next(second) == f"neuroprune deploy {line.runs / '0002-compress-digits'} --target loihi-sim"

    third = line("deploy", "--samples", "20", "--lava-samples", "0")
    assert f"taking {line.runs / '0002-compress-digits'} (the latest train or compress run)" in third.err
    folder = line.runs / "0003-deploy-digits"
    assert {"report.json", "cores.csv", "layers.csv", "program.net", "model.onnx"} <= {f.name for f in folder.iterdir()}
    assert said_next(third) == f"neuroprune report {folder}"
    assert (line.runs / "latest").resolve() == folder

    again = line("report", str(line.runs / "0002-compress-digits"))
    assert again.out == second.out
    assert said_next(again) == f"neuroprune report {line.runs / '0002-compress-digits'} --csv > channels.csv"

    fourth = line("report")
    assert f"taking {folder} (the latest deploy run)" in fourth.err
    assert fourth.out == third.out


def test_deploy_and_report_print_the_same_json_that_was_written(line: Line, trained: Path) -> None:
    run = str(trained / "0001-train-digits")
    deployed = line("deploy", run, "--samples", "5", "--lava-samples", "0", "--json")
    written = (line.runs / "0001-deploy-digits" / "report.json").read_text()
    assert json.loads(deployed.out) == json.loads(written)
    assert line("report", "--json").out == written
    assert json.loads(written)["samples"] == 5

    cores = list(csv.DictReader(io.StringIO(line("report", "--csv").out)))
    layers = list(csv.DictReader(io.StringIO(line("report", "--csv", "--layers").out)))
    assert len(cores) == len(json.loads(written)["cores"])
    assert [layer["name"] for layer in layers] == [layer["name"] for layer in json.loads(written)["layers"]]


def test_train_and_compress_print_json_and_nothing_else_on_standard_output(line: Line, recipe: str) -> None:
    history = json.loads(line("train", "--model", recipe, "--epochs", "1", "--json").out)["history"]
    assert [record["epoch"] for record in history] == [1]
    figures = json.loads(line("compress", "--method", "slimming", "--epochs", "0", "--json").out)
    assert figures["strategy"]["method"] == "slimming"
    assert figures["targets"][0]["reached"] == pytest.approx(figures["cut"]["flops"] / figures["dense"]["flops"])
    written = (line.runs / "0002-compress-digits" / "compress.json").read_text()
    assert json.loads(written) == figures
    assert line("report", "0002-compress-digits", "--json").out == written
    rows = list(csv.DictReader(io.StringIO(line("report", "0002-compress-digits", "--csv").out)))
    assert [row["name"] for row in rows] == [layer["name"] for layer in figures["layers"]] != []
    refused = line("report", "0002-compress-digits", "--csv", "--layers")
    assert refused.code == 2
    assert "is a compression, whose CSV has one row per layer already: leave out --layers" in refused.err


def test_a_training_is_no_run_to_report(line: Line, trained: Path) -> None:
    answer = line("report", str(trained / "0001-train-digits"))
    assert answer.code == 2
    assert "holds no compress.json or report.json, so it is no finished deploy or compress run" in answer.err


def test_settings_that_are_given_replace_the_recipes_and_are_kept(line: Line, recipe: str) -> None:
    given = [
        "--epochs",
        "1",
        "--lr",
        "0.005",
        "--batch",
        "256",
        "--optimizer",
        "sgd",
        "--schedule",
        "step",
        "--milestones",
        "1,3",
    ]
    more = ["--seed", "7", "--l1", "0", "--label-smoothing", "0.1", "--steps", "3"]
    assert line("train", "--model", recipe, *given, *more).code == 0
    kept = json.loads((line.runs / "0001-train-digits" / "checkpoint.json").read_text())
    wanted = {"epochs": 1, "lr": 0.005, "batch": 256, "optimizer": "sgd", "schedule": "step", "milestones": [1, 3]}
    assert wanted.items() <= kept["settings"].items()
    assert {"seed": 7, "l1": 0, "label_smoothing": 0.1}.items() <= kept["settings"].items()
    assert kept["model"]["recipe"]["steps"] == 3


def test_fine_tuning_has_the_recipes_epochs_no_l1_and_the_seed_of_the_training(line: Line, trained: Path) -> None:
    assert line("compress", str(trained / "0001-train-digits"), "--lr", "0.002").code == 0
    kept = json.loads((line.runs / "0001-compress-digits" / "checkpoint.json").read_text())
    assert {"epochs": 1, "lr": 0.002, "l1": 0, "batch": 128, "seed": 0}.items() <= kept["settings"].items()
    assert len(kept["history"]) == 3


def test_a_class_of_ones_own_goes_through_when_it_is_named_each_time(line: Line, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(NETWORK)
    model = f"{tmp_path / 'own.py'}:Net"
    trained = line("train", "--model", model, "--epochs", "1")
    assert said_next(trained).endswith(f"--model {model}")
    refused = line("compress")
    assert refused.code == 2
    assert f"add --model {model}" in refused.err
    compressed = line("compress", "--model", model, "--flops", "0.625", "--epochs", "1")
    assert said_next(compressed).endswith(f"--model {model}")
    run = str(line.runs / "0002-compress-digits")
    assert line("deploy", run, "--model", model, "--samples", "5", "--lava-samples", "0").code == 0


def test_arguments_of_a_class_are_given_once_and_kept(line: Line, tmp_path: Path) -> None:
    sized = NETWORK.replace("(self):", "(self, width):").replace("8", "width").replace("512", "64 * width")
    (tmp_path / "own.py").write_text(sized)
    model = f"{tmp_path / 'own.py'}:Net"
    refused = line("train", "--model", model, "--epochs", "1")
    assert refused.code == 2 and "does not fit Net(width) (missing a required argument: 'width')" in refused.err
    trained = line("train", "--model", model, "--args", "width=6", "--epochs", "1")
    assert said_next(trained).endswith(f"--model '{model}(width=6)'")
    run = str(line.runs / "0001-train-digits")
    for given in ((model,), (model, "--args", "width=6"), (f"{model}(width=6)",)):
        assert line("deploy", run, "--model", *given, "--samples", "5", "--lava-samples", "0").code == 0
    other = line("deploy", run, "--model", model, "--args", "width=7", "--samples", "5", "--lava-samples", "0")
    assert other.code == 2 and "was made with (width=6), not with (width=7): leave the arguments out" in other.err
    both = line("deploy", run, "--model", f"{model}(width=6)", "--args", "width=6")
    assert both.code == 2 and "has arguments, and --args others: give them in one place" in both.err
    alone = line("deploy", run, "--args", "width=6")
    assert alone.code == 2
    assert "--args width=6 is for the class of a file, and --model names none: add --model file.py:Class" in alone.err


def test_images_are_shown_as_often_as_asked_to_a_class_that_takes_sequences(line: Line, tmp_path: Path) -> None:
    code = NETWORK.replace("frames.unsqueeze(0).repeat(2, 1, 1, 1, 1)", "frames").replace(".mean(0)", "")
    (tmp_path / "own.py").write_text(code)
    model = f"{tmp_path / 'own.py'}:Net"
    refused = line("train", "--model", model, "--epochs", "1")
    assert refused.code == 2 and "nothing says how often an image is shown: give the steps (--steps 4)" in refused.err
    said = "Net takes [T, N, C, H, W] and returns [T, N, K]: each image is shown 3 times"
    trained = line("train", "--model", model, "--epochs", "2", "--steps", "3", "--device", "cpu")
    assert trained.code == 0 and said in trained.err
    compressed = line("compress", "--model", model, "--flops", "0.625", "--epochs", "1")
    assert compressed.code == 0 and said in compressed.err
    run = str(line.runs / "0002-compress-digits")
    deployed = line("deploy", run, "--model", model, "--samples", "5", "--lava-samples", "1")
    assert deployed.code == 0 and said in deployed.err
    report = json.loads((line.runs / "0003-deploy-digits" / "report.json").read_text())
    assert report["steps"] == 3
    assert report["lava"]["samples"] == 1


def test_a_class_alone_is_deployed_as_it_is_made(line: Line, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(NETWORK)
    model = f"{tmp_path / 'own.py'}:Net"
    answer = line("deploy", "--model", model, "--samples", "5", "--lava-samples", "0")
    assert answer.code == 0, answer.err
    assert f"taking the weights that {model} has when it is made (--weights names those of a file)" in answer.err


def test_a_training_is_resumed_in_its_own_folder(line: Line, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(task: str, done: int, total: int, **figures: float) -> None:
        if figures.get("epoch") == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("neuroprune.cli.train.progress_bars", lambda _: contextlib.nullcontext(interrupt))
        broken = line("train", "--model", recipe, "--device", "cpu")
    assert broken.code == 130
    assert f"go on with `neuroprune train --resume {line.runs / '0001-train-digits'}`" in broken.err
    resumed = line("train", "--resume")
    assert resumed.code == 0, resumed.err
    assert "after epoch 2" in resumed.out
    assert not (line.runs / "0002-train-digits").exists()


def test_what_a_resumed_run_cannot_change_is_refused(line: Line) -> None:
    answer = line("train", "--resume", "--data", "mnist")
    assert answer.code == 2
    assert "--data cannot change in a run that is resumed: leave it out" in answer.err


def test_the_steps_that_a_class_makes_itself_cannot_be_set(line: Line, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(NETWORK)
    answer = line("train", "--model", f"{tmp_path / 'own.py'}:Net", "--steps", "8")
    assert answer.code == 2
    assert "network Net presents each image at 2 steps, not at 8: leave the steps out, or tell its code" in answer.err


def test_a_training_that_fails_leaves_no_run_behind(line: Line, recipe: str) -> None:
    answer = line("train", "--model", recipe, "--device", "cuda:99")
    assert answer.code == 2
    assert not line.runs.exists()


def test_frames_of_another_size_than_the_network_was_trained_on_are_refused(
    line: Line, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neuroprune.data import load

    other = load.make_dataset("other", *two_splits_of_zeros((1, 6, 6)), tuple("0123456789"))
    monkeypatch.setattr(load, "load_dataset", lambda *_: other)
    answer = line("deploy", str(trained / "0001-train-digits"), "--data", "other")
    assert answer.code == 2
    assert re.search(
        r"was trained on frames of \(1, 8, 8\) .* but those of other are \(1, 6, 6\), of 10: name data", answer.err
    )


def two_splits_of_zeros(shape: tuple[int, int, int]) -> tuple[object, object]:
    import numpy as np

    from neuroprune.data.types import Split

    split = Split(np.zeros((4, *shape), np.uint8), np.zeros(4, np.int64))
    return split, split


@pytest.mark.parametrize(
    ("data", "shape", "recipe"),
    [
        ("digits", (1, 8, 8), "digits-conv"),
        ("mnist", (1, 28, 28), "fashion-conv"),
        ("cifar100", (3, 32, 32), "vgg16"),
        ("n-mnist", (2, 34, 34), "nmnist-conv"),
    ],
)
def test_without_a_model_the_recipe_for_the_data_or_for_its_size_is_taken(
    data: str, shape: tuple[int, int, int], recipe: str
) -> None:
    from neuroprune.cli.networks import choose_recipe
    from neuroprune.data.catalog import find_dataset

    assert find_dataset(data).shape == shape
    assert choose_recipe(None, find_dataset(data), None).name == recipe


def test_data_that_no_recipe_is_meant_for_is_said() -> None:
    from neuroprune.cli.networks import choose_recipe
    from neuroprune.data.catalog import find_dataset
    from neuroprune.errors import InputError

    data = dataclasses.replace(find_dataset("digits"), name="other", shape=(2, 5, 5))
    with pytest.raises(
        InputError, match="no recipe is meant for other: name one with --model, see `neuroprune models`"
    ):
        choose_recipe(None, data, None)


@pytest.mark.parametrize("command", ["compress", "deploy", "report"])
def test_a_command_without_anything_to_take_up_names_the_one_to_run_first(command: str, line: Line) -> None:
    answer = line(command)
    assert answer.code == 2
    wanted = "deploy" if command == "report" else "train"
    assert f"run `neuroprune {wanted}` first" in answer.err


def test_a_target_that_does_not_exist_is_said_before_any_work(line: Line) -> None:
    answer = line("deploy", "--target", "loihi-9")
    assert answer.code == 2
    assert "there is no target 'loihi-9'" in answer.err


def test_json_and_csv_cannot_be_given_together(line: Line) -> None:
    answer = line("report", "--json", "--csv")
    assert answer.code == 2
    assert "--json and --csv cannot be given together: leave one out" in answer.err


def test_a_recipe_is_trained_on_the_data_it_is_meant_for(line: Line, tmp_path: Path) -> None:
    said = line("train", "--model", "fashion-conv", "--data-dir", str(tmp_path))
    assert said.code == 2
    assert f"data set fashion-mnist was not found in {tmp_path}" in said.err


def test_milestones_are_epochs_with_commas(line: Line) -> None:
    said = line("train", "--schedule", "step", "--milestones", "soon")
    assert said.code == 2
    assert "'soon' is not a list of epochs such as 80,120" in said.err
