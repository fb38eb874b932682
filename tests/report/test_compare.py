"""Reports side by side: figures, ratios to the first, and what is not of the same."""

import json
from collections.abc import Callable

import pytest
from rich.console import Console

from neuroprune.intervals import difference_interval
from neuroprune.report.compare import compare_reports, difference_of_shares
from neuroprune.report.compare_schema import Comparison
from neuroprune.report.compare_table import differences, render_comparison
from neuroprune.report.html.compare_page import comparison_html
from neuroprune.report.provenance import Provenance
from neuroprune.report.schema import AccuracyLadder, Report


def figures(comparison: Comparison) -> dict[str, tuple[tuple[float | None, ...], tuple[float | None, ...]]]:
    return {each.name: (each.values, each.ratios) for each in comparison.figures}


def shown(comparison: Comparison, width: int = 120) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(render_comparison(comparison))
    return capture.get()


def with_accuracy(report: Report, share: float, samples: int) -> Report:
    return report.model_copy(update={"accuracy": AccuracyLadder(bit_accurate=share), "samples": samples})


def test_every_figure_stands_beside_its_ratio_to_the_first(report_of: Callable[..., Report], full: Report) -> None:
    found = figures(compare_reports([full, report_of(6)], ["dense", "larger"]))
    assert found["cores"] == ((3, 6), (1.0, 2.0))
    assert found["synapse memory"] == ((3 * 823_296, 6 * 823_296), (1.0, 2.0))
    assert found["neurons"] == ((65_546, 65_546), (1.0, 1.0))
    assert found["messages a sample"] == ((37_182.0, None), (1.0, None))
    assert found["a step by loihi1"] == ((5500.0, None), (1.0, None))
    assert found["a sample by fitted"] == ((60_000.0, None), (1.0, None))
    assert found["energy by fitted"] == ((3200.0, None), (1.0, None))
    assert "a step by loihi2" not in found


def test_what_no_report_knows_has_no_row(report: Report) -> None:
    found = figures(compare_reports([report, report], ["a", "b"]))
    assert not {"messages a sample", "hops a sample", "cores proven to be needed"} & set(found)


def test_a_figure_that_the_first_has_none_of_has_no_ratio(full: Report, report: Report) -> None:
    assert full.traffic is not None
    none = full.model_copy(update={"traffic": full.traffic.model_copy(update={"messages_per_sample": 0.0})})
    found = figures(compare_reports([none, full, report], ["none", "some", "unknown"]))
    assert found["messages a sample"] == ((0.0, 37_182.0, None), (None, None, None))


def test_a_difference_of_accuracy_is_judged_by_its_interval(report: Report) -> None:
    reports = [with_accuracy(report, share, 80) for share in (0.6, 0.61, 0.8)]
    of_first, even, better = compare_reports(reports, ["a", "b", "c"]).accuracy
    assert of_first is None
    assert even is not None and even.is_noise
    assert better is not None and not better.is_noise


def test_the_interval_is_newcombes() -> None:
    """56 of 70 against 48 of 80, his example: by 0.2, from 0.0524 to 0.3339."""
    low, high = difference_of_shares((48 / 80, 80), (56 / 70, 70))
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_the_interval_is_wider_than_that_of_the_same_samples() -> None:
    low, high = difference_of_shares((0.9, 1000), (0.892, 1000))
    paired = difference_interval(gained=4, lost=12, samples=1000)
    assert low < paired[0] < paired[1] < high


def test_the_verdict_is_a_sentence(report: Report) -> None:
    first = with_accuracy(report, 0.6, 80)
    comparison = compare_reports(
        [first, with_accuracy(report, 0.61, 80), with_accuracy(report, 0.95, 80)], ["a", "b", "c"]
    )
    noise, beyond = differences(comparison)
    assert noise.startswith("b: accuracy +1.00 points (") and noise.endswith(", within the noise of these samples")
    assert beyond.startswith("c: accuracy +35.00 points (") and beyond.endswith(", beyond the noise of these samples")


