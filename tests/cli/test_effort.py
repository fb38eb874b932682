"""`--effort` of deploy and check, and `--optimize` of deploy."""

import json
from pathlib import Path

import pytest
from command_line import Answer, Line

DEPLOY = ("deploy", "--model", "digits-conv", "--samples", "10", "--lava-samples", "0")


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Line:
    return Line(tmp_path / "runs", capsys)


def report(answer: Answer) -> dict:
    assert answer.code == 0, answer.err
    found: dict = json.loads(answer.out)
    return found


def test_an_effort_is_kept_in_the_report_and_check_agrees(line: Line) -> None:
    found = report(line(*DEPLOY, "--effort", "layers", "--json"))
    assert found["bound"]["effort"] == "layers"
    assert found["bound"]["cores"] == found["totals"]["cores"]
    assert report(line("check", "digits-conv", "--effort", "layers", "--json"))["cores"] == found["totals"]["cores"]

    few = report(line(*DEPLOY, "--optimize", "traffic", "--json"))
    assert few["bound"]["effort"] == "normal"
    assert few["totals"]["cores"] <= found["totals"]["cores"]
    assert few["traffic"]["messages_per_sample"] <= found["traffic"]["messages_per_sample"]


def test_a_step_mapped_for_time_is_no_longer_than_one_on_the_fewest_cores(line: Line) -> None:
    fewest, fast = (report(line(*DEPLOY, "--optimize", aim, "--json")) for aim in ("cores", "time"))
    assert fewest["costs"][0]["model"] == fast["costs"][0]["model"] == "davies-2018"
    assert fast["costs"][0]["step"]["total_ns"] <= fewest["costs"][0]["step"]["total_ns"]
    assert fast["totals"]["cores"] <= report(line(*DEPLOY, "--effort", "layers", "--json"))["totals"]["cores"]
    assert fast["totals"]["synops_per_sample"] == fewest["totals"]["synops_per_sample"]


def test_few_messages_without_a_search_end_with_2_and_leave_nothing(line: Line, tmp_path: Path) -> None:
    answer = line(*DEPLOY, "--optimize", "traffic", "--effort", "layers")
    assert answer.code == 2
    assert answer.err.strip().splitlines()[-1] == (
        "Error: few messages are found by cutting all layers together, but effort layers cuts each by itself: take a "
        "higher one, or optimize cores"
    )
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("command", [DEPLOY, ("check", "digits-conv")])
def test_an_effort_that_there_is_not_ends_with_2(line: Line, command: tuple[str, ...]) -> None:
    answer = line(*command, "--effort", "most")
    assert answer.code == 2
    assert "'most' is not one of 'layers', 'normal', 'high'" in answer.err
