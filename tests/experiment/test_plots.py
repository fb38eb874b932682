"""Plots: which are made of which data, as PNG and SVG, the same bytes each time, and with the figures in them."""

from pathlib import Path

import numpy as np
import pytest
from sample_trials import PLAN, sample_compression, sample_records

from neuroprune.compression.record import FILE as COMPRESSION, LayerShare
from neuroprune.experiment.plan import Plan, parse_plan
from neuroprune.experiment.plots.draw import draw
from neuroprune.experiment.record import FEATURES, IMPORTANCE, FeatureRecord, ImportanceRecord, TrialRecord
from neuroprune.records import save_record

LEVELS = {
    "criticality": (0.02, 0.6),
    "gmp": (0.03, 0.0),
    "granet": (0.035, 0.4),
    "random": (0.05, 0.3),
    "lth": (0.06, 0),
}


KEPT = {name: tuple(range(number, number + 5)) for number, name in enumerate(LEVELS)}
"""Channels that variants left."""


def sample_experiment(folder: Path) -> tuple[Plan, list[TrialRecord]]:
    """Five variants at two sparsities with three seeds, and a sweep of r."""
    random = np.random.default_rng(0)

    def accuracies(loss: float, sparsity: float) -> list[float]:
        return (0.95 - loss / (1 - sparsity) / 20 + random.normal(0, 0.003, 3)).tolist()

    records = sample_records(
        {name: {s: accuracies(loss, s) for s in (0.95, 0.98)} for name, (loss, _) in LEVELS.items()}
    )
    for r in (0.1, 0.3, 0.5):
        records += sample_records({f"r{r}": {0.95: accuracies(0.02 + abs(r - 0.3) / 10, 0.95)}}, regeneration=r)
    for record in records:
        place = folder / record.place
        compression = sample_compression(record, rescued=LEVELS.get(record.variant, (0, 0))[1])
        layer = LayerShare(name="conv", before=10, after=5, regenerated=0, kept=KEPT.get(record.variant))
        save_record(compression.model_copy(update={"layers": (layer,)}), place / COMPRESSION)
        if record.variant in LEVELS:
            variance, similarity = random.uniform(0.02, 0.05, 10), random.uniform(0.9, 1.0, 10)
            features = FeatureRecord(variance=tuple(variance.tolist()), similarity=tuple(similarity.tolist()))
            save_record(features, place / FEATURES)
            scales = tuple(tuple(random.uniform(0.5, 1.5, len(KEPT[record.variant])).tolist()) for _ in range(7))
            save_record(ImportanceRecord(layers={"conv": scales}), place / IMPORTANCE)
    return parse_plan({**PLAN, "networks": [{"name": "net", "recipe": "digits-conv"}]}, "plan"), records


def test_every_plot_is_made_that_there_is_data_for(tmp_path: Path) -> None:
    plan, records = sample_experiment(tmp_path)
    drawn = [file.name.removeprefix("weights-net-") for file in draw(plan, records, tmp_path)]
    by_target = ("survival", "curves", "importance-transition", "intra-class-variance", "train-test-similarity")
    assert sorted(drawn) == sorted(
        [
            "accuracy-sparsity",
            "accuracy-cores",
            "accuracy-flops",
            "accuracy-synops",
            "effect-of-regeneration",
            *(f"{name}-sparsity-{sparsity}" for name in by_target for sparsity in (0.95, 0.98)),
        ]
    )
    for file in (tmp_path / "plots").iterdir():
        start = file.read_bytes()[:8]
        assert start.startswith(b"\x89PNG" if file.suffix == ".png" else b"<?xml"), file
    assert len(list((tmp_path / "plots").iterdir())) == 2 * len(drawn)


def test_plots_have_the_names_and_the_axes_in_them_and_are_the_same_bytes_again(tmp_path: Path) -> None:
    plan, records = sample_experiment(tmp_path)
    first = {file: file.with_name(f"{file.name}.svg").read_bytes() for file in draw(plan, records, tmp_path)}
    again = {file: file.with_name(f"{file.name}.svg").read_bytes() for file in draw(plan, records, tmp_path)}
    assert first == again
    (sparsity,) = (content.decode() for file, content in first.items() if file.name.endswith("accuracy-sparsity"))
    for text in ("criticality", "granet", "dense", "95%", "98%", "test accuracy, %", "Accuracy against sparsity"):
        assert text in sparsity


def test_failed_trials_are_not_drawn(tmp_path: Path) -> None:
    plan, records = sample_experiment(tmp_path)
    failed = [record.model_copy(update={"result": None, "error": "out of reach"}) for record in records]
    assert draw(plan, failed, tmp_path) == ()


@pytest.mark.parametrize("name", ["prune_epochs", "regeneration"])
def test_the_effect_of_one_setting_is_drawn_of_variants_that_differ_in_no_other(tmp_path: Path, name: str) -> None:
    plan, _ = sample_experiment(tmp_path)
    few, many = ({name: 0}, {name: 0.5}) if name == "regeneration" else ({name: 2}, {name: 4})
    one, other = sample_records({"a": {0.9: [0.9]}}, **few), sample_records({"b": {0.9: [0.8]}}, **many)
    drawn = [file.name for file in draw(plan, [*one, *other], tmp_path)]
    assert f"weights-net-effect-of-{name.replace('_', '-')}" in drawn
    apart = sample_records({"b": {0.9: [0.8]}}, **many, layer_floor=0.05)
    assert not [file for file in draw(plan, [*one, *apart], tmp_path) if "effect" in file.name]