@pytest.mark.parametrize(
    ("change", "remark", "judged"),
    [
        ({}, None, True),
        ({"data": "mnist"}, "the data differ: digits (a), mnist (b); differences of accuracy between them", False),
        ({"data": None}, "the data differ: digits (a), unknown (b); ", False),
        ({"samples": 10}, "the numbers of samples differ: 360 (a), 10 (b); differences of accuracy between", False),
        ({"provenance": Provenance(data_sha256="b" * 64)}, "the samples differ by their SHA-256 sums; ", False),
        ({"provenance": Provenance()}, None, True),
        ({"steps": 8}, "the steps of a sample differ: 4 (a), 8 (b); spikes and SynOps are those of more st", True),
    ],
)
def test_what_is_not_of_the_same_is_said_and_not_judged(
    report: Report, change: dict[str, object], remark: str | None, judged: bool
) -> None:
    first = report.model_copy(update={"provenance": Provenance(data_sha256="a" * 64)})
    found = compare_reports([first, first.model_copy(update=change)], ["a", "b"])
    assert [each[: len(remark or "")] for each in found.remarks] == ([remark] if remark else [])
    assert (found.accuracy[1] is not None) == judged


def test_another_chip_is_said(report: Report) -> None:
    other = report.model_copy(update={"target": report.target.model_copy(update={"name": "speck"})})
    (remark,) = compare_reports([report, other], ["a", "b"]).remarks
    assert remark == "the targets differ: loihi-sim (a), speck (b); their cores are not the same"


def test_other_samples_of_one_do_not_keep_the_others_from_being_judged(report: Report) -> None:
    found = compare_reports([report, report.model_copy(update={"data": "mnist"}), report], ["a", "b", "c"])
    assert [each is not None for each in found.accuracy] == [False, False, True]


def test_layers_are_matched_by_their_names(report: Report) -> None:
    slim = report.layers[0].model_copy(update={"neurons": 1000, "cores": 1})
    other = report.model_copy(update={"layers": (slim, report.layers[1].model_copy(update={"name": "head"}))})
    comparison = compare_reports([report, other], ["a", "b"])
    assert [layer.name for layer in comparison.layers] == ["features.0.neuron", "classifier", "head"]
    neurons = [next(f.values for f in layer.figures if f.name == "neurons") for layer in comparison.layers]
    assert neurons == [(65_536, 1000), (10, None), (None, 10)]
    text = shown(comparison)
    assert "65.5k > 1.00k" in text and "10 > -" in text and "- > 10" in text


def test_relays_are_not_compared(report: Report) -> None:
    relay = report.layers[0].model_copy(update={"name": "x relay 1", "relay": True})
    comparison = compare_reports([report.model_copy(update={"layers": (*report.layers, relay)}), report], ["a", "b"])
    assert "x relay 1" not in [layer.name for layer in comparison.layers]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_tells_all_in_the_width_there_is(full: Report, report_of: Callable[..., Report], width: int) -> None:
    text = shown(compare_reports([full, report_of(6), report_of(2)], ["dense", "pruned", "four bits"]), width)
    assert max(map(len, text.splitlines())) <= width
    for words in ("dense: VGG-16 of 0.5 FLOPs on loihi-sim, 360 samples of digits, 4 steps, 8 bits", "6 x2.00", "KiB"):
        assert words in " ".join(text.split())


def test_a_comparison_is_json_that_is_read_again(full: Report, report: Report) -> None:
    comparison = compare_reports([full, report], ["a", "b"])
    text = comparison.model_dump_json()
    assert Comparison.model_validate_json(text) == comparison
    assert json.loads(text)["schema_version"] == 1


def test_the_page_has_every_figure_and_layer(full: Report, report_of: Callable[..., Report]) -> None:
    comparison = compare_reports([full, report_of(6)], ["<b>dense</b>", "pruned"])
    text = comparison_html(comparison)
    for figure in comparison.figures:
        assert f'<th scope="row">{figure.name}</th>' in text
    assert "<b>dense" not in text and "&lt;b&gt;dense&lt;/b&gt;" in text
    assert "features.0.neuron" in text and "x2.00" in text and "not known" in text


def test_the_page_says_what_is_not_of_the_same(report: Report) -> None:
    text = comparison_html(compare_reports([report, report.model_copy(update={"data": "<i>"})], ["a", "b"]))
    assert "the data differ: digits (a), &lt;i&gt; (b)" in text
