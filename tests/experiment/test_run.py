"""The runner: every job once, failures told apart, and whatever is killed is gone on with."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from sample_trials import PLAN, sample_work

from neuroprune.errors import InputError
from neuroprune.experiment.plan import load_plan, parse_plan
from neuroprune.experiment.pool import Pool, ProcessPool, Work
from neuroprune.experiment.record import TrialRecord
from neuroprune.experiment.run import run_experiment
from neuroprune.experiment.trials import dense_of, trials_of
from neuroprune.folders import is_alive

PLACES = len(trials_of(parse_plan(PLAN, "plan")))


def of_samples(folder: Path, mischief: dict[str, str], slots: int = 2) -> Pool:
    return ProcessPool(partial(sample_work, folder=folder, mischief=mischief), slots)


def run(folder: Path, mischief: dict[str, str] | None = None, slots: int = 2) -> tuple[TrialRecord, ...]:
    def pool(work: Work) -> Pool:
        return of_samples(folder, mischief or {}, slots)

    return run_experiment(parse_plan(PLAN, "plan"), folder, pool=pool)


def done(folder: Path) -> Counter[str]:
    """How often each job was begun."""
    return Counter(line.split()[0] for line in (folder / "log.txt").read_text().splitlines())


def works(process: int) -> bool:
    """Whether a process is there and is not one that has ended and that nobody asks for."""
    status = Path("/proc", str(process), "stat")
    return is_alive(process) and not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_every_job_is_done_once_and_trainings_are_shared(tmp_path: Path) -> None:
    records = run(tmp_path)
    trials = trials_of(parse_plan(PLAN, "plan"))
    assert [record.place for record in records] == [str(trial.place) for trial in trials]
    assert len(records) == 2 * (2 + 2 * 2)
    assert done(tmp_path) == {str(job.place): 1 for job in (*dense_of(trials), *trials)}
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + len(records)
    assert rows[1].startswith("digits-conv,0,weights,criticality,unstructured,criticality,sparsity,0.9,0.9,0.")


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    first = run(tmp_path)
    again = run(tmp_path)
    assert again == first
    assert set(done(tmp_path).values()) == {1}


def test_a_trial_that_fails_is_recorded_stops_no_other_and_is_tried_again(tmp_path: Path) -> None:
    records = run(tmp_path, {"gmp-sparsity-0.9-seed0": "refuse", "slimming-flops-0.3-seed1": "crash"})
    failed = {record.place.rpartition("/")[2]: record.error for record in records if record.error}
    assert failed == {
        "digits-conv-gmp-sparsity-0.9-seed0": "this is out of reach: ask for less",
        "digits-conv-slimming-flops-0.3-seed1": "ZeroDivisionError: by mistake",
    }
    assert sum(record.result is not None for record in records) == PLACES - 2
    details = tmp_path / "trials" / "channels" / "digits-conv-slimming-flops-0.3-seed1" / "error.txt"
    assert "sample_work" in details.read_text()
    assert "failed,this is out of reach: ask for less" in (tmp_path / "results.csv").read_text()
    assert not [record for record in run(tmp_path) if record.error]
    assert sorted(Counter(done(tmp_path).values()).items()) == [(1, PLACES), (2, 2)]


def test_a_training_that_fails_fails_the_trials_that_begin_with_it(tmp_path: Path) -> None:
    records = run(tmp_path, {"dense/digits-conv-seed1": "refuse"})
    errors = {record.seed: record.error for record in records}
    assert errors == {0: "", 1: "the dense training failed: this is out of reach: ask for less"}


def test_the_job_of_a_process_that_is_killed_is_gone_on_with_by_another(tmp_path: Path) -> None:
    records = run(tmp_path, {"criticality-sparsity-0.9-seed1": "die once", "dense/digits-conv-seed0": "die once"})
    assert not [record.error for record in records if record.error]
    assert done(tmp_path)["dense/digits-conv-seed0"] == 2


def test_a_job_that_kills_every_process_is_given_up(tmp_path: Path) -> None:
    records = run(tmp_path, {"r0.1-flops-0.5-seed0": "die"}, slots=1)
    (error,) = {record.error for record in records if record.error}
    assert error == (
        "3 processes that did it ended by signal 9: if that was for lack of memory, run fewer jobs at once"
    )


def test_a_runner_that_is_killed_takes_its_processes_with_it_and_another_goes_on(tmp_path: Path) -> None:
    code = f"from pathlib import Path; import test_run\ntest_run.run(Path({str(tmp_path)!r}), {{'seed1': 'wait'}})\n"
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    runner = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        until = time.monotonic() + 120
        log = tmp_path / "log.txt"
        while not (log.exists() and "seed1" in log.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        with pytest.raises(InputError, match="is in use by another command"):
            run(tmp_path)
    finally:
        runner.send_signal(signal.SIGKILL)
        runner.wait()
    workers = {int(line.split()[1]) for line in log.read_text().splitlines()}
    until = time.monotonic() + 60
    while any(map(works, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert workers
    assert not any(map(works, workers))
    before = done(tmp_path)
    records = run(tmp_path)
    assert len(records) == PLACES
    assert not [record for record in records if record.error]
    assert all(count == 1 for place, count in done(tmp_path).items() if place in before and "seed1" not in place)


def test_an_experiment_of_other_settings_is_refused(tmp_path: Path) -> None:
    plan = parse_plan({**PLAN, "training": {"epochs": 3}}, "plan")
    place = tmp_path / "dense" / "digits-conv-seed0"
    place.mkdir(parents=True)
    from neuroprune.experiment.work import DESCRIPTION, describe
    from neuroprune.files import write_json

    write_json(place / DESCRIPTION, describe(dense_of(trials_of(plan))[0], plan))
    with pytest.raises(
        InputError,
        match=r"seed0 was begun with training.epochs = 3, but the plan asks for 2: give the experiment another",
    ):
        run(tmp_path)


NETWORK = """
from torch import nn
from spikingjelly.activation_based import layer, neuron
from beside import CHANNELS

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            layer.Conv2d(1, CHANNELS, 3), layer.BatchNorm2d(CHANNELS), neuron.IFNode(), layer.Flatten(),
            layer.Linear(36 * CHANNELS, 10), neuron.IFNode(),
        )

    def forward(self, x):
        return self.body(x)
