"""Reports on disk: what is written is read again, and what is not a report is refused in one sentence."""

import json
from pathlib import Path
from typing import Any

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
    with pytest.raises(InputError, match=r"none\.json is not there; `neuroprune deploy` writes a report"):
        load_report(tmp_path / "none.json")


def test_a_folder_without_a_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report\.json is not there"):
        load_report(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(
        InputError, match=r"report\.json is not whole JSON \(it is not UTF-8 text\): deploy the network again"
    ):
        load_report(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 40, 400])
def test_a_truncated_report_is_refused(report: Report, tmp_path: Path, kept: int) -> None:
    (tmp_path / "report.json").write_text(report.model_dump_json()[:kept])
    with pytest.raises(InputError, match=r"report\.json is not whole JSON \(.*\): deploy the network again"):
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
    with pytest.raises(
        InputError, match=r"is not a whole report \(it is no object of JSON\): deploy the network again"
    ):
        load_report(tmp_path)


def test_a_report_of_before_zeros_were_counted_is_read(report: Report, tmp_path: Path) -> None:
    values = report.model_dump(mode="json")
    for part in (values["totals"], *values["layers"]):
        for name in ("zero_weights_share", "zeros_stored"):
            del part[name]
    for layer in values["layers"]:
        del layer["resources"]
    (tmp_path / "report.json").write_text(json.dumps(values))
    read = load_report(tmp_path)
    assert (read.totals.zero_weights_share, read.layers[0].resources) == (None, ())


def test_a_report_that_cannot_be_written_leaves_the_old_one(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"report\.json could not be written"):
        save_report(report, tmp_path / "file" / "report.json")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"cores": []}, "it has 2 layers, and core 2 of 0 is the busiest"),
        ({"layers": []}, "it has 0 layers, and core 2 of 3 is the busiest"),
        ({"target": {"resources": []}}, "its cores or layers have other resources than its chip"),
        ({"totals": {"resources": []}}, "its cores or layers have other resources than its chip"),
        (
            {"totals": {"zeros_stored": {"cores": 3, "resources": []}}},
            "its cores or layers have other resources than its chip",
        ),
        ({"totals": {"busiest_core": 3}}, "it has 2 layers, and core 3 of 3 is the busiest"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(
    report: Report, tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    values = report.model_dump(mode="json")
    for key, value in change.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    (tmp_path / "report.json").write_text(json.dumps(values))
    with pytest.raises(
        InputError, match=rf"is not a whole report \(Value error, {complaint}\): deploy the network again"
    ):
        load_report(tmp_path)


def test_a_layer_with_more_sources_than_waits_is_refused(report: Report, tmp_path: Path) -> None:
    values = report.model_dump(mode="json")
    values["layers"][0]["waits"] = [0, 0]
    (tmp_path / "report.json").write_text(json.dumps(values))
    with pytest.raises(
        InputError, match=r"is not a whole report \(Value error, a layer has more sources than waits, or"
    ):
        load_report(tmp_path)
