"""The terminal shows estimates as a range, with who made them, and says where there are none."""

from collections.abc import Callable

from rich.console import Console

from neuroprune.report.cost_lines import cost_lines
from neuroprune.report.cost_schema import CostEstimate, Energy, StepTime
from neuroprune.report.schema import Report
from neuroprune.report.terminal import render


def estimate_of(model: str, microjoules: float | None, microseconds: float) -> CostEstimate:
    unknown = dict.fromkeys(("synapse_nj", "neuron_nj", "spike_nj", "network_nj", "idle_nj"))
    return CostEstimate(
        model=model,
        title="a toy",
        source="a test",
        grade="fitted",
        step=StepTime(
            core=0,
            compute_ns=1e3 * microseconds,
            link_ns=None,
            barrier_ns=None,
            total_ns=1e3 * microseconds,
            bound_by="compute",
        ),
        latency_us=8 * microseconds,
        samples_per_s=1e6 / (4 * microseconds),
        energy=None if microjoules is None else Energy(**unknown, total_nj=1e3 * microjoules),
    )


def test_estimates_are_a_range_over_the_models_with_their_grades(report_of: Callable[..., Report]) -> None:
    report = report_of(3, costs=(estimate_of("one", 12.04, 20.0), estimate_of("two", 21.0, 10.0)))
    line, models = map(str, cost_lines(report))
    assert line == "12.0 to 21 uJ a sample, 10 to 20 us a step, 80 to 160 us to an answer, 12.5k to 25.0k samples/s"
    assert models == "not measured: by one (fitted), two (fitted)"


def test_energy_that_no_model_has_is_left_out_and_equal_ends_are_one(report_of: Callable[..., Report]) -> None:
    report = report_of(3, costs=(estimate_of("one", None, 20.0), estimate_of("two", None, 20.0)))
    assert str(cost_lines(report)[0]) == "20 us a step, 160 us to an answer, 12.5k samples/s"


def test_a_target_without_published_figures_says_so(report_of: Callable[..., Report]) -> None:
    (line,) = cost_lines(report_of(3))
    assert str(line) == "no model of the times and energies of loihi-sim is known"


def test_the_summary_has_the_estimates(report_of: Callable[..., Report]) -> None:
    console = Console(width=120)
    with console.capture() as shown:
        console.print(render(report_of(3, costs=(estimate_of("one", 12.0, 20.0),)), width=120))
    assert "12 uJ a sample" in shown.get()
    assert "not measured: by one (fitted)" in shown.get()
