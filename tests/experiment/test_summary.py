"""The summary: means, differences from the baseline, verdicts, and what failed; within 100 columns and as CSV."""

import csv
import io

import pytest
from rich.console import Console
from sample_trials import PLAN, sample_records

from neuroprune.experiment.plan import parse_plan
from neuroprune.experiment.record import TrialRecord, results_csv
from neuroprune.experiment.summary import Group, render, summarise, summary_csv

PLAN_OF_NET = parse_plan({**PLAN, "networks": [{"name": "net", "recipe": "digits-conv"}]}, "plan")
CLEAR = {
    "criticality": {0.9: [0.950, 0.952, 0.951, 0.949]},
    "gmp": {0.9: [0.901, 0.902, 0.901, 0.898]},
    "a-variant-of-a-name-as-long-as-they-go": {0.9: [0.800, 0.806, 0.801, 0.802]},
}


def groups_of(records: list[TrialRecord]) -> tuple[Group, ...]:
    return summarise(PLAN_OF_NET, records)


def text_of(groups: tuple[Group, ...]) -> str:
    console = Console(width=100, file=io.StringIO())
    for part in render(groups):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_best_is_named_where_all_others_are_behind() -> None:
    (group,) = groups_of(sample_records(CLEAR))
    criticality, gmp, _ = group.variants
    assert criticality.accuracy == pytest.approx(0.9505)
    assert criticality.deviation == pytest.approx(0.00129099, rel=1e-4)
    assert gmp.difference is None
    assert criticality.difference is not None
    assert criticality.difference.mean == pytest.approx(0.05)
    assert group.sentence == "criticality is best: every other variant is behind by more than chance"
    assert [group.standing(each.variant) for each in group.variants] == ["best", "behind", "behind"]


def test_a_tie_is_called_a_tie() -> None:
    (group,) = groups_of(sample_records({"criticality": {0.9: [0.95, 0.93]}, "gmp": {0.9: [0.94, 0.935]}}))
    assert group.sentence == "no winner: criticality and gmp cannot be told apart on 2 seeds"
    assert {group.standing(each.variant) for each in group.variants} == {"tied"}


def test_each_target_is_a_group_in_the_order_of_the_plan() -> None:
    records = sample_records({"criticality": {0.9: [0.9], 0.95: [0.8]}, "gmp": {0.9: [0.9], 0.95: [0.8]}})
    groups = groups_of(records)
    assert [(group.network, group.target) for group in groups] == [("net", "sparsity 0.9"), ("net", "sparsity 0.95")]


def test_the_table_fits_a_hundred_columns_and_says_all() -> None:
    text = text_of(groups_of(sample_records(CLEAR)))
    assert max(map(len, text.splitlines())) <= 100
    for part in ("95.05 ± 0.13", "+5.00 (+4.", "10.0%", "best", "net, sparsity 0.9 (dense 95.00%)"):
        assert part in text


def test_failed_trials_are_named_and_counted_out() -> None:
    records = sample_records(CLEAR)
    records[0] = records[0].model_copy(update={"result": None, "error": "this is out of reach"})
    (group,) = groups_of(records)
    assert {each.variant: (each.seeds, each.failed) for each in group.variants}["criticality"] == (3, 1)
    assert "failed: criticality of seed 0" in text_of((group,))
    rows = list(csv.DictReader(io.StringIO(results_csv(records))))
    assert (rows[0]["status"], rows[0]["error"], rows[0]["accuracy"]) == ("failed", "this is out of reach", "")
    assert (rows[1]["status"], rows[1]["accuracy"], rows[1]["asked"]) == ("done", "0.952", "0.9")


def test_where_all_failed_there_is_no_verdict() -> None:
    records = [each.model_copy(update={"result": None, "error": "no"}) for each in sample_records(CLEAR)]
    (group,) = groups_of(records)
    assert group.verdict is None
    assert "no trial was finished" in text_of((group,))


def test_the_csv_has_a_row_for_each_variant() -> None:
    rows = list(csv.DictReader(io.StringIO(summary_csv(groups_of(sample_records(CLEAR))))))
    assert [row["variant"] for row in rows] == list(CLEAR)
    assert rows[0]["standing"] == "best"
    assert float(rows[0]["difference"]) == pytest.approx(0.05)
    assert rows[1]["difference"] == ""
