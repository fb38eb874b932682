"""A NIR file on the command line, in place of a run and after --model."""

import json

import nir
import pytest
from command_line import Line
from nir_graphs import chain, lif, linear, written


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
