"""A NIR file on the command line, in place of a run and after --model."""

import hashlib
import json

import nir
import pytest
import torch
from command_line import Line
from nir_graphs import chain, lif, linear, written

from neuroprune.networks.nir.build import read_nir
from neuroprune.training.checkpoint import load_checkpoint, restore


@pytest.fixture
def line(capsys, tmp_path):
    return Line(tmp_path / "runs", capsys)


@pytest.mark.parametrize("named", [[], ["--model"]])
def test_it_is_deployed_as_it_comes_and_what_was_read_is_said(named, line, tmp_path):
    path = written(tmp_path, chain(linear(10, 64), lif(10, tau=5e-4), shape=(64,), outputs=(10,)))
    asked = ["--data", "digits", "--steps", "6", "--samples", "40", "--lava-samples", "0", "--json"]
    answer = line("deploy", *named, str(path), *asked, "--args", "dt=2e-4", "--out", str(tmp_path / "out"))
    assert answer.code == 0, answer.err
    assert f"{path}: read as written by snnTorch, by the signs of its neurons" in answer.err
    assert "takes [T, N, C, H, W]: each image is shown 6 times" in answer.err
    report = json.loads(answer.out)
    assert [layer["name"] for layer in report["layers"]] == ["n1"]
    written_again = nir.read(tmp_path / "out" / "network.nir").nodes["n1"]
    assert written_again.tau == pytest.approx(5e-4 / 2)  # in steps of 1e-4 s, those of 2e-4 s that were asked for


def test_a_network_that_was_trained_from_it_is_built_of_the_file_again(line, tmp_path):
    path = written(tmp_path, chain(linear(10, 64), lif(10), shape=(64,), outputs=(10,)))
    asked = ["--data", "digits", "--steps", "3", "--epochs", "1"]
    answer = line("train", "--model", str(path), *asked)
    assert answer.code == 0, answer.err
    assert f"--model {path}:network" in answer.err
    answer = line(
        "deploy", str(tmp_path / "runs" / "latest"), "--model", str(path), "--samples", "20", "--lava-samples", "0"
    )
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("position", [[], ["--model"]])
def test_it_is_imported_with_its_weights_and_compressed(position, line, tmp_path):
    layers = linear(16, 64), lif(16), linear(10, 16), lif(10)
    path = written(tmp_path, chain(*layers, shape=(64,), outputs=(10,)))
    asked = ["--data", "digits", "--steps", "3", "--args", "dt=2e-4", "--flops", "0.5"]
    answer = line("compress", *position, str(path), *asked, "--epochs", "0")
    assert answer.code == 0, answer.err
    assert f"taking the weights that {path}:network(dt=2e-4) has when it is made" in answer.err
    assert "ranking channels by l1, since there is no BatchNorm whose scale would rank them" in answer.err
    record = json.loads((line.runs / "0002-compress-digits" / "compress.json").read_text())
    assert record["pruned"]["flops"] < 0.6 * record["dense"]["flops"]
    first = load_checkpoint(line.runs / "0001-train-digits")
    assert first.weights.file == path.name
    assert first.weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    network = restore(first, str(path)).network
    assert all(torch.equal(first.tensors[name], each) for name, each in read_nir(path, dt=2e-4).state_dict().items())
    assert network.remarks
    answer = line("deploy", "2", "--model", str(path), "--samples", "20", "--lava-samples", "0")
    assert answer.code == 0, answer.err


def test_a_file_after_model_is_never_taken_for_the_code_of_a_run(line, tmp_path):
    path = written(tmp_path, chain(linear(7, 64), lif(7), shape=(64,), outputs=(7,)))
    answer = line("compress", "--model", str(path), "--steps", "3")
    assert answer.code == 2
    assert "returns the shape (2, 7) for 2 samples, but data set digits needs (2, 10)" in answer.err
