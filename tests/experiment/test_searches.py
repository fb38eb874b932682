"""One lottery search serves all targets that it passes through, with the figures of searches of their own."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sample_trials import PLAN, sample_work

from neuroprune.compression.settings import CompressSettings
from neuroprune.experiment.plan import parse_plan
from neuroprune.experiment.pool import Pool, ProcessPool, Work
from neuroprune.experiment.run import run_experiment
from neuroprune.experiment.searches import passes_through, rounds_of
from neuroprune.experiment.trials import trials_of
from neuroprune.training.settings import TrainSettings

TINY: dict[str, Any] = {
    "title": "Trains in a second",
    "data": "digits",
    "steps": 2,
    "layers": [{"conv": 8}, {"pool": "average"}, {"conv": 12}],
    "training": {"epochs": 1, "batch": 40, "lr": 0.01},
}


def plan(*sparsities: float, **settings: int) -> dict[str, Any]:
    comparison = {
        "name": "lottery",
        "targets": [{"sparsity": sparsity} for sparsity in sparsities],
        "settings": {"prune_epochs": 1, **settings},
        "fine_tuning": {"epochs": 1},
        "baseline": "lth",
        "variants": {"lth": {"method": "lth"}},
    }
    subset = {"train_per_class": 12, "test_per_class": 6}
    changes = {"data": {"name": "digits", "subset": subset}, "networks": [{"name": "tiny", "recipe": TINY}]}
    return {**PLAN, **changes, "seeds": [0], "chip": "loihi-sim", "comparisons": [comparison]}


def search(sparsity: float, **changes: Any) -> CompressSettings:
    tuning = TrainSettings(epochs=2, seed=changes.pop("seed", 0))
    return CompressSettings(
        **{"sparsity": sparsity, "method": "lth", "prune_epochs": 2, "fine_tune": tuning, **changes}
    )


def test_a_search_passes_through_shorter_ones_whose_rounds_are_its_own() -> None:
    assert passes_through(search(0.98), search(0.9))
    assert passes_through(search(0.98), search(0.95))
    assert not passes_through(search(0.9), search(0.98))
    assert not passes_through(search(0.9), search(0.9))
    assert not passes_through(search(0.98), search(0.92)), "no round of the longer one is at 92 %"
    assert not passes_through(search(0.98), search(0.9, seed=1))
    assert not passes_through(search(0.98, mask_momentum=False), search(0.9, mask_momentum=True))
    assert not passes_through(search(0.98, prune_epochs=3), search(0.9, prune_epochs=3)), "the last round is shorter"
    assert not passes_through(search(0.98, method="gmp"), search(0.9, method="gmp"))
    assert rounds_of(search(0.9, method="gmp")) == ()


def test_the_longest_search_of_a_variant_alone_is_run() -> None:
    trials = trials_of(parse_plan(plan(0.9, 0.95, 0.92, 0.98), "plan"))
    by_target = {trial.target: trial for trial in trials}
    longest = by_target["sparsity 0.98"]
    assert {target: trial.search for target, trial in by_target.items()} == {
        "sparsity 0.9": longest.place,
        "sparsity 0.95": longest.place,
        "sparsity 0.92": None,
        "sparsity 0.98": None,
    }
    assert [by_target[f"sparsity {share}"].epochs for share in (0.9, 0.95, 0.92, 0.98)] == [0, 0, 11, 17]
    assert not any(trial.search for trial in trials_of(parse_plan(plan(0.9, 0.98, prune_epochs=2), "plan")))


def test_what_is_read_in_a_search_is_what_a_search_of_its_own_gives(tmp_path: Path) -> None:
    shared = run_experiment(parse_plan(plan(0.9, 0.95), "plan"), tmp_path / "shared")
    (own,) = run_experiment(parse_plan(plan(0.9), "plan"), tmp_path / "own")
    read, run = shared
    assert not (tmp_path / "shared" / read.place / "checkpoint.json").exists()
    assert (tmp_path / "shared" / run.place / "checkpoint.json").exists()
    assert read.result is not None and own.result is not None and run.result is not None
    timeless = {"seconds": 0.0}
    assert read.result.model_copy(update=timeless) == own.result.model_copy(update=timeless)
    assert 0.0 < read.result.seconds < run.result.seconds
    assert read.model_copy(update={"result": None}) == own.model_copy(update={"result": None})


@pytest.mark.parametrize("slots", [1, 2])
def test_a_search_that_fails_fails_all_that_are_read_in_it_and_is_tried_again(tmp_path: Path, slots: int) -> None:
    def pool(mischief: dict[str, str]) -> Any:
        def make(work: Work) -> Pool:
            return ProcessPool(partial(sample_work, folder=tmp_path, mischief=mischief), slots)

        return make

    asked = parse_plan(plan(0.9, 0.95, 0.98), "plan")
    records = run_experiment(asked, tmp_path, pool=pool({"sparsity-0.98": "refuse"}))
    fault = "this is out of reach: ask for less"
    through = f"the search that it is read in failed: {fault}"
    assert [record.error for record in records] == [through, through, fault]
    assert not any(record.error for record in run_experiment(asked, tmp_path, pool=pool({})))
