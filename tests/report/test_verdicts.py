"""What a report answers first, whatever parts of it are there."""

from collections.abc import Callable

import pytest

from neuroprune.intervals import AccuracyChange
from neuroprune.report.ranges import ENERGIES, TIMES, in_units
from neuroprune.report.schema import AccuracyLadder, Report
from neuroprune.report.verdicts import Verdict, verdicts


def by_label(report: Report) -> dict[str, Verdict]:
    return {verdict.label: verdict for verdict in verdicts(report)}


def test_all_is_answered_in_the_order_in_which_people_ask(full: Report) -> None:
    found = by_label(full)
    assert list(found) == ["fits", "binds", "accuracy", "Lava", "time", "energy", "traffic", "change"]
    assert (found["fits"].headline, found["fits"].details, found["fits"].tone) == (
        "yes: 3 of 128 cores on 1 chip",
        ("proven to need at least 2 cores: a gap of at most 50.0%",),
        "good",
    )
    assert found["binds"].headline == "neurons on 3 of 3 cores"
    assert found["accuracy"].headline == "float 98.00% (96.0-99.0) > bit-accurate 97.25% (95.0-98.5)"
    change = "-0.75 points on the chip (-2.20 to +0.60 at 95 %), within the noise of 360 samples"
    assert found["accuracy"].details == (change,)
    assert found["time"].headline == (
        "a step 5.50 to 7.50 \N{MICRO SIGN}s, a sample 44.0 to 60.0 \N{MICRO SIGN}s, estimated by 2 models: fitted, "
        "published"
    )
    assert found["energy"].headline == (
        "a sample 1.62 to 3.20 \N{MICRO SIGN}J, estimated by 2 models: fitted, published"
    )
    assert found["traffic"].headline == (
        "a sample 37.2k messages to other cores, 81.2k hops, 120 to other chips; heaviest link 812 a step"
    )
    assert found["change"].headline == full.advice[0].text


def test_what_was_not_computed_is_left_out(report: Report) -> None:
    found = by_label(report)
    assert list(found) == ["fits", "binds", "accuracy", "Lava"]
    assert found["fits"].details == ()


def test_the_fewest_cores_are_said_to_be_proven(full: Report) -> None:
    assert full.bound is not None
    bound = full.bound.model_copy(update={"bound": 3, "gap": 0.0})
    found = by_label(full.model_copy(update={"bound": bound}))
    assert found["fits"].details == ("proven: no mapping takes fewer than 3 cores",)


def test_a_chip_whose_models_have_no_figures_says_so(full: Report) -> None:
    found = by_label(full.model_copy(update={"costs": full.costs[2:]}))
    assert found["time"].headline == found["energy"].headline == "no model of this chip has figures for it"


def test_traffic_without_hops_has_no_heaviest_link(full: Report) -> None:
    assert full.traffic is not None
    traffic = full.traffic.model_copy(
        update={"heaviest_link": None, "chip_crossings_per_sample": 0.0, "hops_per_sample": 0.0}
    )
    found = by_label(full.model_copy(update={"traffic": traffic}))
    assert found["traffic"].headline == "a sample 37.2k messages to other cores, 0 hops"


def test_accuracy_without_labels_is_unknown(report_of: Callable[..., Report]) -> None:
    assert by_label(report_of(2, accuracy=AccuracyLadder()))["accuracy"].headline == (
        "unknown: the samples have no labels"
    )


def test_accuracy_of_a_finished_program_stands_alone(report_of: Callable[..., Report]) -> None:
    assert by_label(report_of(2, accuracy=AccuracyLadder(bit_accurate=0.5)))["accuracy"].headline == (
        "bit-accurate 50.00%"
    )


def test_a_loss_beyond_the_noise_is_a_warning(report_of: Callable[..., Report]) -> None:
    change = AccuracyChange(gained=0, lost=40, low=-0.15, high=-0.05)
    ladder = AccuracyLadder(float=0.9, bit_accurate=0.8, change=change)
    found = by_label(report_of(2, accuracy=ladder))["accuracy"]
    assert (found.tone, found.details) == (
        "warning",
        ("-10.00 points on the chip (-15.00 to -5.00 at 95 %)",),
    )


def test_cores_without_limits_bind_nothing(report: Report) -> None:
    cores = tuple(core.model_copy(update={"resources": ()}) for core in report.cores)
    found = by_label(report.model_copy(update={"cores": cores}))
    assert found["binds"].headline == "nothing: the cores of this chip have no limits"


@pytest.mark.parametrize(
    ("value", "units", "text"),
    [
        (0.0, TIMES, "0.00 ns"),
        (999.4, TIMES, "999 ns"),
        (999.6, TIMES, "1.00 \N{MICRO SIGN}s"),
        (1.5e9, ENERGIES, "1.50 J"),
        (2.5e15, ENERGIES, "2500000 J"),
    ],
)
def test_amounts_are_in_the_unit_that_suits_them(value: float, units: tuple[str, ...], text: str) -> None:
    assert in_units(value, units) == text
