"""What a deployment costs: plain data that every renderer reads, and the schema of report.json.

Nothing is rounded here. Units are in the names, or in a field of their own: a share is in 0..1, memory is in bits.
What is not known is None, never NaN.

Synaptic operations (SynOps) are counted twice. `synops` counts each delivery of an event over a synapse, whether its
weight is zero or not, as SpikingJelly's SynOpCounter does; `nonzero_synops` leaves zero weights out, as NeuroBench's
effective SynOps do. Both count existing synapses only: the padding of a convolution has none.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field, model_validator

from neuroprune.intervals import AccuracyChange, Share, ShareInterval
from neuroprune.records import Record, load_record, save_record
from neuroprune.report.bound_schema import Advice, MappingBound
from neuroprune.report.chip_schema import (
    Amount,
    ChipLimits,
    CoreReport,
    Count,
    ResourceAmount,
    ResourceUse,
    Taken,
)
from neuroprune.report.cost_schema import CostEstimate
from neuroprune.report.layer_schema import LayerReport
from neuroprune.report.provenance import Provenance
from neuroprune.report.traffic_schema import TrafficReport

SCHEMA_VERSION: Literal[4] = 4

NOTICEABLE_ZEROS = 0.1
"""Share of zero weights from which a report says what they save. Rounding alone to 8 bits leaves 0.01 or less."""


class AccuracyIntervals(Record):
    """The 95 % interval of each share of an `AccuracyLadder` that is known (`neuroprune.share_interval`)."""

    float: ShareInterval | None = None
    folded: ShareInterval | None = None
    quantised: ShareInterval | None = None
    bit_accurate: ShareInterval | None = None


class AccuracyLadder(Record):
    """Share of the samples classified correctly at each step down to the chip; None where there were no labels.

    float: the network as trained. folded: after BatchNorm, pooling and input gain were folded into the synapses.
    quantised: the folded network with weights, thresholds, decays and biases rounded to the chip's integers.
    bit_accurate: the integer program in the chip's own arithmetic.
    intervals: how far each of these may lie from that of all samples there are.
    change: from `float` to `bit_accurate`; None unless both are known.
    most_frequent: share of the most frequent class of the samples, which always answering it would reach.
    """

    float: Share | None = None
    folded: Share | None = None
    quantised: Share | None = None
    bit_accurate: Share | None = None
    intervals: AccuracyIntervals = AccuracyIntervals()
    change: AccuracyChange | None = None
    most_frequent: Share | None = None


class LavaCheck(Record):
    """How much of the run was cross-checked in Lava, and what came of it.

    samples: samples compared; 0 if Lava was not run, as `not_run` says, or failed, as `unverified` says.
    neuron_steps: neurons x steps x samples whose spike or silence was compared. spikes: the spikes among these.
    voltages: last voltages that were compared. differences: spikes and voltages that are not the same.
    unverified: the first difference, or how Lava failed; None where all agree, and where no samples were asked for.
    models: whether Lava's own convolutions ran ("stock") or ours of the same integers ("fast"); None if nothing ran.
    own_models: a sentence for each process model of neuroprune's that replaced one of Lava's, or that Lava does not
    have.
    """

    samples: Count
    neuron_steps: Count = 0
    spikes: Count = 0
    voltages: Count = 0
    differences: Count = 0
    not_run: str | None = None
    unverified: str | None = None
    models: Literal["stock", "fast"] | None = None
    own_models: tuple[str, ...] = ()


class InputReport(Record):
    """The graded input spikes.

    unit: value of one integer step. events_per_sample: non-zero input spikes, over all steps of a sample.
    saturated_share: share of the input values that lay beyond the graded range and were clipped.
    """

    shape: tuple[int, ...]
    bits: Count
    unit: Amount
    events_per_sample: Amount
    saturated_share: Share


class Totals(Record):
    """Sums over the layers and cores, relays included.

    resources: what all cores together use, of what these cores have.
    busiest_core: index of the core with the most SynOps per step, which decides how long a step takes.
    zero_weights_share: as of a layer, over all layers but the relays. All zeros of the integer weights count, whatever
    made them: pruning, rounding, or layers that were folded together.
    zeros_stored: what the program would take if these were stored as all other weights are; None where they are less
    than a tenth, where few messages were sought in place of few cores, and where it would not fit the chip, as
    `zeros_do_not_fit` says.
    """

    neurons: Count
    synapses: Count
    nonzero_synapses: Count
    relay_neurons: Count
    delayed_synapses: Count
    spikes_per_sample: Amount
    synops_per_sample: Amount
    nonzero_synops_per_sample: Amount
    resources: tuple[ResourceUse, ...]
    cores: Count
    chips: Count
    busiest_core: Count
    zero_weights_share: Share | None = None
    zeros_stored: Taken | None = None
    zeros_do_not_fit: str | None = None


class ExchangeRemark(Record):
    """A remark on a file in an exchange format: what it cannot hold, or what was assumed of it."""

    file: str
    text: str


class Report(Record):
    """One deployment. `samples` ran for `steps` time steps each; layers and cores in the order of the pipeline.

    network, data: what was deployed, and the samples it was measured on, as the user names them.
    exchange_remarks: what exchange files could not hold, or what was assumed of one that was read.
    warnings: a sentence for each figure that looks like a result and is none, such as an accuracy at chance.
    versions: package -> version. seed: of the run, if one was set.
    date: when the deployment began, in UTC. durations_s: seconds by stage, in their order, without the writing of the
    report itself. These two alone differ where the same is deployed again by the same command.
    provenance: what it was made from and by, where that was told. Older reports have none of the three.
    bound, traffic, costs, advice: of the mapping, spikes between cores, time and energy by each model, what to change.
    """

    schema_version: Literal[4] = SCHEMA_VERSION
    network: str
    data: str | None
    target: ChipLimits
    samples: Count
    steps: Count
    seed: int | None
    accuracy: AccuracyLadder
    lava: LavaCheck
    input: InputReport
    layers: tuple[LayerReport, ...]
    cores: tuple[CoreReport, ...]
    totals: Totals
    exchange_remarks: tuple[ExchangeRemark, ...]
    warnings: tuple[str, ...] = ()
    versions: dict[str, str]
    date: AwareDatetime | None = None
    durations_s: dict[str, Amount] = Field(default_factory=dict)
    provenance: Provenance | None = None
    bound: MappingBound | None = None
    traffic: TrafficReport | None = None
    costs: tuple[CostEstimate, ...] = ()
    advice: tuple[Advice, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Report":
        kinds = [(each.name, each.unit) for each in self.target.resources]
        used: list[Sequence[ResourceUse | ResourceAmount]] = [self.totals.resources]
        used += [core.resources for core in self.cores]
        used += [layer.resources for layer in self.layers if layer.resources]  # older reports have none
        stored = (self.totals.zeros_stored, *(layer.zeros_stored for layer in self.layers))
        used += [each.resources for each in stored if each]
        if not self.layers or self.totals.busiest_core >= len(self.cores):
            core = f"core {self.totals.busiest_core} of {len(self.cores)}"
            raise ValueError(f"it has {len(self.layers)} layers, and {core} is the busiest")
        if any([(use.name, use.unit) for use in uses] != kinds for uses in used):
            raise ValueError("its cores or layers have other resources than its chip")
        names = {layer.name for layer in self.layers}
        if any(not core.tiles or not names.issuperset(core.layers) for core in self.cores):
            raise ValueError("a core holds nothing, or a layer that is not there")
        if any(len(layer.sources) != len(layer.waits) for layer in self.layers):
            raise ValueError("a layer has more sources than waits, or fewer")
        return self


def load_report(path: Path) -> Report:
    """The report in the file `path`, or in `path`/report.json if that is a folder.

    Raises InputError for a file that is missing, not whole, or of another schema.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import LavaSettings, build, deploy, frames_of, load_dataset, load_recipe, load_report
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     deployment = deploy(network, frames, lava=LavaSettings(samples=0), folder=Path(folder))
    ...     load_report(Path(folder)) == deployment.report
    True
    """
    file = path / "report.json" if path.is_dir() else path
    return load_record(Report, file, "report", "deploy", "deploy the network again")


def save_report(report: Report, path: Path) -> None:
    """Write `report` as JSON to the file `path`, atomically. Raises OutputError.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import LavaSettings, build, deploy, frames_of, load_dataset, load_recipe, save_report
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> report = deploy(network, frames, lava=LavaSettings(samples=0)).report
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_report(report, Path(folder, "report.json"))
    ...     [path.name for path in Path(folder).iterdir()]
    ['report.json']
    """
    save_record(report, path)