"""


def test_files_that_a_plan_names_are_seen_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, elsewhere = tmp_path / "plans", tmp_path / "elsewhere"
    (place / "code").mkdir(parents=True)
    elsewhere.mkdir()
    (place / "code" / "net.py").write_text(NETWORK)
    (place / "code" / "beside.py").write_text("CHANNELS = 4")
    (place / "tiny.yaml").write_text("title: tiny\ndata: digits\nsteps: 2\nlayers:\n  - {conv: 4}\n")
    (place / "chip.yaml").write_text("extends: loihi-sim\n")
    (place / "plan.yaml").write_text(
        "title: t\ndata: {name: digits, steps: 2, subset: {train_per_class: 3, test_per_class: 2}}\n"
        "networks: [{model: 'code/net.py:Net'}, tiny.yaml]\nseeds: [0]\ntraining: {epochs: 1}\nchip: chip.yaml\n"
        "comparisons: [{name: channels, targets: [{flops: 0.5}], fine_tuning: {epochs: 0}, baseline: uniform,"
        " variants: {uniform: {method: uniform}}}]\n"
    )
    monkeypatch.chdir(elsewhere)
    first = run_experiment(load_plan("../plans/plan.yaml"), Path("out"), models=["code/net.py:Net"])
    assert [(each.network, each.error) for each in first] == [("Net", ""), ("tiny", "")]
    monkeypatch.chdir(place)
    again = run_experiment(load_plan("plan.yaml"), elsewhere / "out", models=["code/net.py:Net"])
    assert again == first
    (place / "code" / "net.py").unlink()
    with pytest.raises(
        InputError, match=f"plan names the network code/net.py:Net, but {place / 'code' / 'net.py'} is not there: cor"
    ):
        run_experiment(load_plan("plan.yaml"), tmp_path / "other", models=["code/net.py:Net"])
    assert not (tmp_path / "other").exists()


def test_a_class_that_only_the_plan_names_is_not_executed(tmp_path: Path) -> None:
    plan = parse_plan({**PLAN, "networks": [{"model": "net.py:Net"}]}, "plan")
    with pytest.raises(InputError, match=r"whose code is not run unless you name it: add --model net\.py:Net"):
        run_experiment(plan, tmp_path)
