"""A report says what it was made from, by which command and in what time, and is the same else."""

import hashlib
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from command_line import Line
from pydantic import ValidationError
from sample_networks import StepLoop, stir

from neuroprune.chips.load import chip_file
from neuroprune.data.load import load_dataset
from neuroprune.errors import InputError
from neuroprune.hashes import sha256_of_arrays, sha256_of_file
from neuroprune.pipeline import deploy, deploy_program
from neuroprune.report.provenance import Provenance
from neuroprune.report.schema import load_report
from neuroprune.simulation.verification import LavaSettings

FRAMES = np.random.default_rng(0).normal(0, 1.5, (3, 1, 28, 28)).astype(np.float32)
NO_LAVA = LavaSettings(samples=0)


def of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_deployment_in_python_says_when_and_how_long_and_what_it_was_told(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    network = stir(StepLoop()).float()
    report = deploy(network, FRAMES, lava=NO_LAVA, folder=tmp_path).report
    assert report.provenance is None
    assert report.date is not None and before <= report.date <= datetime.now(UTC)
    assert list(report.durations_s) == [
        "read",
        "verify",
        "quantise",
        "map",
        "simulate",
        "place",
        "Lava",
        "compare",
        "write",
    ]
    assert min(report.durations_s.values()) >= 0
    assert load_report(tmp_path) == report
    told = Provenance(command="python sweep.py")
    again = deploy_program(tmp_path / "program.net", FRAMES, lava=NO_LAVA, provenance=told).report
    assert again.provenance == told
    assert list(again.durations_s) == ["read", "map", "simulate", "place", "Lava", "compare"]


def test_the_same_deployment_differs_in_date_and_durations_alone() -> None:
    first, second = (deploy(stir(StepLoop()).float(), FRAMES, lava=NO_LAVA).report for _ in range(2))
    changed = {"date", "durations_s"}
    assert first.model_dump_json(exclude=changed) == second.model_dump_json(exclude=changed)


def test_the_command_line_leaves_its_words_and_the_hashes_of_what_it_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line, runs = Line(tmp_path / "my runs", capsys), tmp_path / "my runs"
    assert line("train", "--model", "digits-conv", "--epochs", "1", "--batch", "512", "--device", "cpu").code == 0
    asked = ["deploy", "1", "--samples", "5", "--lava-samples", "0", "--json"]
    answer = line(*asked)
    assert answer.code == 0, answer.err
    provenance = json.loads(answer.out)["provenance"]
    assert provenance["command"] == shlex.join(["neuroprune", *asked, "--runs", str(runs)])
    assert provenance["checkpoint_sha256"] == of_file(runs / "0001-train-digits" / "checkpoint.safetensors")
    assert provenance["target_sha256"] == of_file(chip_file("loihi-sim"))
    data = load_dataset("digits")
    raw = data.test.images[:5].tobytes() + data.test.labels[:5].tobytes()
    assert provenance["data_sha256"] == hashlib.sha256(raw).hexdigest()
    coding = data.coding
    assert provenance["coding"] == {"kind": "direct", "steps": None, "mean": [*coding.mean], "std": [*coding.std]}

    program = runs / "0002-deploy-digits" / "program.net"
    again = line("deploy", str(program), "--data", "digits", "--samples", "5", "--lava-samples", "0", "--json")
    assert again.code == 0, again.err
    read = json.loads(again.out)["provenance"]
    assert read["checkpoint_sha256"] == of_file(program)
    assert read["data_sha256"] == provenance["data_sha256"]


def test_a_network_that_was_never_trained_has_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Line(tmp_path, capsys)(
        "deploy", "--model", "digits-conv", "--samples", "2", "--lava-samples", "0", "--json"
    )
    provenance = json.loads(answer.out)["provenance"]
    assert provenance["checkpoint_sha256"] is None and provenance["data_sha256"] is not None


def test_arrays_are_hashed_by_their_bytes_in_order() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    labels = np.array([1, 2])
    assert sha256_of_arrays(images, labels) == hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert sha256_of_arrays(images.T) == hashlib.sha256(images.T.tobytes()).hexdigest()


def test_a_file_that_cannot_be_hashed_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.bin .*"):
        sha256_of_file(tmp_path / "none.bin")


@pytest.mark.parametrize("value", ["", "abc", "G" * 64, "a" * 65])
def test_a_hash_is_64_digits(value: str) -> None:
    with pytest.raises(ValidationError):
        Provenance(data_sha256=value)
