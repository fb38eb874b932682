"""The part of a report that is about a layer, and what analyses of it add."""

from typing import Literal

from neuroprune.intervals import Share
from neuroprune.records import Record
from neuroprune.report.chip_schema import Amount, Count, ResourceAmount, Taken


class BoundReport(Record):
    """Magnitudes that no input makes larger, proved from the integer weights.

    sums: of a convolution alone, in units of the weights. current: u before it wraps. voltage: v before it saturates.
    times_register: the largest of them as a multiple of what its register holds. safe: whether none can overflow.
    """

    sums: Count
    current: Count
    voltage: Count
    times_register: Amount
    safe: bool


class RoundingReport(Record):
    """How far a layer's registers are from the float values that they stand for; 0 is exact.

    weight: root mean square of the difference, over that of the weights. clipped: share of weights beyond their field.
    threshold: relative. bias: the largest, in units of the threshold. decay_v, decay_u: of the decays as fractions.
    """

    weight: float
    clipped: float
    threshold: float
    bias: float
    decay_v: float
    decay_u: float


class ChangedReport(Record):
    """Shares of a layer's neurons x steps whose spike or silence is not that of the folded float network.

    quantised: by rounding alone. bit_accurate: on the chip.
    """

    quantised: Share
    bit_accurate: Share


class LayerReport(Record):
    """One layer: synapses and the neurons they feed.

    kind: of its connections; "mixed" where they are of both. sources: what each of them reads, in their order.
    waits: chip steps that the spikes of each wait beyond the one that a synapse takes, for a longer path or by their
    own delay; those from the input wait on the host. delayed_synapses: synapses that delay spikes.
    relay: whether it only passes on the spikes of its source, one step later.
    spikes_per_neuron_step: mean spike rate, spikes per neuron and time step.
    weight_bits: bits of a weight. saturated_weights_share: share of the stored weights at an end of their range.
    vth: threshold mantissa. reset: what a spike does to v. scale: units of v for one unit of the float potential.
    limited_by: the field of the chip that limited it.
    current_wraps, voltage_saturations: register overflows over all samples and steps.
    bound, rounding, changed: None where they were not analysed, as rounding and changed of relays.
    cores: that hold some of it. resources: what its tiles take of them.
    zero_weights_share: share of the weights that are zero, each of a kernel counted once; None in older reports.
    zeros_stored: what the layer would take if all zeros were stored; None where that of `Totals` is.
    """

    name: str
    kind: Literal["conv", "dense", "mixed"]
    relay: bool
    sources: tuple[str, ...]
    waits: tuple[Count, ...]
    shape: tuple[int, ...]
    neurons: Count
    synapses: Count
    nonzero_synapses: Count
    delayed_synapses: Count
    spikes_per_neuron_step: Share
    synops_per_sample: Amount
    nonzero_synops_per_sample: Amount
    weight_bits: Count
    saturated_weights_share: Share
    vth: Count
    reset: Literal["zero", "subtract"]
    scale: Amount
    limited_by: str
    current_wraps: Count
    voltage_saturations: Count
    bound: BoundReport | None
    rounding: RoundingReport | None
    changed: ChangedReport | None
    cores: Count
    resources: tuple[ResourceAmount, ...] = ()
    zero_weights_share: Share | None = None
    zeros_stored: Taken | None = None
