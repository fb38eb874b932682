"""Plans: the shipped ones can be run, shared trainings are shared, and every fault is one sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from sample_trials import PLAN

from neuroprune.compression.catalog import METHODS
from neuroprune.errors import InputError
from neuroprune.experiment.plan import list_plans, load_plan, parse_plan
from neuroprune.experiment.trials import dense_of, trials_of
from neuroprune.networks.recipe import load_recipe


def changed(**changes: Any) -> dict[str, Any]:
    return {**PLAN, **changes}


def with_comparison(**changes: Any) -> dict[str, Any]:
    return changed(comparisons=[{**PLAN["comparisons"][0], **changes}])


@pytest.mark.parametrize("name", list_plans())
def test_every_shipped_plan_has_trials_that_can_be_run(name: str) -> None:
    plan = load_plan(name)
    assert plan.name == name
    trials = trials_of(plan)
    assert len(dense_of(trials)) == len(plan.networks) * len(plan.seeds)
    assert {trial.dense.seed for trial in trials} == set(plan.seeds)


def test_the_plans_of_the_papers_are_there_with_their_settings() -> None:
    assert {f"paper-table-{name}" for name in ("1-cifar10", "1-cifar100", "2", "3")} <= set(list_plans())
    criticality = next(each for each in trials_of(load_plan("paper-table-1-cifar100")) if each.variant == "criticality")
    settings, tuning = criticality.settings, criticality.settings.fine_tune
    assert tuning is not None
    assert (settings.prune_epochs, settings.interval, tuning.epochs) == (200, 2000, 300)
    assert (tuning.lr, tuning.weight_decay, tuning.schedule, tuning.optimizer, tuning.batch) == (
        0.3, 5e-4, "cosine", "sgd", 128,
    )  # fmt: skip
    table3 = next(each for each in trials_of(load_plan("paper-table-3")) if each.variant == "slimming")
    assert (table3.dense.settings.l1, table3.dense.settings.milestones, table3.dense.epochs) == (1e-4, (80, 120), 160)


def test_every_method_is_in_a_shipped_plan() -> None:
    used = {trial.settings.method for name in list_plans() for trial in trials_of(load_plan(name))}
    assert used >= {method.name for method in METHODS} - {"early-bird", "own"}


def test_a_trial_is_a_network_a_seed_a_variant_and_a_target() -> None:
    trials = trials_of(parse_plan(PLAN, "plan"))
    assert [trial.title for trial in trials[:3]] == [
        "digits-conv, seed 0, criticality, sparsity 0.9",
        "digits-conv, seed 0, gmp, sparsity 0.9",
        "digits-conv, seed 0, slimming, flops 0.5",
    ]
    assert len({trial.place for trial in trials}) == len(trials) == 12
    assert len(dense_of(trials)) == 2


def test_settings_of_the_plan_the_network_the_comparison_and_the_variant_follow_each_other() -> None:
    plan = with_comparison(
        settings={"prune_epochs": 3},
        fine_tuning={"epochs": 2, "lr": 0.01},
        variants={"gmp": {"method": "gmp"}, "long": {"prune_epochs": 5, "fine_tuning": {"epochs": 7}}},
    )
    plan["networks"] = [{"recipe": "digits-conv", "training": {"batch": 32}}]
    gmp, long = trials_of(parse_plan(plan, "plan"))[:2]
    assert gmp.settings.fine_tune is not None
    assert long.settings.fine_tune is not None
    assert (gmp.settings.prune_epochs, gmp.settings.fine_tune.epochs, gmp.settings.fine_tune.lr) == (3, 2, 0.01)
    assert (long.settings.prune_epochs, long.settings.fine_tune.epochs, long.settings.fine_tune.lr) == (5, 7, 0.01)
    assert long.dense.settings.batch == long.settings.fine_tune.batch == 32
    assert long.dense.settings.epochs == 2
    assert long.settings.fine_tune.l1 == 0.0 < long.dense.settings.l1


def test_what_begins_with_initial_weights_has_the_rate_of_the_training_and_what_is_cut_that_of_fine_tuning() -> None:
    plan = parse_plan({**PLAN, "networks": ["digits-conv"], "training": {"lr": 0.02}}, "plan")
    rates = {
        trial.variant: trial.settings.fine_tune.lr for trial in trials_of(plan) if trial.settings.fine_tune is not None
    }
    usual = load_recipe("digits-conv").fine_tuning.lr
    assert rates == {"criticality": 0.02, "gmp": 0.02, "slimming": usual, "r0.1": usual}


def test_no_epochs_of_fine_tuning_leave_a_network_as_it_was_cut() -> None:
    plan = changed(comparisons=[{**PLAN["comparisons"][1], "fine_tuning": {"epochs": 0}}])
    assert {trial.settings.fine_tune for trial in trials_of(parse_plan(plan, "plan"))} == {None}


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (changed(seed=1), "plan p has the unknown key seed; allowed here are name, title, data, networks, seeds"),
        (
            changed(data={"name": "digits", "crop": 3}),
            "unknown key data.crop; allowed here are name, coding, steps, subset",
        ),
        (
            changed(data={"name": "digits", "subset": {"croop": 3}}),
            "unknown key data.subset.croop; allowed here are train_",
        ),
        (changed(data={"name": "digits", "subset": {"pool": 0}}), "pool of a subset is 0, but must be at least 1"),
        (
            changed(networks=[{"recipe": "digits-conv", "train": {}}]),
            "unknown key networks.0.train; allowed here are name",
        ),
        (with_comparison(method="gmp"), "unknown key comparisons.0.method; allowed here are name, targets, settings"),
        ({k: v for k, v in PLAN.items() if k != "seeds"}, "plan p lacks the key seeds: add it"),
        (changed(seeds=[]), r"plan p has seeds = \[\], which is not allowed"),
        (changed(seeds=[1, 1]), "plan p cannot be run: it has the seed 1 2 times: leave it out or rename it"),
        (changed(seeds=[-1]), "plan p has seeds.0 = -1, which is not allowed"),
        (changed(networks=[{"name": "n"}]), "has a fault at networks.0: a network has either a recipe or a model"),
        (
            with_comparison(baseline="none"),
            "its baseline none is none of its variants criticality, gmp: name one of them",
        ),
        (with_comparison(name="a b"), "has the name 'a b' at comparisons.0.name, but names are of letters, digits and"),
        (changed(analyses=["dreams"]), "has analyses.0 = 'dreams', which is not allowed"),
    ],
)
def test_a_fault_in_the_form_of_a_plan_is_said_in_a_sentence(plan: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_plan(plan, "plan p")


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (changed(data={"name": "letters"}), "there is no data set 'letters': choose one of digits, "),
        (changed(networks=["vgg17"]), "there is no recipe vgg17; choose one of "),
        (changed(networks=["digits-conv", "digits-conv"]), "plan sample has 2 networks called digits-conv: give each"),
        (
            changed(training={"epoch": 3}),
            "network digits-conv, training has the unknown key 'epoch'; allowed here are epochs",
        ),
        (changed(training={"seed": 3}), "training has the unknown key 'seed'; allowed here are epochs"),
        (changed(training={"epochs": "few"}), "training has epochs = 'few', which is not allowed"),
        (changed(training={"lr": 0}), "training: training setting lr is 0.0, but must lie above 0"),
        (
            with_comparison(fine_tuning={"lr": -1}),
            "comparison weights, variant criticality, fine_tuning: training setting lr",
        ),
        (
            with_comparison(variants={"gmp": {"method": "gnp"}}),
            "variant gmp: there is no pruning method 'gnp': choose one of criticality",
        ),
        (
            with_comparison(variants={"gmp": {"methods": "gmp"}}),
            "variant gmp has the unknown key 'methods'; allowed here are",
        ),
        (
            with_comparison(variants={"gmp": {"sparsity": 0.5}}),
            "variant gmp has the unknown key 'sparsity'; allowed here",
        ),
        (with_comparison(variants={"gmp": {"method": "slimming"}}), "variant gmp: method slimming prunes "),
        (with_comparison(settings={"score": "luck"}), "variant criticality has score = 'luck', which is not allowed"),
        (
            with_comparison(targets=[{"sparsity": 0.5, "flops": 0.5}]),
            "comparison weights has the target {'flops': 0.5, 'sparsity': 0.5}, but sparsity is of single weights ",
        ),
        (
            with_comparison(targets=[{"sparsity": 0.5}, {"flops": 0.5}]),
            "has targets of single weights and of whole channels",
        ),
        (with_comparison(targets=[{"sparsity": 1.5}]), "a sparsity of 1.5 cannot be reached"),
        (
            with_comparison(targets=[{"spasity": 0.5}]),
            "targets has the unknown key 'spasity'; allowed here are flops, params",
        ),
        (
            with_comparison(targets=[{"sparsity": 0.5}] * 2),
            "has two trials that would lie in trials/weights/digits-conv-crit",
        ),
    ],
)
def test_what_no_trial_could_be_run_with_is_said_before_any_is(plan: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        trials_of(parse_plan(plan, "plan p"))


def test_files_that_are_no_plans_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("- a\n")
    with pytest.raises(InputError, match="holds list, but must hold keys such as data, networks and comparisons"):
        load_plan(str(file))
    file.write_text("a: !!python/object/apply:os.system [ls]\n")
    with pytest.raises(InputError, match="is not valid YAML"):
        load_plan(str(file))
    with pytest.raises(InputError, match="there is no plan smaal: choose one of "):
        load_plan("smaal")


def test_a_plan_is_read_from_a_file_and_called_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in PLAN.items() if key != "name"}))
    assert load_plan(str(file)) == parse_plan({**PLAN, "name": "mine"}, "plan", tmp_path.resolve())
