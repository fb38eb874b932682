"""The terminal's report: everything that was asked for, in the width there is."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console

from neuroprune.readable import amount
from neuroprune.report.chip_schema import ResourceLimit, ResourceUse
from neuroprune.report.core_table import MOST_CORES
from neuroprune.report.layer_schema import BoundReport
from neuroprune.report.provenance import Provenance
from neuroprune.report.schema import AccuracyLadder, ExchangeRemark, InputReport, LavaCheck, Report
from neuroprune.report.terminal import render


def remarks(*texts: str) -> tuple[ExchangeRemark, ...]:
    return tuple(ExchangeRemark(file="program.net", text=text) for text in texts)


def lines(report: Report, width: int = 100) -> list[str]:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(render(report, width))
    return capture.get().splitlines()


def line_with(report: Report, text: str, width: int = 100) -> str:
    return next(line for line in lines(report, width) if text in line)


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("cores", [2, MOST_CORES, 300])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_cut(
    report_of: Callable[..., Report], cores: int, width: int
) -> None:
    found = lines(report_of(cores), width)
    assert max(map(len, found)) <= width
    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in found)


def test_the_summary_tells_the_verdicts(report: Report) -> None:
    assert "VGG-16 of 0.5 FLOPs on loihi-sim" in lines(report)[0]
    assert "360 samples of digits, 4 steps each" in line_with(report, " run ")
    ends = "float 98.00% (96.0-99.0) > bit-accurate 97.25% (95.0-98.5)"
    assert ends in line_with(report, " accuracy ")
    ladder = (
        "float 98.00% (96.0-99.0) > folded 98.00% (96.0-99.0) > quantised 97.50% (95.3-98.7) > bit-accurate 97.25% "
        "(95.0-98.5)"
    )
    assert ladder in line_with(report, " ladder ", 140)
    change = "-0.75 points on the chip (-2.20 to +0.60 at 95 %), within the noise of 360 samples"
    assert change in line_with(report, " points ")
    verdict = "0 differences in 2 samples: 65,000 spikes in 524,368 neuron steps, 131,092 voltages"
    assert verdict in line_with(report, "│ Lava ")
    assert "yes: 3 of 128 cores on 1 chip" in line_with(report, " fits ")
    assert "neurons on 3 of 3 cores" in line_with(report, " binds ")
    use = "65,546 neurons, 655M synapses (590M not zero)"
    assert use in line_with(report, " takes ")
    load = "neurons 98%, input axons 50%, output axons 12%, synapse memory 79% (301.5 KiB), synapse formats 6%"
    assert load in line_with(report, " load ", 120)
    assert "32.8k spikes, 2.47M SynOps (2.00M without zero weights)" in line_with(report, " a sample ")
    assert "1.00k SynOps on the busiest core, 2" in line_with(report, " a step ")
    assert "features.0.neuron: a remark" in line_with(report, " files ")


def test_what_zeros_save_is_said_in_total_and_for_each_layer(report: Report) -> None:
    saved = (
        "45.0% of the weights: 3 cores in place of 5, 301.5 KiB of synapse memory in place of 603.0 were they stored"
    )
    assert saved in line_with(report, "│ zeros ", 140)
    assert line_with(report, "features.0.neuron conv", 140).split()[-6:-3] == ["45.0%", "2", "3"]
    assert any("of: the cores with all zeros stored" in line for line in lines(report, 140))


def test_zeros_without_which_a_program_would_not_fit_are_said(report: Report) -> None:
    why = "layer a: one neuron needs 5000 input axons"
    totals = report.totals.model_copy(update={"zeros_stored": None, "zeros_do_not_fit": why})
    said = f"45.0% of the weights, without which it would not fit: {why}"
    assert said in line_with(report.model_copy(update={"totals": totals}), "│ zeros ", 140)


def test_few_zeros_are_not_worth_a_line(report: Report) -> None:
    few = {"zero_weights_share": 0.01, "zeros_stored": None}
    layers = tuple(layer.model_copy(update=few) for layer in report.layers)
    dense = report.model_copy(update={"totals": report.totals.model_copy(update=few), "layers": layers})
    assert not any(
        "zeros" in line.replace("without zero", "").replace("without\nzeros", "") for line in lines(dense, 110)
    )


def test_what_is_unknown_is_said(report_of: Callable[..., Report]) -> None:
    not_run = LavaCheck(samples=0, not_run="it is not installed")
    report = report_of(2, accuracy=AccuracyLadder(), lava=not_run, data=None)
    assert "unknown: the samples have no labels" in line_with(report, " accuracy ")
    assert "not compared: it is not installed" in line_with(report, "│ Lava ")
    assert "360 samples, 4 steps each" in line_with(report, " run ")


def test_clipped_inputs_are_said(report_of: Callable[..., Report]) -> None:
    clipped = InputReport(shape=(1, 8, 8), bits=8, unit=0.02, events_per_sample=1.0, saturated_share=0.0125)
    assert "1.2% of the values were clipped" in line_with(report_of(2, input=clipped), "│ input ")
    assert not any("clipped" in line for line in lines(report_of(2)))


@pytest.mark.parametrize(
    ("lava", "verdict"),
    [
        (LavaCheck(samples=0, unverified="it hung"), "UNVERIFIED, nothing was compared: it hung"),
        (
            LavaCheck(samples=2, differences=1, unverified="layer 'a'"),
            "UNVERIFIED, 1 difference in 2 samples, the first: layer 'a'",
        ),
    ],
)
def test_what_lava_did_not_confirm_is_called_unverified(
    lava: LavaCheck, verdict: str, report_of: Callable[..., Report]
) -> None:
    assert verdict in line_with(report_of(2, lava=lava), "│ Lava ")


def test_our_own_models_in_lava_are_named(report_of: Callable[..., Report]) -> None:
    ours = ("Soft reset is ours.", "So are [delay] lines.")
    lava = LavaCheck(samples=2, neuron_steps=9, spikes=5, voltages=3, models="fast", own_models=ours)
    found = lines(report_of(2, lava=lava))
    first = next(number for number, line in enumerate(found) if ours[0] in line)
    assert found[first].startswith("│ Lava ") and ours[1] in found[first + 1]


def with_layers(report: Report, *changes: dict[str, object]) -> Report:
    """The first layer of `report` again and again, changed."""
    return report.model_copy(update={"layers": tuple(report.layers[0].model_copy(update=each) for each in changes)})


SAFE = BoundReport(sums=1, current=64, voltage=64, times_register=0.01, safe=True)


def test_overflow_is_ruled_out_or_said_by_how_much_it_is_not(report: Report) -> None:
    three_times = SAFE.model_copy(update={"times_register": 3.14, "safe": False})
    some = with_layers(report, {"name": "a", "bound": SAFE}, {"name": "b", "bound": three_times}, {"name": "c"})
    expected = "ruled out in 1 of 3 layers, at worst 3.14x the register in b; 15 on these samples"
    assert expected in line_with(some, " overflow ")
    quiet = {"bound": SAFE, "voltage_saturations": 0}
    line = line_with(with_layers(report, quiet), " overflow ")
    assert "ruled out in 1 of 1 layer; none on these samples" in line
    assert "safe" in line_with(with_layers(report, quiet), "features.0.neuron  ").split()
    unknown = with_layers(report, {"bound": None})
    assert not any("ruled out" in text or "bound" in text for text in lines(unknown))


def test_paths_tell_relays_and_delays(report: Report) -> None:
    assert not any("balanced by" in line for line in lines(report))
    layers = (
        {"name": "sum", "sources": ("a", "b", "input"), "waits": (0, 3, 7), "delayed_synapses": 12_000},
        {"name": "a relay 1", "relay": True, "neurons": 1500},
        {"name": "a relay 2", "relay": True, "neurons": 1500},
    )
    both = with_layers(report, *layers)
    both = both.model_copy(
        update={"totals": both.totals.model_copy(update={"relay_neurons": 3000, "delayed_synapses": 12_000})}
    )
    expected = "balanced by 3.00k relay neurons in 2 layers and 12.0k synapses that delay by up to 3 steps"
    assert expected in line_with(both, " paths ", 120)
    table = lines(both)[next(number for number, line in enumerate(lines(both)) if line.startswith("Layers")) :]
    assert not any("relay" in line for line in table)


def test_a_layer_of_several_sources_says_how_many_more_there_are(report: Report) -> None:
    found = with_layers(
        report,
        {"name": "sum", "sources": ("a", "b", "c", "c"), "waits": (0, 0, 0, 0)},
        {"name": "plain", "sources": ("a", "a"), "waits": (0, 0)},
    )
    assert line_with(found, "sum +").split()[:2] == ["sum", "+2"]
    assert line_with(found, "plain ").split()[:2] == ["plain", "65.5k"]
    assert "+1: reads one layer more" in line_with(found, "+1:")
    assert not any("+1:" in line for line in lines(report))


def test_each_layer_shows_its_figures(report: Report) -> None:
    expected = "features.0.neuron 65.5k 655M 0.125 0.4% 1.23M 8 2.00x 5 45.0% 2 synapse"
    assert line_with(report, "features.0.neuron  ").split() == expected.split()
    assert line_with(report, "classifier  ").split()[-2:] == ["neurons", "98%"]


def test_a_narrow_terminal_leaves_out_synapses_bits_and_zeros(report: Report) -> None:
    words = line_with(with_layers(report, {"name": "c"}), "c   ", 80).split()
    assert words == ["c", "65.5k", "0.125", "0.4%", "1.23M", "2.00x", "5", "2", "synapse", "memory", "79%"]


def test_a_wide_terminal_shows_kind_shape_and_synops_without_zeros(report: Report) -> None:
    expected = "features.0.neuron conv 64x32x32 65.5k 655M 0.125 0.4% 1.23M 1.00M 8 2.00x 5 45.0% 2 synapse"
    assert line_with(report, "features.0.neuron conv", 120).split() == expected.split()


def test_layers_of_an_older_report_are_bound_by_nothing_that_is_known(report: Report) -> None:
    found = lines(with_layers(report, {"name": "c", "resources": ()}))
    assert not any("binds:" in line for line in found)


def test_a_full_terminal_shows_saturated_weights_and_zeros_too(report: Report) -> None:
    expected = "features.0.neuron conv 64x32x32 65.5k 655M 0.125 0.4% 1.23M 1.00M 8 0.1% 2.00x 5 45.0% 2 3 synapse"
    assert line_with(report, "features.0.neuron conv", 130).split() == expected.split()


def test_what_no_layer_has_takes_no_column(report: Report) -> None:
    plain = with_layers(report, {"bound": None, "changed": None, "zero_weights_share": None, "zeros_stored": None})
    assert line_with(plain, "features.0.neuron  ").split() == (
        ["features.0.neuron", "65.5k", "655M", "0.125", "1.23M", "8", "5", "2", "synapse", "memory", "79%"]
    )


@pytest.mark.parametrize("width", [80, 100, 120, 130])
def test_what_binds_stays_on_its_line_where_there_is_room(report: Report, width: int) -> None:
    found = line_with(with_layers(report, {"name": "c"}), "c  ", width)
    assert found.split()[-3:] == ["synapse", "memory", "79%"]


def test_what_binds_breaks_between_words_before_a_name_does(report: Report) -> None:
    name = "features.0.0.neuron"
    found = lines(with_layers(report, {"name": name}), 80)
    at = next(number for number, line in enumerate(found) if line.startswith(name))
    assert (found[at].split()[-1], found[at + 1].split()) == ("synapse", ["memory", "79%"])
    assert max(map(len, found)) <= 80


@pytest.mark.parametrize(("rate", "text"), [(0.0, "0"), (0.0004, "<0.001"), (0.0005, "0.001"), (1.0, "1.000")])
def test_a_rare_spike_is_not_shown_as_none(report: Report, rate: float, text: str) -> None:
    found = with_layers(report, {"name": "rare", "spikes_per_neuron_step": rate})
    assert line_with(found, "rare ").split()[3] == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0%"), (0.0004, "<0.1%"), (0.0005, "0.1%"), (1.0, "100.0%")])
def test_a_few_saturated_weights_are_not_shown_as_none(report: Report, share: float, text: str) -> None:
    found = with_layers(report, {"name": "few", "saturated_weights_share": share})
    assert line_with(found, "few ", 130).split()[10] == text


def test_each_core_shows_its_use_of_each_limit(report: Report) -> None:
    words = [word for word in line_with(report, "0 0 0,0").split() if set(word) - set("━╸╺")]
    assert " ".join(words) == "0 0 0,0 features.0.neuron 1000 98% 2048 50% 512 12% 100.5 79% shared 1.00k"


def test_a_narrow_terminal_shows_the_same_uses(report: Report) -> None:
    words = line_with(report, "0 0 0,0", 80).split()
    assert " ".join(words) == "0 0 0,0 features.0.neuron 1000 98% 2048 50% 512 12% 100.5 79% 1.00k"


def with_resources(report: Report, *percents: int) -> Report:
    """Cores with resources a, b, ... of which each takes so much of 100, the last core a tenth of that."""
    names = "abcdefghijkl"[: len(percents)]
    limits = tuple(ResourceLimit(name=name, unit=name, limit=100) for name in names)
    cores = tuple(
        core.model_copy(
            update={
                "resources": tuple(
                    ResourceUse(name=name, unit=name, used=used // (10 if core is report.cores[-1] else 1), limit=100)
                    for name, used in zip(names, percents, strict=True)
                )
            }
        )
        for core in report.cores
    )
    target = report.target.model_copy(update={"resources": limits})
    return report.model_copy(update={"target": target, "cores": cores})


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (80, "acdf", "not shown: b, at most 20%; e, at most 10%"),
        (109, "acdf", "not shown: b, at most 20%; e, at most 10%"),
        (110, "abcdf", "not shown: e, at most 10%"),
        (120, "abcdef", None),
    ],
)
def test_a_terminal_shows_the_resources_closest_to_their_limit_and_names_the_others(
    report: Report, width: int, shown: str, left_out: str | None
) -> None:
    found = lines(with_resources(report, 50, 20, 30, 40, 10, 60), width)
    header = next(line for line in found if line.startswith("core ")).split()
    assert [word for word in header if len(word) == 1] == list(shown)
    assert max(map(len, found)) <= width
    notes = [line for line in found if "not shown" in line]
    assert [note.strip() for note in notes] == ([left_out] if left_out else [])


def test_a_core_of_one_resource_has_one_column(report: Report) -> None:
    found = with_resources(report, 70)
    assert line_with(found, "core chip", 80).split() == ["core", "chip", "x,y", "layers", "a", "step"]
    assert line_with(found, "0 0 0,0", 80).split() == ["0", "0", "0,0", "features.0.neuron", "70", "70%", "1.00k"]


def test_up_to_forty_cores_each_have_a_row(report_of: Callable[..., Report]) -> None:
    found = lines(report_of(MOST_CORES))
    assert sum("2048  50%" in line for line in found) == 40
    assert not any("--csv" in line for line in found)


def test_more_cores_are_shown_together_with_the_way_to_all_of_them(report_of: Callable[..., Report]) -> None:
    report = report_of(MOST_CORES + 1)
    found = " ".join(line.strip() for line in lines(report))
    assert "41 cores in 2 rows" in found
    assert "`neuroprune report --csv` lists every core" in found
    row = line_with(report, "   40 0 ").split()
    mean = sum(core.neurons for core in report.cores[:40]) / 40
    assert row[:5] == ["40", "0", "features.0.neuron", f"{mean:.0f}", f"{mean / 10.24:.0f}%"]
    assert row[-1] == amount(report.cores[39].synops_per_step)


def test_text_of_the_user_is_no_markup(report_of: Callable[..., Report]) -> None:
    report = report_of(2, network="net[red]work[/]", data="[bold]d[/]", exchange_remarks=remarks("layer[0]: remark"))
    assert "net[red]work[/]" in lines(report)[0]
    assert "[bold]d[/]" in line_with(report, " run ")
    assert "layer[0]: remark" in line_with(report, " files ")


def test_of_many_remarks_the_first_are_shown_and_the_others_counted(report_of: Callable[..., Report]) -> None:
    report = report_of(2, exchange_remarks=remarks(*(f"layer {number}: remark" for number in range(9))))
    assert "layer 2: remark" in line_with(report, "layer 2")
    assert "and 6 more like these, in report.json" in line_with(report, "more like these")
    with pytest.raises(StopIteration):
        line_with(report, "layer 3")


def test_a_line_tells_when_in_what_time_and_by_which_command(report: Report) -> None:
    assert not any(" made " in line for line in lines(report))
    made = report.model_copy(
        update={
            "date": datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
            "durations_s": {"read": 0.5, "simulate": 20.0, "Lava": 4.0},
            "provenance": Provenance(command="neuroprune deploy 3"),
        }
    )
    said = "2026-03-04 05:06 UTC in 24.5 s (simulate 20 s, Lava 4 s) by neuroprune deploy 3"
    assert said in line_with(made, " made ", 120)
    unknown = made.model_copy(update={"provenance": None})
    assert line_with(unknown, " made ").rstrip(" │").endswith("(simulate 20 s, Lava 4 s)")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_answers_fit_on_one_screen_of_24_lines(full: Report, width: int) -> None:
    warning = "layer features.0.neuron never fires on any of these 360 samples, so that what it costs is no result"
    found = lines(full.model_copy(update={"warnings": (warning,) * 5}), width)
    end = next(number for number, line in enumerate(found) if line.startswith("╰"))
    assert end < 23
    screen = "\n".join(found[:end])
    for label in ("fits", "binds", "accuracy", "Lava", "time", "energy", "traffic", "change", "warning"):
        assert f"\n│ {label}  " in screen, label


def test_further_advice_and_warnings_follow_below(full: Report) -> None:
    found = lines(full.model_copy(update={"warnings": ("one", "two", "three")}))
    more = next(number for number, line in enumerate(found) if line.startswith("╭─ more"))
    above, below = "\n".join(found[:more]), "\n".join(found[more:])
    assert "features.0.neuron: 6 channels fewer save 1 core" in above and "classifier: 6 channels" not in above
    assert "│ changes   classifier: 6 channels fewer save 1 core" in below
    assert "two" in above and "three" not in above and "│ warning   three" in below


def test_cores_are_listed_with_the_worst_first(report: Report) -> None:
    found = lines(report)
    start = next(number for number, line in enumerate(found) if line.startswith("Cores, most SynOps first"))
    assert [line.split()[0] for line in found[start:] if line[:4].strip().isdigit()] == ["2", "1", "0"]
