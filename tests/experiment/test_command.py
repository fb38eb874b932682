"""`neuroprune experiment`: from a plan to tables and plots, through failures and kills."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ended

PLAN: dict[str, Any] = {
    "title": "Two methods that take seconds",
    "data": {"name": "digits", "subset": {"train_per_class": 12, "test_per_class": 6}},
    "networks": [
        {
            "name": "tiny",
            "recipe": {
                "title": "Trains in a second",
                "data": "digits",
                "steps": 2,
                "layers": [{"conv": 8}, {"pool": "average"}, {"conv": 12}],
                "training": {"epochs": 1, "batch": 40, "lr": 0.01},
            },
        }
    ],
    "seeds": [0, 1],
    "training": {"device": "cpu"},
    "comparisons": [
        {
            "name": "weights",
            "targets": [{"sparsity": 0.8}],
            "settings": {"prune_epochs": 2},
            "fine_tuning": {"epochs": 2},
            "baseline": "gmp",
            "variants": {"gmp": {"method": "gmp"}, "criticality": {}},
        },
        {
            "name": "channels",
            "targets": [{"flops": 0.47}],
            "fine_tuning": {"epochs": 2},
            "baseline": "uniform",
            "variants": {"uniform": {"method": "uniform"}},
        },
    ],
    "analyses": ["features", "importance"],
}


def written(folder: Path, **changes: Any) -> str:
    file = folder / "plan.yaml"
    file.write_text(yaml.safe_dump({**PLAN, **changes}, sort_keys=False))
    return str(file)


def networks(folder: Path) -> dict[str, bytes]:
    """The bytes of every network, and of what was noted while those of channels were fine-tuned."""
    files = (*folder.rglob("checkpoint.safetensors"), *folder.rglob("importance.json"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_a_killed_experiment_ends_with_the_same_networks_as_an_unbroken_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, unbroken, broken = written(tmp_path), tmp_path / "unbroken", tmp_path / "broken"
    assert ended("experiment", plan, "--out", str(unbroken), "--jobs", "2") == 0
    said = capsys.readouterr()
    assert "6/6  tiny, seed" in said.err
    assert "cannot be told apart on 2 seeds" in said.out
    assert {"results.csv", "summary.csv", "plots", "dense", "trials"} == {each.name for each in unbroken.iterdir()}
    assert len(list(unbroken.glob("trials/channels/*/importance.json"))) == 2
    assert not list(unbroken.glob("trials/weights/*/importance.json"))
    assert (unbroken / "plots" / "weights-tiny-accuracy-sparsity.png").is_file()
    assert (unbroken / "plots" / "weights-tiny-intra-class-variance-sparsity-0.8.svg").is_file()

    command = [sys.executable, "-m", "neuroprune", "experiment", plan, "--out", str(broken), "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (tmp_path / "said.txt").open("w") as output:
        killed = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    while not list(broken.glob("trials/*/*/training.safetensors")):
        assert killed.poll() is None, (tmp_path / "said.txt").read_text()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert 0 < len(networks(broken)) < len(networks(unbroken))
    assert ended("experiment", plan, "--out", str(broken), "--jobs", "2", "--no-plots") == 0
    assert networks(broken) == networks(unbroken)
    without = ("seconds",)
    rows, others = (
        [
            {k: v for k, v in row.items() if k not in without}
            for row in csv.DictReader((each / "results.csv").read_text().splitlines())
        ]
        for each in (unbroken, broken)
    )
    assert rows == others
    assert all(float(row["reached"]) == pytest.approx(float(row["asked"]), abs=0.05) for row in rows)


def test_a_trial_that_fails_is_said_and_ends_with_code_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    channels = {**PLAN["comparisons"][1], "targets": [{"flops": 0.0001}, {"flops": 0.47}]}
    plan = written(tmp_path, comparisons=[channels], seeds=[0], analyses=[])
    assert ended("experiment", plan, "--out", str(tmp_path / "out"), "--json") == 5
    said = capsys.readouterr()
    assert (
        "Error: 1 of 2 trials failed, the first of them (trials/channels/tiny-uniform-flops-0.0001-seed0) because"
        in (said.err)
    )
    assert [group["target"] for group in json.loads(said.out)] == ["flops 0.0001", "flops 0.47"]


def test_a_dry_run_lists_the_trials_and_runs_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("experiment", written(tmp_path), "--dry-run", "--out", str(tmp_path / "out")) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "weights: tiny, seed 0, gmp, sparsity 0.8, 4 epochs"
    assert "6 trials from 2 dense trainings, 22 epochs in all" in said.err
    assert not (tmp_path / "out").exists()


def test_a_fault_in_a_plan_is_one_sentence_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("experiment", written(tmp_path, network=[])) == 2
    said = capsys.readouterr()
    assert said.err.startswith("Error: plan ")
    assert "has the unknown key network; allowed here are name, title" in said.err
    assert said.err.count("\n") == 1


def test_data_that_is_not_there_is_said_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, out = written(tmp_path, data={"name": "fashion-mnist"}), tmp_path / "out"
    assert ended("experiment", plan, "--out", str(out), "--data-dir", str(tmp_path)) == 2
    assert "data set fashion-mnist was not found" in capsys.readouterr().err
    assert not list(out.rglob("job.json"))
