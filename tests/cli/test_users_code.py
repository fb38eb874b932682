"""Code of a user's that prints, asks, ends the program or raises: results stay whole, a fault is one sentence."""

import json
import sys
from pathlib import Path

import pytest
from command_line import Line

CODE = """
import argparse
import sys
from torch import nn
from spikingjelly.activation_based import neuron

parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=8)
WIDTH = parser.parse_args().width
print("imported")

class Net(nn.Module):
    def __init__(self, norm=False):
        super().__init__()
        print("made")
        first = [nn.Linear(64, WIDTH), nn.BatchNorm1d(WIDTH)] if norm else [nn.Linear(64, WIDTH)]
        self.body = nn.Sequential(nn.Flatten(), *first, neuron.IFNode(), nn.Linear(WIDTH, 10), neuron.IFNode())

    def forward(self, frames):
        print("in forward")
        return self.body(frames)

class Leaving(Net):
    def forward(self, frames):
        sys.exit(0)

class LeavingLate(Net):
    def __init__(self):
        super().__init__()
        sys.exit("bye")

class Raising(Net):
    def forward(self, frames):
        raise KeyError("x" * 1000)

class Asking(Net):
    def __init__(self):
        while input("go on? ") != "y":
            pass

class AskingLate(Net):
    def forward(self, frames):
        return self.body(frames) if input("go on? ") else frames
"""


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path / "runs", capsys)


@pytest.fixture
def code(tmp_path: Path) -> str:
    (tmp_path / "code.py").write_text(CODE)
    return str(tmp_path / "code.py")


def test_what_code_prints_is_kept_apart_from_results(line: Line, code: str) -> None:
    answer = line("check", f"{code}:Net", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["layers"][0]["neurons"] == 8
    assert {"imported", "made", "in forward"} < set(answer.err.splitlines())
    model = ("--model", f"{code}:Net")
    assert json.loads(line("import", *model, "--json").out)["test_accuracy"] >= 0
    assert line("import", *model).out.startswith("test accuracy ")
    compressed = line("compress", "1", *model, "--flops", "0.5", "--epochs", "0", "--json")
    assert json.loads(compressed.out)["from"] == str(line.runs / "0001-train-digits")
    deployed = line("deploy", "1", *model, "--samples", "2", "--lava-samples", "0", "--json")
    assert json.loads(deployed.out)["steps"] == 1


def test_code_that_reads_options_gets_none_and_they_are_the_programs_again(line: Line, code: str) -> None:
    before = list(sys.argv)
    assert line("check", f"{code}:Net", "--json").code == 0
    assert sys.argv == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Leaving", "code of the network's ends the program when it runs (sys.exit(0)): take that out"),
        (
            "LeavingLate",
            "code.py:LeavingLate ends the program when it is made (sys.exit(bye)): keep what only a program",
        ),
        ("Raising", "network Raising cannot take [N, C, H, W] or "),
        ("Asking", "code.py:Asking fails when it is made (EOFError: EOF when reading a line): correct it"),
        ("AskingLate", "(EOFError: EOF when reading a line): choose another data set or change the network"),
        (
            "Net(depth=3)",
            "does not fit Net(norm=False) (got an unexpected keyword argument 'depth'): give arguments as",
        ),
        (
            "Missing",
            "code.py:Missing: nothing there is called Missing, and its networks are Net, Leaving, LeavingLate, ",
        ),
    ],
)
@pytest.mark.parametrize(
    "command", [["check"], ["import", "--model"], ["compress", "--data", "digits", "--model"], ["deploy", "--model"]]
)
def test_code_that_cannot_be_taken_is_one_sentence_and_leaves_nothing(
    line: Line, code: str, command: list[str], name: str, sentence: str
) -> None:
    answer = line(*command, f"{code}:{name}")
    assert answer.code == 2
    assert answer.out == ""
    said = answer.err.splitlines()[-1]
    assert said.startswith("Error: ") and sentence in said and len(said) < 800, said
    assert sum(each.startswith("Error: ") for each in answer.err.splitlines()) == 1
    assert not line.runs.exists()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--flops", "7"], "a share of 7.0 of the flops"),
        (
            ["--unstructured"],
            "is not known, and this method begins with it: go on from its weights (--start trained), or",
        ),
        (["--structured", "--sparsity", "0.5"], "--structured and --sparsity contradict each other"),
    ],
)
def test_settings_that_cannot_be_are_said_before_a_network_is_imported(
    line: Line, code: str, asked: list[str], sentence: str
) -> None:
    answer = line("compress", "--model", f"{code}:Net", "--data", "digits", *asked)
    assert answer.code == 2
    assert sentence in answer.err.splitlines()[-1]
    assert not line.runs.exists()


def test_channels_are_ranked_by_the_scale_of_their_norm_where_there_is_one(line: Line, code: str) -> None:
    asked = ("--data", "digits", "--epochs", "0", "--json")
    for model, score in ((f"{code}:Net(norm=True)", "gamma"), (f"{code}:Net", "l1")):
        answer = line("compress", "--model", model, *asked)
        assert answer.code == 0, answer.err
        assert json.loads(answer.out)["strategy"]["score"] == score
        assert ("ranking channels by l1" in answer.err) is (score == "l1")
