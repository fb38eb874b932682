"""The part of a report that is about time and energy: estimates by published models, never measurements."""

from typing import Literal

from neuroprune.chips.chip import Grade
from neuroprune.records import Record
from neuroprune.report.chip_schema import Amount, Count


class StepTime(Record):
    """How long one time step takes: the slowest part, and then the barrier. In nanoseconds; None where not modelled.

    compute_ns: of the core that works longest, `core`. link_ns: of the heaviest link. barrier_ns: until all cores know.
    total_ns: max(compute, link) + barrier. bound_by: the larger of the two.
    """

    core: Count
    compute_ns: Amount
    link_ns: Amount | None
    barrier_ns: Amount
    total_ns: Amount
    bound_by: Literal["compute", "link", "barrier"]


class Energy(Record):
    """Energy of one sample by cause, in nanojoules; None for causes without a figure in the model."""

    synapse_nj: Amount | None
    neuron_nj: Amount | None
    spike_nj: Amount | None
    network_nj: Amount | None
    idle_nj: Amount | None
    total_nj: Amount


class CostEstimate(Record):
    """Time and energy of one sample by one model.

    model, title, source, grade: which model, where its figures are from, and how well they are known.
    step: the mean step. latency_us: of a sample, from its first frame to its answer, pipeline included.
    samples_per_s: when samples follow each other without a pause. energy: None where no figures are public.
    remarks: what the model leaves out or assumes, a sentence each.
    """

    model: str
    title: str
    source: str
    grade: Grade
    step: StepTime | None
    latency_us: Amount | None
    samples_per_s: Amount | None
    energy: Energy | None
    remarks: tuple[str, ...] = ()
