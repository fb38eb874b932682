"""What a report answers first, in sentences that every renderer shows: does it fit, what binds, what does it cost, what
to change."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from neuroprune.intervals import ShareInterval
from neuroprune.readable import amount, percent, plural
from neuroprune.report.bottlenecks import cores_bound_by
from neuroprune.report.bound_schema import Advice, MappingBound
from neuroprune.report.cost_schema import CostEstimate
from neuroprune.report.ranges import ENERGIES, TIMES, energy_nj, grades, latency_ns, range_of, span, step_ns
from neuroprune.report.schema import AccuracyLadder, LavaCheck, Report
from neuroprune.report.traffic_schema import TrafficReport

Tone = Literal["good", "plain", "warning", "bad"]


class Verdict(NamedTuple):
    """One answer. headline: the answer itself. details: sentences that go with it. tone: how good it is."""

    label: str
    headline: str
    details: tuple[str, ...] = ()
    tone: Tone = "plain"


def verdicts(report: Report) -> tuple[Verdict, ...]:
    """The answers that a report has, in the order in which people ask; what it does not know is left out or said."""
    found = [_fits(report), _binds(report), _accuracy(report.accuracy, report.samples), _lava(report.lava)]
    found += [each for each in (_time(report.costs), _energy(report.costs), _traffic(report.traffic)) if each]
    found += [_best_change(report.advice)] if report.advice else []
    return tuple(found)


def bound_sentence(bound: MappingBound) -> str:
    """How far the mapping may be from the fewest cores."""
    if bound.cores <= bound.bound:
        return f"proven: no mapping takes fewer than {plural(bound.bound, 'core')}"
    return f"proven to need at least {plural(bound.bound, 'core')}: a gap of at most {percent(bound.gap)}"


def known_steps(ladder: AccuracyLadder) -> tuple[tuple[str, float, ShareInterval | None], ...]:
    """Name, share and interval of each step of the ladder that is known, from the float network to the chip."""
    steps = (
        ("float", ladder.float, ladder.intervals.float),
        ("folded", ladder.folded, ladder.intervals.folded),
        ("quantised", ladder.quantised, ladder.intervals.quantised),
        ("bit-accurate", ladder.bit_accurate, ladder.intervals.bit_accurate),
    )
    return tuple((name, share, interval) for name, share, interval in steps if share is not None)


def share_with_interval(share: float, interval: ShareInterval | None) -> str:
    """An accuracy, and its 95 % interval in per cent."""
    return f"{share:.2%}" + (f" ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})" if interval else "")


def change_sentence(ladder: AccuracyLadder, samples: int) -> str | None:
    """From the float network to the chip; None where either is not known."""
    change = ladder.change
    if change is None or ladder.bit_accurate is None or ladder.float is None:
        return None
    line = (
        f"{100 * (ladder.bit_accurate - ladder.float):+.2f} points on the chip "
        f"({100 * change.low:+.2f} to {100 * change.high:+.2f} at 95 %)"
    )
    return f"{line}, within the noise of {plural(samples, 'sample')}" if change.is_noise else line


def _fits(report: Report) -> Verdict:
    cores, chips = report.totals.cores, report.totals.chips
    headline = f"yes: {cores:,} of {plural(chips * report.target.cores_per_chip, 'core')} on {plural(chips, 'chip')}"
    return Verdict("fits", headline, (bound_sentence(report.bound),) if report.bound else (), "good")


def _binds(report: Report) -> Verdict:
    binding = cores_bound_by(report.cores)
    if not binding:
        return Verdict("binds", "nothing: the cores of this chip have no limits")
    (first, most), *others = binding
    rest = "".join(f", {name} on {count:,}" for name, count in others)
    return Verdict("binds", f"{first} on {most:,} of {plural(len(report.cores), 'core')}{rest}")


def _accuracy(ladder: AccuracyLadder, samples: int) -> Verdict:
    known = known_steps(ladder)
    if not known:
        return Verdict("accuracy", "unknown: the samples have no labels")
    ends = known[:1] if len(known) == 1 else (known[0], known[-1])
    headline = " > ".join(f"{name} {share_with_interval(share, interval)}" for name, share, interval in ends)
    change = change_sentence(ladder, samples)
    lost = ladder.change is not None and ladder.change.high < 0
    return Verdict("accuracy", headline, (change,) if change else (), "warning" if lost else "plain")


def _lava(lava: LavaCheck) -> Verdict:
    if lava.unverified is not None:
        compared = f"{plural(lava.differences, 'difference')} in {plural(lava.samples, 'sample')}, the first"
        shown = compared if lava.samples else "nothing was compared"
        return Verdict("Lava", f"UNVERIFIED, {shown}: {lava.unverified}", tone="bad")
    if lava.samples == 0:
        return Verdict("Lava", f"not compared: {lava.not_run}", tone="warning")
    compared = (
        f"{plural(lava.samples, 'sample')}: {plural(lava.spikes, 'spike')} in {lava.neuron_steps:,} neuron steps, "
        f"{plural(lava.voltages, 'voltage')}"
    )
    return Verdict("Lava", f"{plural(lava.differences, 'difference')} in {compared}", tone="good")


def _time(costs: Sequence[CostEstimate]) -> Verdict | None:
    step, latency = range_of(costs, step_ns), range_of(costs, latency_ns)
    if step is None and latency is None:
        return Verdict("time", "no model of this chip has figures for it") if costs else None
    parts = [f"a step {span(step, TIMES)}"] if step else []
    parts += [f"a sample {span(latency, TIMES)}"] if latency else []
    models = (step or latency).models  # type: ignore[union-attr]
    return Verdict("time", f"{', '.join(parts)}, estimated by {grades(models)}")


def _energy(costs: Sequence[CostEstimate]) -> Verdict | None:
    energy = range_of(costs, energy_nj)
    if energy is None:
        return Verdict("energy", "no model of this chip has figures for it") if costs else None
    return Verdict("energy", f"a sample {span(energy, ENERGIES)}, estimated by {grades(energy.models)}")


def _traffic(traffic: TrafficReport | None) -> Verdict | None:
    if traffic is None:
        return None
    crossings = traffic.chip_crossings_per_sample
    headline = (
        f"a sample {amount(traffic.messages_per_sample)} messages to other cores, "
        f"{amount(traffic.hops_per_sample)} hops" + (f", {amount(crossings)} to other chips" if crossings else "")
    )
    link = traffic.heaviest_link
    return Verdict("traffic", headline + (f"; heaviest link {amount(link.messages_per_step)} a step" if link else ""))


def _best_change(advice: Sequence[Advice]) -> Verdict:
    return Verdict("change", advice[0].text)
