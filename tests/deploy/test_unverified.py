"""A deployment that Lava does not confirm is kept, says so, and ends with the error."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sample_networks import StepLoop, stir

from neuroprune.cli.main import main
from neuroprune.deployment import UnverifiedDeployment
from neuroprune.errors import LavaError, VerificationError
from neuroprune.pipeline import deploy, deploy_program
from neuroprune.report.schema import load_report
from neuroprune.simulation import verification
from neuroprune.simulation.lava_job import Case
from neuroprune.simulation.types import Record
from neuroprune.simulation.verification import LavaSettings

FRAMES = np.random.default_rng(3).normal(0, 2, (4, 1, 28, 28)).astype(np.float32)
FILES = {"report.json", "report.html", "cores.csv", "layers.csv", "program.net", "model.onnx", "network.nir"}


def failing(folder: Path) -> str:
    """A Python that finds Lava, takes its job, and fails."""
    path = folder / "python"
    path.write_text("#!/bin/sh\ntouch found; head -c 1 >/dev/null; echo 'OSError: none left'; exit 1\n")
    path.chmod(0o755)
    return str(path)


def test_where_lava_fails_all_else_is_done_and_marked_unverified(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(
        UnverifiedDeployment, match=r"Lava failed with exit code 1 \(OSError: none left\): check"
    ) as got:
        deploy(stir(StepLoop()).float(), FRAMES, folder=folder, lava=LavaSettings(python=failing(tmp_path)))
    assert got.value.exit_code == 4
    assert isinstance(got.value.__cause__, LavaError)
    done = got.value.deployment
    assert done.trace.samples == 4
    assert {path.name for path in folder.iterdir()} == FILES
    assert load_report(folder) == done.report
    assert done.report.lava.samples == 0
    assert done.report.lava.unverified == str(got.value.__cause__)
    with pytest.raises(UnverifiedDeployment):
        deploy_program(folder / "program.net", FRAMES, lava=LavaSettings(python=failing(tmp_path)))


def one_spike_more(worker: object, cases: Sequence[Case], timeout_s: float, *, models: str) -> list[Record]:
    """What Lava records, and a spike of the first neuron that is silent in step 0 of the first sample."""
    ((program, frames),) = cases
    true = verification.record(program, frames)
    spikes = true.layers[0].spikes.copy()
    place = np.argwhere(~spikes[0, 0])[0]
    spikes[(0, 0, *place)] = True
    return [Record((dataclasses.replace(true.layers[0], spikes=spikes), *true.layers[1:]))]


def test_where_lava_differs_the_deployment_is_kept_with_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "record_in", one_spike_more)
    with pytest.raises(
        UnverifiedDeployment, match=r"layer .*, sample 0, step 0: a spike where none was expected"
    ) as got:
        deploy(stir(StepLoop()).float(), FRAMES)
    lava = got.value.deployment.report.lava
    assert (lava.samples, lava.differences) == (2, 1)
    assert not isinstance(got.value.__cause__, LavaError)
    assert isinstance(got.value.__cause__, VerificationError)


def test_where_lava_is_missing_nothing_is_begun(tmp_path: Path) -> None:
    begun: list[str] = []
    with pytest.raises(LavaError, match=r"cannot be started .*--lava-samples 0"):
        deploy(
            stir(StepLoop()).float(),
            FRAMES,
            folder=tmp_path / "out",
            lava=LavaSettings(python=str(tmp_path / "none")),
            progress=lambda task, *_, **__: begun.append(task),
        )
    assert begun == []
    assert not (tmp_path / "out").exists()


def test_the_command_shows_and_keeps_an_unverified_deployment_and_ends_with_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ["--runs", str(tmp_path / "runs")]
    arguments = ["deploy", "--model", "digits-conv", "--samples", "3", *runs, "--lava-python"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, str(tmp_path / "none")])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (4, "")
    assert said.err.splitlines()[-1].startswith("Error: the interpreter ")
    assert not (tmp_path / "runs" / "0001-deploy-digits").exists()

    with pytest.raises(SystemExit) as ended:
        main([*arguments, failing(tmp_path)])
    said = capsys.readouterr()
    assert ended.value.code == 4
    assert "UNVERIFIED, nothing was compared: Lava failed with exit code 1" in " ".join(said.out.split())
    (run,) = (tmp_path / "runs").glob("0*-deploy-digits")
    kept, error = said.err.splitlines()[-2:]
    assert kept == f"kept in {run}"
    assert error.startswith("Error: Lava failed with exit code 1 (OSError: none left): check that")
    assert error.endswith("; all else is done, and its report says so")
    assert {path.name for path in run.iterdir()} == FILES
    with pytest.raises(SystemExit) as ended:
        main(["report", *runs])
    assert ended.value.code == 0
    assert "UNVERIFIED" in capsys.readouterr().out

    with pytest.raises(SystemExit) as ended:
        main([*arguments, failing(tmp_path), "--json"])
    assert ended.value.code == 4
    assert "OSError: none left" in json.loads(capsys.readouterr().out)["lava"]["unverified"]


def test_lava_is_imported_once_and_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that was started before any work is the one that runs the samples."""
    started: list[str | None] = []
    start = verification.start_worker
    monkeypatch.setattr(verification, "start_worker", lambda python: (started.append(python), start(python))[1])
    report = deploy(stir(StepLoop()).float(), FRAMES, lava=LavaSettings(python=sys.executable)).report
    assert started == [sys.executable]
    assert report.lava.samples == 2 and report.lava.unverified is None
