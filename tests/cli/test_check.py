"""`neuroprune check`: whatever is named, what it says, and how it ends."""

import json
import re
from pathlib import Path

import pytest
import torch
from command_line import Answer, Line
from lava_dl import sample_net

from neuroprune.networks.build import build, load_network
from neuroprune.networks.recipe import load_recipe

NETWORK = """
from torch import nn
from spikingjelly.activation_based import neuron

class Net(nn.Module):
    def __init__(self, width=8, kind=nn.Identity):
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), kind(), neuron.IFNode(), nn.Linear(width, 10), neuron.IFNode()
        )

    def forward(self, frames):
        return self.body(frames)
"""


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path / "runs", capsys)


@pytest.fixture
def network(tmp_path: Path) -> str:
    path = tmp_path / "my_network.py"
    path.write_text(NETWORK)
    return f"{path}:Net"


def last(answer: Answer) -> str:
    return answer.err.strip().splitlines()[-1]


def test_a_recipe_is_checked_by_its_name(line: Line) -> None:
    answer = line("check", "digits-conv")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("digits-conv on loihi-sim: 6 cores of 128")
    assert "[N, C, H, W]; samples of 1x8x8, T = 4" in answer.out
    assert last(answer) == "next: neuroprune train --model digits-conv"
    assert not line.runs.exists()


