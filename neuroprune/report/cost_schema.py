"""The part of a report that is about time and energy: estimates by published models, never measurements."""

from typing import Literal

from neuroprune.chips.chip import Grade
from neuroprune.records import Record
from neuroprune.report.chip_schema import Amount, Count

Bound = Literal["compute", "link", "barrier"]


class StepTime(Record):
    """How long a time step of mean activity takes: the slowest part, and then the barrier. In nanoseconds.

    It is a lower estimate of the mean over all steps, since the slowest core may be another one in each of them.
    core: that works longest. compute_ns: how long it does: updating its neurons and sending what they fire, or
    receiving messages and their SynOps, whichever takes longer, since a core does both at once.
    link_ns: of the heaviest link. barrier_ns: until all cores know. None where the model has no figure, or where the
    messages were not counted; both then count as nothing in the total.
    total_ns: max(compute, link) + barrier. bound_by: the largest of the three.
    """

    core: Count
    compute_ns: Amount
    link_ns: Amount | None
    barrier_ns: Amount | None
    total_ns: Amount
    bound_by: Bound


class Energy(Record):
    """Energy of one sample by cause, in nanojoules; None for causes without a figure in the model, or not counted.

    synapse: of SynOps. neuron: of the steps of the network's neurons, each of which is taken to be active.
    spike: of firing. network: of messages to cores and their hops. idle: of the steps of idle neurons beside those.
    total: of those that are known.
    """

    synapse_nj: Amount | None
    neuron_nj: Amount | None
    spike_nj: Amount | None
    network_nj: Amount | None
    idle_nj: Amount | None
    total_nj: Amount


class CostEstimate(Record):
    """Time and energy of one sample by one model.

    model, title, source, grade: which model, where its figures are from, and how well they are known.
    step: of mean activity. latency_us: of a sample, from the step of its first frame to that of its answer, which is as
    many steps after its last frame as the last layer is deep in the pipeline; all steps as long as in a full pipeline.
    samples_per_s: when samples follow each other without a pause, their steps and no more, as in Lava, which resets the
    neurons between them without a step of its own.
    step, energy: None where no figures are public. remarks: what the model leaves out or assumes, a sentence each.
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
