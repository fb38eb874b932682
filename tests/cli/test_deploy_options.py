"""`neuroprune deploy` on finished programs and with bits of one's own, and what its options refuse."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer, Line
from lava_dl import sample_net


@pytest.fixture
def deploy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    def run(*arguments: str) -> Answer:
        return Line(tmp_path / "runs", capsys)("deploy", *arguments, "--lava-samples", "0")

    return run


def test_a_deployment_with_few_bits_leaves_a_program_that_runs_alike(deploy: Any, tmp_path: Path) -> None:
    asked = ["--model", "digits-conv", "--samples", "20", "--bits", "default=4,body.classifier=8"]
    answer = deploy(*asked, "--json", "--out", str(tmp_path / "out"))
    assert answer.code == 0, answer.err
    compiled = json.loads(answer.out)
    assert [layer["weight_bits"] for layer in compiled["layers"]] == [4, 4, 4, 8]

    answer = deploy(str(tmp_path / "out" / "program.net"), "--data", "digits", "--samples", "20", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["accuracy"]["bit_accurate"] == compiled["accuracy"]["bit_accurate"]
    assert found["accuracy"]["float"] is None
    spikes = [[layer["spikes_per_neuron_step"] for layer in report["layers"]] for report in (compiled, found)]
    assert spikes[0] == spikes[1]


def test_samples_drive_input_neurons_as_they_were_normalised_in_training(deploy: Any, tmp_path: Path) -> None:
    """A value of 1 is the largest of both, and -1 only that of the frames that were normalised."""
    net = str(sample_net(tmp_path / "trained.net", in_shape=(1, 8, 8), classes=10, driven=True))
    asked = [net, "--data", "digits", "--samples", "20", "--steps", "4", "--json"]
    plain, normalised = deploy(*asked), deploy(*asked, "--mean", "0.5", "--std", "0.5")
    assert "frames are pixels from 0 to 1 (--mean and --std name others)" in plain.err
    assert "mean 0.5" in normalised.err
    found = [json.loads(answer.out) for answer in (plain, normalised)]
    assert [report["input"]["unit"] for report in found] == [2 / 64, 2 / 64]
    assert all(layer["spikes_per_neuron_step"] > 0 for report in found for layer in report["layers"])
    first = [report["layers"][0]["spikes_per_neuron_step"] for report in found]
    assert first[0] > 1.2 * first[1]


def test_a_program_of_neuroprunes_brings_its_normalisation(deploy: Any, tmp_path: Path) -> None:
    deploy("--model", "digits-conv", "--samples", "20", "--out", str(tmp_path / "out"))
    answer = deploy(str(tmp_path / "out" / "program.net"), "--data", "digits", "--mean", "0", "--std", "1")
    assert answer.code == 2
    assert answer.err.splitlines()[-1].endswith(
        "program.net is of a network of neuroprune's, which brings its own: leave out --mean and --std"
    )


def test_epochs_of_fine_tuning_change_the_weights(deploy: Any, tmp_path: Path) -> None:
    asked = ["--model", "digits-conv", "--samples", "100", "--bits", "4"]
    for epochs in ("0", "1"):
        answer = deploy(*asked, "--qat-epochs", epochs, "--out", str(tmp_path / epochs))
        assert answer.code == 0, answer.err
    before, after = (json.loads((tmp_path / epochs / "report.json").read_text()) for epochs in ("0", "1"))
    assert after["accuracy"]["bit_accurate"] > before["accuracy"]["bit_accurate"] + 0.1
    assert after["accuracy"]["float"] == before["accuracy"]["float"]


@pytest.mark.parametrize("limit", [["--cores", "3"], ["--chips", "1", "--cores", "4"]])
def test_a_network_that_takes_more_than_it_may_ends_with_3_and_leaves_nothing(
    deploy: Any, tmp_path: Path, limit: list[str]
) -> None:
    answer = deploy("--model", "digits-conv", "--samples", "10", *limit)
    assert answer.code == 3
    last = answer.err.strip().splitlines()[-1]
    assert re.search(
        rf"^Error: the network needs \d+ cores of loihi-sim, \d+ more than the {limit[-1]} that it may take: give it "
        r"--cores \d+, or prune it, above all layer body\.neuron\d, which is on \d+ of these cores$",
        last,
    ), last
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_cores_lie_along_a_curve_where_that_is_asked_for(deploy: Any, tmp_path: Path) -> None:
    asked = ["--model", "digits-conv", "--samples", "10", "--chips", "1"]
    hops = {}
    for way in ("curve", "search"):
        assert deploy(*asked, "--place", way, "--out", str(tmp_path / way)).code == 0
        report = json.loads((tmp_path / way / "report.json").read_text())
        hops[way] = report["traffic"]["hops_per_sample"]
    assert hops["search"] <= hops["curve"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{net}"], r"trained.net does not say which data it is for: name a data set with --data"),
        (["{net}", "--data", "digits"], "are no whole numbers, .*: code them as spikes"),
        (
            ["{net}", "--data", "digits", "--steps", "4", "--bits", "4"],
            "--bits cannot apply here, since .*trained.net is a finished program: leave it out",
        ),
        (["missing.net", "--data", "digits"], "missing.net"),
        (
            ["{small}", "--data", "digits", "--steps", "4", "--coding", "poisson", "--samples", "3"],
            "small.net has an output for each of 4 classes, but data set digits has 10 of them: name the data",
        ),
        (["--steps", "4"], "--steps cannot apply here, since a trained network brings its own"),
        (
            ["--model", "digits-conv", "--steps", "9"],
            "recipe digits-conv has 4 steps, not 9: leave out --steps, or edit a copy",
        ),
        (["--model", "digits-conv", "--bits", "conv9=4"], "bits are given for conv9, but the layers are "),
        (["--model", "digits-conv", "--bits", "default=9"], "default=9 is not a width that loihi-sim stores"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(deploy: Any, tmp_path: Path, arguments: list[str], said: str) -> None:
    net = str(sample_net(tmp_path / "trained.net"))
    small = str(sample_net(tmp_path / "small.net", in_shape=(1, 8, 8)))
    answer = deploy(*(argument.format(net=net, small=small) for argument in arguments))
    assert answer.code == 2
    last = answer.err.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert re.search(said, last), last
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["deploy", "{onnx}", "--data", "digits"],
        ["deploy", "--model", "{onnx}"],
        ["check", "{onnx}"],
        ["check", "--model", "{onnx}"],
        ["compress", "{onnx}"],
        ["compress", "--model", "digits-conv", "--weights", "{onnx}", "--data", "digits"],
        ["train", "--model", "{onnx}"],
        ["import", "--model", "{onnx}", "--weights", "{onnx}", "--data", "digits"],
    ],
)
def test_an_onnx_file_is_refused_with_what_is_read_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    onnx = tmp_path / "model.onnx"
    onnx.write_bytes(b"")
    answer = Line(tmp_path / "runs", capsys)(*(argument.format(onnx=onnx) for argument in arguments))
    assert answer.code == 2
    assert answer.err.strip() == (
        f"Error: {onnx} is an ONNX file, which is written and not read, for ONNX has operators and no neurons: give "
        "the program.net or network.nir that lies beside one of neuroprune's, and of others a NIR file, or the class "
        "with its weights (--model file.py:Class --weights trained.pth)"
    )
    assert not (tmp_path / "runs").exists()
