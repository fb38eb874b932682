"""Reports on disk: what is written is read again, and what is not a report is refused in one sentence."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from neuroprune.errors import InputError, OutputError
from neuroprune.report.schema import AccuracyLadder, Report, load_report, save_report


def test_a_report_is_read_as_it_was_written(report: Report, tmp_path: Path) -> None:
    save_report(report, tmp_path / "report.json")
    assert load_report(tmp_path / "report.json") == report
    assert load_report(tmp_path) == report


def test_a_report_carries_its_schema_version(report: Report, tmp_path: Path) -> None:
    save_report(report, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["schema_version"] == 4


def test_a_report_cannot_be_changed(report: Report) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        report.samples = 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_accuracies_are_shares_or_unknown(value: float) -> None:
    assert AccuracyLadder(float=None).float is None
    with pytest.raises(ValidationError):
        AccuracyLadder(float=value)


def test_a_missing_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"none\.json cannot be read \(No such file or directory\); `neuroprune deploy`"
    ):
        load_report(tmp_path / "none.json")


def test_a_folder_without_a_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report\.json cannot be read \(No such file or directory\)"):
        load_report(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"report\.json cannot be read \(it is not UTF-8 text\)"):
        load_report(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 40, 400])
def test_a_truncated_report_is_refused(report: Report, tmp_path: Path, kept: int) -> None:
    (tmp_path / "report.json").write_text(report.model_dump_json()[:kept])
    with pytest.raises(
        InputError, match=r"report\.json is not a whole report \(file: Invalid JSON.*deploy the network again"
    ):
        load_report(tmp_path)


def test_a_report_of_another_schema_is_refused_whatever_else_it_holds(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"schema_version": 2, "chips": []}')
    with pytest.raises(
        InputError, match=r"is a report of schema 2, but this neuroprune reads schema 4; deploy the net"
    ):
        load_report(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"samples": "many"}, r"samples: Input should be a valid integer"),
        ({"samples": None}, r"samples: Input should be a valid integer"),
        ({"colour": 1}, r"colour: Extra inputs are not permitted"),
        ({"schema_version": None}, r"schema_version: Input should be a valid integer"),
    ],
)
def test_a_damaged_report_names_the_field(
    report: Report, tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report.model_dump(mode="json") | change))
    with pytest.raises(InputError, match=rf"is not a whole report \({complaint}"):
        load_report(tmp_path)


def test_other_json_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("[1, 2]")
    with pytest.raises(InputError, match=r"is not a whole report \(file: Input should be an object"):
        load_report(tmp_path)


def test_a_report_that_cannot_be_written_leaves_the_old_one(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"report\.json could not be written"):
        save_report(report, tmp_path / "file" / "report.json")
    assert (tmp_path / "file").read_text() == "in the way"
