"""Weights of others on the command line: imported, compressed, deployed and trained on, as what they were elsewhere."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Answer, Line, ended, interrupted
from safetensors.torch import save_file
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.data.load import load_dataset
from neuroprune.networks.build import build, load_network
from neuroprune.networks.recipe import Recipe, load_recipe
from neuroprune.training.checkpoint import load_checkpoint

CODE = """
import torch
from torch import nn
from spikingjelly.activation_based import functional, layer, neuron

class Net(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.conv = layer.Conv2d(1, channels, 3, bias=False)
        self.norm = layer.BatchNorm2d(channels)
        self.spikes = neuron.LIFNode(v_threshold=0.5)
        self.flat = layer.Flatten()
        self.fc = layer.Linear(36 * channels, 10)
        self.last = neuron.IFNode()
        functional.set_step_mode(self, "m")

    def body(self, x):
        return self.last(self.fc(self.flat(self.spikes(self.norm(self.conv(x))))))

    def forward(self, x):
        return self.body(x.unsqueeze(0).repeat(4, 1, 1, 1, 1)).mean(0)

def trained():
    network = Net()
    network.load_state_dict(torch.load(__file__.replace("net.py", "best.pth"))["net"])
    return network

class Sequences(Net):
    def forward(self, x):
        return self.body(x)

class Events(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = layer.Linear(2 * 34 * 34, 10, step_mode="m")
        self.flat = layer.Flatten(step_mode="m")
        self.last = neuron.IFNode(step_mode="m")

    def forward(self, x):
        return self.last(self.fc(self.flat(x))).mean(0)
"""
MEAN, STD = 0.4, 0.3
NORMALISED = ("--mean", str(MEAN), "--std", str(STD))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of a network, and what a script of its author's left: its weights, and the accuracy that it printed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "net.py").write_text(CODE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = load_network(f"{folder / 'net.py'}:Net")
        _train_elsewhere(network, folder)
    return folder


def _train_elsewhere(network: nn.Module, folder: Path) -> None:
    """A plain loop in torch, on pixels of 0..1 that were normalised, which knows nothing of neuroprune."""
    data = load_dataset("digits")
    train, test = ((torch.tensor(split.images) / 16 - MEAN) / STD for split in (data.train, data.test))
    labels = torch.tensor(data.train.labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(2):
        for batch in torch.randperm(len(labels)).split(64):
            functional.reset_net(network)
            loss = nn.functional.cross_entropy(5 * network(train[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    functional.reset_net(network.eval())
    with torch.no_grad():
        correct = network(test).argmax(1) == torch.tensor(data.test.labels)
    (folder / "accuracy").write_text(str(float(correct.double().mean())))
    tensors = nn.DataParallel(network).state_dict()
    torch.save({"epoch": 3, "net": tensors, "optimizer": optimizer.state_dict()}, folder / "wrapped.pth")
    torch.save({"epoch": 3, "net": network.state_dict()}, folder / "best.pth")
    save_file(network.state_dict(), folder / "best.safetensors")


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path / "runs", capsys)


def given(folder: Path, name: str = "Net", file: str = "best.pth") -> tuple[str, ...]:
    return "--model", f"{folder / 'net.py'}:{name}", "--weights", str(folder / file)


def accuracy_of(folder: Path) -> float:
    return float((folder / "accuracy").read_text())


def as_json(answer: Answer) -> Any:
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


@pytest.mark.parametrize("file", ["best.pth", "wrapped.pth", "best.safetensors"])
def test_an_imported_network_is_as_good_as_its_own_script_said(line: Line, folder: Path, file: str) -> None:
    answer = line("import", *given(folder, file=file), *NORMALISED)
    assert answer.code == 0, answer.err
    assert accuracy_of(folder) > 0.8
    assert answer.out.startswith(f"test accuracy {100 * accuracy_of(folder):.2f} % (95 % interval ")
    assert f"taking 8 tensors of {file}" in answer.err
    assert "frames are pixels from 0 to 1, less the mean 0.4, by the deviation 0.3\n" in answer.err
    checkpoint = load_checkpoint(line.runs / "0001-train-digits")
    assert checkpoint.history == ()
    assert checkpoint.weights is not None
    assert (checkpoint.weights.file, checkpoint.weights.test_accuracy) == (file, accuracy_of(folder))
    assert checkpoint.data.coding.mean == pytest.approx((16 * MEAN,))


def test_pixels_go_from_0_to_1_where_nothing_else_is_said_and_a_wrong_normalisation_shows(
    line: Line, folder: Path
) -> None:
    answer = line("import", *given(folder), "--json")
    assert as_json(answer)["test_accuracy"] < accuracy_of(folder) - 0.1
    assert "frames are pixels from 0 to 1 (--mean and --std name others)" in answer.err
    coding = load_checkpoint(line.runs / "0001-train-digits").data.coding
    assert (coding.mean, coding.std) == ((0.0,), (16.0,))


def test_an_accuracy_at_chance_is_said_with_what_may_be_wrong(line: Line, folder: Path, tmp_path: Path) -> None:
    torch.save({name: torch.zeros_like(each) for name, each in _tensors(folder).items()}, tmp_path / "zero.pth")
    answer = line("import", "--model", f"{folder / 'net.py'}:Net", "--weights", str(tmp_path / "zero.pth"))
    assert answer.code == 0
    assert "is no better than the 10.3 % of always naming one class: check that --data, --mean and --std" in answer.err


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "best.pth", weights_only=True)["net"]
    return found


def test_an_imported_network_is_compressed_and_deployed_on_the_frames_that_it_knows(line: Line, folder: Path) -> None:
    assert line("import", *given(folder), *NORMALISED).code == 0
    model = ("--model", f"{folder / 'net.py'}:Net")
    record = as_json(line("compress", *model, "--flops", "0.5", "--epochs", "1", "--device", "cpu", "--json"))
    assert record["dense"]["accuracy"] == accuracy_of(folder)
    pruned = load_checkpoint(line.runs / "0002-compress-digits")
    assert pruned.data.coding.std == pytest.approx((16 * STD,))
    assert pruned.weights is not None and pruned.weights.file == "best.pth"
    report = as_json(line("deploy", str(line.runs / "0001-train-digits"), *model, "--lava-samples", "0", "--json"))
    assert report["accuracy"]["float"] == accuracy_of(folder)
    report = as_json(line("deploy", str(line.runs / "0002-compress-digits"), *model, "--lava-samples", "0", "--json"))
    assert report["accuracy"]["float"] == record["pruned"]["accuracy"]


def test_a_network_is_deployed_with_its_weights_and_without_a_run(line: Line, folder: Path) -> None:
    report = as_json(line("deploy", *given(folder), *NORMALISED, "--lava-samples", "0", "--json"))
    assert report["accuracy"]["float"] == accuracy_of(folder)
    assert [each.name for each in line.runs.iterdir() if each.is_dir() and not each.is_symlink()] == [
        "0001-deploy-digits"
    ]


def test_a_compression_with_weights_imports_them_first(line: Line, folder: Path) -> None:
    answer = line("compress", *given(folder), *NORMALISED, "--flops", "0.5", "--epochs", "0", "--json")
    assert as_json(answer)["from"] == str(line.runs / "0001-train-digits")
    assert as_json(answer)["dense"]["accuracy"] == accuracy_of(folder)
    assert (
        f"imported into {line.runs / '0001-train-digits'}, test accuracy {100 * accuracy_of(folder):.2f} %"
        in answer.err
    )
    assert load_checkpoint(line.runs / "0002-compress-digits").weights is not None


def test_a_network_that_loads_its_weights_itself_needs_no_file(line: Line, folder: Path) -> None:
    model = ("--model", f"{folder / 'net.py'}:trained", *NORMALISED)
    answer = line("import", *model, "--json")
    assert as_json(answer)["test_accuracy"] == accuracy_of(folder)
    assert f"taking the weights that {model[1]} has when it is made (--weights names those of a file)" in answer.err
    facts = load_checkpoint(line.runs / "0001-train-digits").weights
    assert facts is not None
    assert (facts.file, facts.sha256, facts.test_accuracy) == (None, None, accuracy_of(folder))
    report = as_json(line("deploy", *model, "--lava-samples", "0", "--json"))
    assert report["accuracy"]["float"] == accuracy_of(folder)
    report = as_json(line("deploy", "1", *model[:2], "--lava-samples", "0", "--json"))
    assert report["accuracy"]["float"] == accuracy_of(folder)
    refused = line("compress", "1", *model[:2], "--unstructured", "--sparsity", "0.5", "--epochs", "1")
    assert refused.code == 2
    assert "began with the weights that it was made with, and what their own training began with is" in refused.err


def test_its_compression_imports_it_first_and_is_resumed_as_any_other(line: Line, folder: Path, tmp_path: Path) -> None:
    model = ("--model", f"{folder / 'net.py'}:trained")
    asked = (*model, *NORMALISED, "--data", "digits", "--flops", "0.5", "--epochs", "2", "--device", "cpu")
    record = as_json(line("compress", *asked, "--json"))
    assert record["from"] == str(line.runs / "0001-train-digits")
    assert record["dense"]["accuracy"] == accuracy_of(folder)
    interrupted("compress", *asked, "--out", str(tmp_path / "broken"), "--runs", str(line.runs))
    assert ended("compress", "--resume", str(tmp_path / "broken"), *model, "--runs", str(line.runs)) == 0
    first, second = load_checkpoint(line.runs / "0002-compress-digits"), load_checkpoint(tmp_path / "broken")
    assert all(torch.equal(first.tensors[name], tensor) for name, tensor in second.tensors.items())
    assert second.weights == first.weights is not None


def test_a_network_whose_weights_were_forgotten_is_said_to_be_no_better_than_chance(line: Line, folder: Path) -> None:
    answer = line("import", "--model", f"{folder / 'net.py'}:Net")
    assert answer.code == 0
    assert "that the weights were trained with, and that these are trained weights\n" in answer.err


def test_a_class_without_data_or_weights_is_that_of_the_latest_run(line: Line, folder: Path) -> None:
    assert line("import", *given(folder), *NORMALISED).code == 0
    record = as_json(line("compress", "--model", f"{folder / 'net.py'}:Net", "--epochs", "0", "--json"))
    assert record["from"] == str(line.runs / "0001-train-digits")
    assert not (line.runs / "0003-train-digits").exists()


def test_a_training_begins_with_weights_and_is_resumed_on_the_same_frames(
    line: Line, folder: Path, tmp_path: Path
) -> None:
    more = (*NORMALISED, "--epochs", "2", "--lr", "1e-6", "--batch", "256", "--device", "cpu")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert line("train", *given(folder), *more, "--out", str(whole)).code == 0
    interrupted("train", *given(folder), *more, "--out", str(broken), "--runs", str(line.runs))
    model = ("--model", f"{folder / 'net.py'}:Net")
    assert ended("train", "--resume", str(broken), *model, "--runs", str(line.runs)) == 0
    first, second = load_checkpoint(whole), load_checkpoint(broken)
    assert all(torch.equal(first.tensors[name], tensor) for name, tensor in second.tensors.items())
    assert second.weights == first.weights is not None
    assert second.data == first.data
    assert first.history[0].test_accuracy == pytest.approx(accuracy_of(folder), abs=0.05)


def test_sequences_are_imported_with_their_steps(line: Line, folder: Path) -> None:
    answer = line("import", *given(folder, "Sequences"), *NORMALISED, "--steps", "4", "--json")
    assert as_json(answer)["test_accuracy"] == accuracy_of(folder)
    model = ("--model", f"{folder / 'net.py'}:Sequences")
    assert line("compress", *model, "--flops", "0.5", "--epochs", "0").code == 0
    weights = given(folder, "Sequences")
    assert line("compress", *weights, "--steps", "4", "--flops", "0.5", "--epochs", "0").code == 0


def test_weights_of_a_recipe_are_imported_and_deployed(line: Line, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("title: tiny\ndata: digits\nsteps: 2\nlayers:\n  - {conv: 8}\n")
    recipe = ("--model", str(tmp_path / "tiny.yaml"), "--weights", str(tmp_path / "own.pth"))
    network = build(load_recipe(str(tmp_path / "tiny.yaml")), (1, 8, 8), 10, seed=7)
    torch.save(network.state_dict(), tmp_path / "own.pth")
    found = as_json(line("import", *recipe, "--json"))
    checkpoint = load_checkpoint(Path(found["run"]))
    assert all(torch.equal(checkpoint.tensors[name], each) for name, each in network.state_dict().items())
    assert isinstance(checkpoint.model, Recipe)
    report = as_json(line("deploy", *recipe, "--lava-samples", "0", "--json"))
    assert report["accuracy"]["float"] == found["test_accuracy"]
    assert report["network"] == "tiny (own.pth)"


def test_event_counts_are_imported_as_they_are(line: Line, folder: Path, tmp_path: Path) -> None:
    for part in ("Train", "Test"):
        for digit in range(10):
            place = tmp_path / "data" / "N-MNIST" / part / str(digit)
            place.mkdir(parents=True)
            records = [struct.pack(">BBBH", x, 3 * digit, 0x80 * (x % 2), 900 * x) for x in range(34)]
            (place / "00001.bin").write_bytes(b"".join(records))
    torch.save({"fc.weight": torch.zeros(10, 2 * 34 * 34), "fc.bias": torch.zeros(10)}, tmp_path / "w.pth")
    data = ("--data", "n-mnist", "--data-dir", str(tmp_path / "data"), "--steps", "3")
    model = ("--model", f"{folder / 'net.py'}:Events", "--weights", str(tmp_path / "w.pth"))
    answer = line("import", *model, *data)
    assert answer.code == 0, answer.err
    assert "frames are" not in answer.err
    coding = load_checkpoint(line.runs / "0001-train-n-mnist").data.coding
    assert (coding.mean, coding.std, coding.steps) == ((0.0, 0.0), (1.0, 1.0), 3)
    refused = line("import", *model, *data, *NORMALISED)
    assert refused.code == 2
    assert "frames of n-mnist are event counts, which are not normalised: leave out --mean and --std" in refused.err


def test_methods_that_begin_with_initial_weights_ask_for_those_that_there_are(line: Line, folder: Path) -> None:
    assert line("import", *given(folder), *NORMALISED).code == 0
    model = ("--model", f"{folder / 'net.py'}:Net")
    unstructured = ("--unstructured", "--sparsity", "0.5", "--epochs", "1", "--device", "cpu")
    refused = line("compress", *model, *unstructured)
    assert refused.code == 2
    assert (
        "this network began with the weights of best.pth, and what their own training began with is not known: go on "
        "from them (--start trained), or take a method that does"
    ) in refused.err
    assert line("compress", *model, *unstructured, "--start", "trained").code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("import",), "no network is named: add --model file.py:Class, or --model net.nir"),
        (
            ("import", "--model", "digits-conv"),
            "recipe digits-conv has no weights of its own: name their file with --weights, or train it first",
        ),
        (
            ("compress", "--model", "digits-conv", "--data", "digits"),
            "recipe digits-conv has no weights of its own: name their file with --weights, or train it first",
        ),
        (
            ("compress", "--model", "NET", "--data", "digits", "--unfinished"),
            "--unfinished cannot apply here, since no run is taken: leave it out",
        ),
        (
            ("import", "--weights", "FILE"),
            "--weights FILE are numbers alone: name the network that they are of with --mod",
        ),
        (
            ("train", "--weights", "FILE"),
            "--weights FILE are numbers alone: name the network that they are of with --mod",
        ),
        (
            ("deploy", "--weights", "FILE"),
            "--weights FILE are numbers alone: name the network that they are of with --mod",
        ),
        (
            ("deploy", "runs/0001-train-digits", "--model", "NET", "--weights", "FILE"),
            "--weights and RUN name two networks: give one of the two",
        ),
        (
            ("train", "--resume", "x", "--model", "NET", "--weights", "FILE"),
            "--weights and --resume name two networks: give one of the two",
        ),
        (
            ("train", "--mean", "0.5"),
            "--mean is of the frames of a network that was trained elsewhere: name it with --model",
        ),
        (
            ("deploy", "--std", "0.5"),
            "--std is of the frames of a network that was trained elsewhere: name it with --model",
        ),
        (
            ("compress", "1", "--model", "NET", "--std", "0.5"),
            "--std cannot change for RUN, which has its own: leave it out",
        ),
        (
            ("train", "--resume", "x", "--model", "NET", "--mean", "0.5"),
            "--mean cannot change for --resume, which has its own: leave it out",
        ),
        (
            ("compress", "--data", "mnist"),
            "--data is for a network without a run, since a run brings its own: leave it out",
        ),
        (
            ("compress", "1", "--model", "NET", "--steps", "4"),
            "--steps is for a network without a run, since a run brings its own: leave it out",
        ),
        (
            ("import", "--model", "NET", "--weights", "FILE", "--mean", "0.5"),
            "frames of digits cannot be normalised by a mean without a deviation: give both (--mean and --std)",
        ),
        (
            ("import", "--model", "NET", "--weights", "FILE", "--mean", "0.5,x", "--std", "1"),
            "invalid value for '--mean': '0.5,x' is not a list of numbers such as 0.4914,0.4822,0.4465",
        ),
        (
            ("import", "--model", "NET", "--weights", "FILE", "--mean", "0.5,0.5,0.5", "--std", "1"),
            "frames of digits have 1 channels, but 3 values are given as their mean: give one for each, or one for all",
        ),
        (
            ("import", "--model", "NET", "--weights", "FILE", "--mean", "125.3", "--std", "63"),
            "the mean 125.3 of frames of digits is not a share of a white pixel's value, 0 to 1: divide it by 255",
        ),
        (
            ("deploy", "--model", "NET", "--weights", "nowhere.pth"),
            "nowhere.pth cannot be read (No such file or directory): fetch it again, or write it with",
        ),
        (
            ("deploy", "FILE"),
            "FILE is a file and no run: if it holds weights, name the network that they are of as well (",
        ),
        (
            ("compress", "FILE"),
            "FILE is a file and no run: if it holds weights, name the network that they are of as well (",
        ),
        (
            ("import", "--model", "NET(channels=9)", "--weights", "FILE"),
            "has shape (8, 1, 3, 3), but network Net needs (9, 1, 3, 3) there, and so it is with 5 more: make",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(line: Line, folder: Path, arguments: tuple[str, ...], sentence: str) -> None:
    names = {"NET": f"{folder / 'net.py'}:Net", "FILE": str(folder / "best.pth")}
    for short, name in names.items():
        arguments = tuple(argument.replace(short, name) for argument in arguments)
        sentence = sentence.replace(short, name)
    answer = line(*arguments)
    assert answer.code == 2
    said = answer.err.splitlines()[-1]
    assert said.startswith("Error: ") and sentence in said, said
    assert not line.runs.exists()
