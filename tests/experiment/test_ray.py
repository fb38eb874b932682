"""Ray in place of processes of our own, on a cluster that Ray starts on this machine."""

import sys
from functools import partial
from pathlib import Path

import pytest
from sample_trials import PLAN, sample_work

from neuroprune.errors import InputError
from neuroprune.experiment.plan import parse_plan
from neuroprune.experiment.pool import Pool, Work
from neuroprune.experiment.ray_pool import RayPool
from neuroprune.experiment.run import run_experiment


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_cluster_does_every_job_and_begins_again_those_whose_process_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))  # for the processes that Ray starts
    mischief = {"criticality-sparsity-0.9-seed1": "die once", "gmp-sparsity-0.9-seed0": "refuse"}

    def pool(work: Work) -> Pool:
        return RayPool(partial(sample_work, folder=tmp_path, mischief=mischief), "local")

    plan = {**PLAN, "comparisons": PLAN["comparisons"][:1]}
    records = run_experiment(parse_plan(plan, "plan"), tmp_path, pool=pool)
    assert [record.error for record in records] == ["", "this is out of reach: ask for less", "", ""]


def test_a_missing_ray_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"needs the package ray, which is not installed: install neuroprune\[ray\]"):
        RayPool(lambda job, progress: None)
