"""Gates: what is a condition, which figures it may name, and what is said where it fails."""

from collections.abc import Callable

import pytest

from neuroprune.errors import InputError
from neuroprune.report.gates import SHORT, failures, parse_gate
from neuroprune.report.schema import LavaCheck, Report


def failed(report: Report, *conditions: str) -> tuple[str, ...]:
    return failures(report, tuple(map(parse_gate, conditions)))


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("cores>2", "totals.cores is 3, and at most 2 passes --fail-if 'cores>2'"),
        (" totals.cores >= 3 ", "totals.cores is 3, and less than 3 passes --fail-if 'totals.cores >= 3'"),
        ("accuracy<98%", "accuracy.bit_accurate is 0.9725, and at least 0.98 passes --fail-if 'accuracy<98%'"),
        ("samples<=360", "samples is 360, and more than 360 passes --fail-if 'samples<=360'"),
        ("lava.samples==2", "lava.samples is 2, and anything but 2 passes --fail-if 'lava.samples==2'"),
        ("chips!=4", "totals.chips is 1, and only 4 passes --fail-if 'chips!=4'"),
        (
            "layers.features.0.neuron.neurons>1e3",
            "layers.features.0.neuron.neurons is 65,536, and at most 1,000 passes --fail-if "
            "'layers.features.0.neuron.neurons>1e3'",
        ),
        (
            "totals.resources.synapse memory.used>10",
            "totals.resources.synapse memory.used is 2,469,888, and at most 10 passes --fail-if "
            "'totals.resources.synapse memory.used>10'",
        ),
        ("cores.1.neurons>0", "cores.1.neurons is 1,001, and at most 0 passes --fail-if 'cores.1.neurons>0'"),
        (
            "accuracy.intervals.float.0<0.97",
            "accuracy.intervals.float.0 is 0.96, and at least 0.97 passes --fail-if 'accuracy.intervals.float.0<0.97'",
        ),
        ("exchange_remarks>0", "exchange_remarks is 1, and at most 0 passes --fail-if 'exchange_remarks>0'"),
        ("accuracy<0.97251", "accuracy.bit_accurate is 0.9725, and at least 0.97251 passes"),
        (
            "layers.features.0.neuron.bound.safe==0",
            "layers.features.0.neuron.bound.safe is 0, and anything but 0 passes --fail-if "
            "'layers.features.0.neuron.bound.safe==0'",
        ),
    ],
)
def test_a_figure_that_fails_is_said_with_its_limit(report: Report, condition: str, sentence: str) -> None:
    (said,) = failed(report, condition)
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    "condition", ["cores>3", "cores<3", "cores!=3", "accuracy<97.25%", "layers.*.neurons>65536", "warnings>0"]
)
def test_a_figure_that_passes_is_silent(report: Report, condition: str) -> None:
    assert failed(report, condition) == ()


def test_every_condition_counts(report: Report) -> None:
    assert [sentence.split()[0] for sentence in failed(report, "cores>1", "chips>1", "neurons>1")] == [
        "totals.cores",
        "totals.neurons",
    ]


def test_a_star_asks_of_all_and_names_those_that_fail(full: Report) -> None:
    (said,) = failed(full, "layers.*.neurons>1000")
    assert said.startswith("layers.features.0.neuron.neurons is 65,536, and at most 1,000 passes")


def test_a_star_passes_over_what_is_not_known_while_something_is(full: Report) -> None:
    (said,) = failed(full, "energy_nj>2000")
    assert said.startswith("costs.fitted.energy.total_nj is 3,200, and at most 2,000 passes")


def test_of_many_that_fail_the_first_are_told_and_the_others_counted(report_of: Callable[..., Report]) -> None:
    said = failed(report_of(9), "cores.*.neurons>0")
    assert (len(said), said[-1]) == (5, "5 more fail --fail-if 'cores.*.neurons>0'")


@pytest.mark.parametrize("condition", ["gap>0.1", "energy_nj>5", "layers.*.bound.sums>1"])
def test_what_is_not_known_fails_and_is_said(report: Report, condition: str) -> None:
    layers = tuple(layer.model_copy(update={"bound": None}) for layer in report.layers)
    (said,) = failed(report.model_copy(update={"layers": layers}), condition)
    assert said.endswith(f"is not known, so that --fail-if {condition!r} cannot be ruled out")


def test_no_differences_from_lava_are_not_known_where_it_did_not_run(report_of: Callable[..., Report]) -> None:
    report = report_of(2, lava=LavaCheck(samples=0, not_run="left out"))
    (said,) = failed(report, "differences>0")
    assert said == "lava.differences is not known, so that --fail-if 'differences>0' cannot be ruled out"
    assert failed(report, "lava.samples>0") == ()


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("cores", "'cores' is no condition: write a figure of the report, one of <, <=, >, >=, ==, !=, and a number"),
        ("cores=3", "'cores=3' is no condition"),
        ("cores>3>2", "'cores>3>2' is no condition"),
        ("cores>", "'cores>' is no condition"),
        ("cores>many", "'many' in 'cores>many' is no number: write one such as 32, 0.9 or 90%"),
        ("cores>nan", "'nan' in 'cores>nan' is no number"),
        ("cores>1e999", "'1e999' in 'cores>1e999' is no number"),
        ("cores>__import__('os')", "is no number"),
        ("speed>3", "speed is no figure of a report, since there is no speed among schema_version, network"),
        ("totals.speed>3", "totals.speed is no figure of a report, since there is no speed among neurons, synapses"),
        (
            "network>3",
            "network is no figure of a report, since it is no number: give its path in report.json, or one of",
        ),
        ("totals>3", "totals is no figure of a report, since it is no number but holds some"),
        ("layers.conv1.colour>3", "layers.conv1.colour is no figure of a report, since "),
        ("samples.first>3", "samples.first is no figure of a report, since there is no first below a single value"),
    ],
)
def test_what_no_report_can_have_is_refused_before_there_is_one(condition: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_gate(condition)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("condition", ["layers.conv9.neurons>3", "durations_s.brew>1", "cores.77.neurons>1"])
def test_a_figure_of_something_that_this_report_lacks_is_refused(report: Report, condition: str) -> None:
    with pytest.raises(InputError, match=r"is not in this report: `neuroprune report --json` has all"):
        failed(report, condition)


@pytest.mark.parametrize("short", SHORT, ids=lambda short: short.name)
def test_every_short_name_is_a_figure_that_a_whole_report_has(full: Report, short: object) -> None:
    name = short.name  # type: ignore[attr-defined]
    assert failed(full, f"{name}>=0") != ()
    assert "not known" not in failed(full, f"{name}>=0")[0]
