"""`--fail-if`, `report --html` and `compare`, from the command line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer, Line, ended

QUICK = ("--model", "digits-conv", "--samples", "4", "--lava-samples", "0")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two deployments of 4 samples, one of them with 4 bits."""
    folder = tmp_path_factory.mktemp("gates") / "runs"
    for options in ((), ("--bits", "4")):
        assert ended("deploy", *QUICK, *options, "--runs", str(folder)) == 0
    return folder


@pytest.fixture
def line(runs: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> Answer:
        return Line(runs, capsys)(*arguments)

    return run


def last(answer: Answer) -> str:
    return answer.err.strip().splitlines()[-1]


def test_a_deployment_that_fails_a_gate_is_kept_and_ends_with_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = ("--fail-if", "cores>2", "--fail-if", "neurons>1", "--fail-if", "chips>1")
    answer = Line(tmp_path / "runs", capsys)("deploy", *QUICK, *conditions, "--json")
    assert answer.code == 5
    report = json.loads(answer.out)
    assert last(answer) == (
        f"Error: totals.cores is {report['totals']['cores']}, and at most 2 passes --fail-if 'cores>2'; "
        f"totals.neurons is {report['totals']['neurons']:,}, and at most 1 passes --fail-if 'neurons>1'"
    )
    (folder,) = (tmp_path / "runs").glob("*-deploy-digits")
    assert json.loads((folder / "report.json").read_text()) == report
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_a_deployment_that_passes_its_gates_ends_as_without_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Line(tmp_path / "runs", capsys)("deploy", *QUICK, "--fail-if", "cores>32")
    assert answer.code == 0, answer.err
    assert last(answer).startswith("next: neuroprune report ")


def test_a_gate_that_no_report_can_answer_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Line(tmp_path / "runs", capsys)("deploy", *QUICK, "--fail-if", "speed>2")
    assert answer.code == 2
    assert answer.err.startswith("Error: speed is no figure of a report, since there is no speed among ")
    assert not (tmp_path / "runs").exists()


def test_what_lava_differs_in_outweighs_a_gate_that_is_told_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lava")
    asked = ("deploy", "--model", "digits-conv", "--samples", "4", "--lava-timeout", "0.001", "--fail-if", "cores>2")
    answer = Line(tmp_path / "runs", capsys)(*asked)
    assert answer.code == 4
    assert "and at most 2 passes --fail-if 'cores>2'" in answer.err
    assert last(answer).startswith("Error: ") and "its report says so" in last(answer)


def test_a_report_can_be_gated_later(line: Any) -> None:
    assert line("report", "1", "--fail-if", "cores>32").code == 0
    answer = line("report", "1", "--fail-if", "differences>0", "--json")
    assert answer.code == 5 and json.loads(answer.out)["samples"] == 4
    assert last(answer) == (
        "Error: lava.differences is not known, so that --fail-if 'differences>0' cannot be ruled out"
    )


def test_a_gate_on_a_layer_that_is_not_there_is_refused(line: Any) -> None:
    answer = line("report", "1", "--fail-if", "layers.conv9.neurons>1")
    assert answer.code == 2
    assert last(answer) == (
        "Error: layers.conv9.neurons of --fail-if 'layers.conv9.neurons>1' is not in this report: "
        "`neuroprune report --json` has all"
    )


def test_a_report_is_written_as_a_page(line: Any, runs: Path, tmp_path: Path) -> None:
    answer = line("report", "1", "--html", str(tmp_path / "page.html"))
    assert answer.code == 0, answer.err
    assert f"the page is {tmp_path / 'page.html'}" in answer.err
    assert (tmp_path / "page.html").read_text() == (runs / "0001-deploy-digits" / "report.html").read_text()


@pytest.mark.parametrize(("option", "value"), [("--html", "page.html"), ("--fail-if", "cores>2")])
def test_what_is_for_deployments_is_refused_for_other_runs(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "0001-compress-x").mkdir(parents=True)
    (tmp_path / "runs" / "0001-compress-x" / "compress.json").write_text("{}")
    answer = Line(tmp_path / "runs", capsys)("report", "1", option, value)
    assert answer.code == 2
    assert re.search(rf"Error: {option} cannot apply here, since .*0001-compress-x is no deployment", last(answer))
    assert not (tmp_path / "page.html").exists()


def test_deployments_are_compared_by_number_folder_and_file(line: Any, runs: Path) -> None:
    file = runs / "0001-deploy-digits" / "report.json"
    answer = line("compare", "1", str(runs / "0002-deploy-digits"), str(file), "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    names = ["1: 0001-deploy-digits", "0002-deploy-digits", "3: 0001-deploy-digits"]
    assert [each["name"] for each in found["reports"]] == names
    assert [each["bits"] for each in found["reports"]] == [[8], [4], [8]]
    cores = next(each for each in found["figures"] if each["name"] == "cores")
    assert cores["values"][0] == cores["values"][2] == json.loads(file.read_text())["totals"]["cores"]
    assert found["remarks"] == []


def test_a_comparison_is_shown_and_written_as_a_page(line: Any, tmp_path: Path) -> None:
    answer = line("compare", "1", "2", "--html", str(tmp_path / "compared.html"))
    assert answer.code == 0, answer.err
    assert "0002-deploy-digits: digits-conv, untrained on loihi-sim, 4 samples of digits, 4 steps, 4 bits" in answer.out
    assert "0002-deploy-digits: accuracy " in answer.out and "body.neuron1" in answer.out
    assert "2 reports compared" in (tmp_path / "compared.html").read_text()
    assert last(line("compare", "1", "2")) == "next: neuroprune compare 1 2 --html compared.html"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "missing argument 'RUN RUN...'"),
        (["1"], "1 alone is nothing to compare: name two deployments or more"),
        (["1", "7"], "run 7 is neither a folder nor a run in "),
        (["1", "{notes}"], "notes.txt is not whole JSON"),
        (["1", "{folder}"], "holds no report.json, so it is no finished deploy run"),
        (["1", "{unfinished}"], "is unfinished and no deployment: name one that `neuroprune deploy` has made"),
        (["1", "2", "--html", "{folder}"], "is a directory"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    line: Any, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "notes.txt").write_text("no report")
    (tmp_path / "unfinished").mkdir()
    for name in ("training.safetensors", "checkpoint.json"):
        (tmp_path / "unfinished" / name).write_text("")
    places = {"notes": tmp_path / "notes.txt", "folder": tmp_path, "unfinished": tmp_path / "unfinished"}
    answer = line("compare", *(each.format(**places) for each in arguments))
    assert (answer.code, answer.out) == (2, "")
    assert sentence in last(answer)