def test_a_class_is_shown_images_as_often_as_asked(line: Line, network: str) -> None:
    answer = line("check", network, "--args", "width=12", "--shape", "1,8,8", "--steps", "3", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["takes"] == "[N, C, H, W], one step a call: each image is shown 3 times"
    assert (found["steps"], found["shape"], found["parameters"]) == (3, [1, 8, 8], 64 * 12 + 12 + 12 * 10 + 10)
    assert [layer["neurons"] for layer in found["layers"]] == [12, 10]
    assert last(answer) == f"next: neuroprune train --model '{network}(width=12)' --steps 3"


def test_without_a_shape_samples_are_those_of_the_digits_and_it_is_said(line: Line, network: str) -> None:
    answer = line("check", "--model", network, "--steps", "3")
    assert answer.code == 0, answer.err
    assert "taking samples of digits: name others with --data or --shape" in answer.err


def test_recordings_are_checked_as_sequences(line: Line) -> None:
    answer = line("check", "nmnist-conv", "--json")
    assert json.loads(answer.out)["shape"] == [load_recipe("nmnist-conv").steps, 2, 34, 34]


def test_what_cannot_be_mapped_is_listed_and_ends_with_2(line: Line, network: str) -> None:
    answer = line("check", network, "--args", "kind=torch.nn.GELU", "--steps", "2")
    assert answer.code == 2
    assert "does not map  layer body.2: GELU cannot be mapped, since it passes on" in answer.out
    assert last(answer).endswith("has 1 part that cannot be mapped: change what is named above")
    answer = line("check", network, "--args", "kind=torch.nn.GELU", "--steps", "2", "--json")
    assert answer.code == 2
    assert len(json.loads(answer.out)["problems"]) == 1


def test_weights_are_held_against_the_network_before_anything_else(line: Line, network: str, tmp_path: Path) -> None:
    tensors = load_network(network).state_dict()
    torch.save({"net": tensors}, tmp_path / "w.pth")
    weights = ("--weights", str(tmp_path / "w.pth"))
    answer = line("check", network, *weights, "--steps", "3")
    assert answer.code == 0, answer.err
    assert "taking 4 tensors of w.pth under net, named without body.\n" in answer.err
    assert last(answer) == f"next: neuroprune import --model {network} --weights {tmp_path / 'w.pth'} --steps 3"
    answer = line("check", network, *weights, "--args", "width=9,kind=torch.nn.GELU", "--shape", "3,9,9")
    assert answer.code == 2
    assert "of w.pth has shape (8, 64), but network Net needs (9, 64) there".replace("w.pth", weights[1]) in last(
        answer
    )
    torch.save({"body.1.weight": tensors["body.1.weight"], "other.weight": torch.ones(3)}, tmp_path / "w.pth")
    answer = line("check", network, *weights)
    assert answer.code == 2
    assert "it lacks 3 of its 4 tensors (body.1.bias, body.4.weight, body.4.bias) and has 1 that are" in last(answer)


def test_weights_of_a_recipe_are_checked_too(line: Line, tmp_path: Path) -> None:
    torch.save(build(load_recipe("digits-conv"), (1, 8, 8), 10).state_dict(), tmp_path / "w.pth")
    answer = line("check", "digits-conv", "--weights", str(tmp_path / "w.pth"))
    assert answer.code == 0, answer.err
    assert last(answer) == f"next: neuroprune import --model digits-conv --weights {tmp_path / 'w.pth'}"
    torch.save(build(load_recipe("digits-conv"), (1, 8, 8), 7).state_dict(), tmp_path / "w.pth")
    answer = line("check", "digits-conv", "--weights", str(tmp_path / "w.pth"))
    assert answer.code == 2
    assert re.search(r"has shape \(7, \d+\), but network SpikingNetwork needs \(10, \d+\) there", last(answer))


def test_what_the_chip_cannot_hold_is_shown_and_ends_with_3(line: Line, network: str) -> None:
    answer = line("check", network, "--args", "width=5000", "--steps", "2")
    assert answer.code == 3
    assert "the chip cannot hold it" in " ".join(answer.out.split()) and "5.00k" in answer.out
    assert last(answer).startswith("Error: layer body.5: one neuron needs ")


def test_the_number_of_bits_is_taken(line: Line, network: str) -> None:
    answer = line("check", network, "--steps", "2", "--bits", "4", "--json")
    assert [layer["weight_bits"] for layer in json.loads(answer.out)["layers"]] == [4, 4]


def test_a_run_is_checked_by_number_and_takes_what_its_deployment_does(line: Line, network: str) -> None:
    trained = line("train", "--model", network, "--steps", "2", "--epochs", "1", "--device", "cpu")
    assert trained.code == 0, trained.err
    answer = line("check", "1", "--model", network, "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["takes"] == "[N, C, H, W], one step a call: each image is shown 2 times"
    assert last(answer).startswith("next: neuroprune deploy ")
    deployed = line("deploy", "1", "--model", network, "--samples", "4", "--lava-samples", "0", "--json")
    assert deployed.code == 0, deployed.err
    report = json.loads(deployed.out)
    assert found["cores"] == report["totals"]["cores"]
    assert found["resources"] == report["totals"]["resources"]
    answer = line("check", "latest", "--steps", "3", "--weights", "w.pth")
    assert answer.code == 2
    assert "--weights, --steps cannot apply here, since a trained network brings its own" in last(answer)


def test_a_finished_program_is_checked_as_it_is(line: Line, tmp_path: Path) -> None:
    net = sample_net(tmp_path / "trained.net")
    answer = line("check", str(net), "--steps", "4", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert (found["network"], found["steps"], found["provisional"], found["parts"]) == ("trained.net", 4, False, [])
    assert found["cores"] >= 1
    assert last(answer) == f"next: neuroprune deploy {net}"


def test_a_program_with_fewer_outputs_than_the_data_has_classes_is_refused(line: Line, tmp_path: Path) -> None:
    net = sample_net(tmp_path / "small.net", in_shape=(1, 8, 8))
    answer = line("check", str(net), "--steps", "4", "--data", "digits")
    assert answer.code == 2
    assert f"{net} has an output for each of 4 classes, but data set digits has 10 of them: name" in last(answer)
    assert line("check", str(net), "--steps", "4", "--shape", "1,8,8").code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "'nonsense' is no recipe, no run in .* and no .net file: name one of these, or a network as"),
        ([], "holds no finished train or compress run"),
        (["missing.net", "--steps", "3"], "missing.net"),
        (["digits-conv", "--data", "no-data"], "there is no data set 'no-data'"),
        (["digits-conv", "--shape", "3,32"], "'3,32' is not channels, height and width such as 3,32,32"),
        (
            ["digits-conv", "--shape", "3,32,32", "--data", "mnist"],
            "--data and --shape both say what samples",
        ),
        (["digits-conv", "--args", "T=4"], "--args T=4 is for the class of a file: name one, as in file.py:Class"),
        (["digits-conv", "--model", "a.py:B"], "--model cannot apply here, since digits-conv is no run"),
        (["digits-conv", "--bits", "9"], "default=9 is not a width that loihi-sim stores weights in"),
        (["digits-conv", "--target", "none"], "there is no target 'none'"),
        (["a.net", "--weights", "w.pth"], "--weights cannot apply here, since a.net is a finished program"),
        (["digits-conv", "--weights", "w.pth"], "w.pth cannot be read .No such file or directory.: fetch it again, or"),
        (["a.net", "--bits", "4"], "--bits cannot apply here, since a.net is a finished program"),
        (
            ["missing.py:Net", "--data", "n-mnist"],
            "n-mnist is recorded in events, which are binned to T frames: g",
        ),
        (["missing.yaml"], "there is no recipe missing.yaml"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(line: Line, arguments: list[str], sentence: str) -> None:
    answer = line("check", *arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert re.search(sentence, last(answer)), answer.err
    assert answer.err.count("Error:") == 1


def test_a_network_that_takes_nothing_of_that_shape_is_one_sentence(line: Line, network: str) -> None:
    answer = line("check", network, "--shape", "3,9,9", "--steps", "2")
    assert answer.code == 2
    assert "network Net cannot take" in last(answer)
