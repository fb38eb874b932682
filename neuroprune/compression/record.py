"""The record of a compression: plain data that every renderer reads, and the schema of compress.json; without torch."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from neuroprune.compression.catalog import ChipLimit, Currency
from neuroprune.compression.strategy import Strategy
from neuroprune.intervals import AccuracyChange, Share, ShareInterval
from neuroprune.records import Record, load_record
from neuroprune.training.history import EpochRecord

FILE = "compress.json"

Count = Annotated[int, Field(ge=0)]


class ChipCost(Record):
    """What a network takes of a chip; or why it cannot be put there, and nothing else.

    chip: its name. cores, chips: as many as the mapper needs. kib: memory taken on all cores, of every resource that is
    counted in bits, such as Loihi's synapse memory; None for a chip that has none. step_us: an estimate of the
    microseconds of a step by the first model of the chip that says so, each layer cut by itself for the shortest, cores
    along a curve, at the network's own activity on training samples; None where nothing was asked of it. Where it is
    there, cores, chips and kib are those of this mapping.
    why_not: a sentence.
    """

    chip: str
    cores: Count | None = None
    chips: Count | None = None
    kib: Annotated[float, Field(ge=0)] | None = None
    step_us: Annotated[float, Field(ge=0)] | None = None
    why_not: str | None = None

    def amount(self, of: ChipLimit) -> float | None:
        """What is limited by `of`; None where it is not known."""
        return {"cores": self.cores, "kib": self.kib, "step-time": self.step_us}[of]


class NetworkCost(Record):
    """Cost and accuracy of a network, measured on the test set.

    accuracy: share of the samples that are classified correctly, in 0..1, and its 95 % interval.
    parameters: trained numbers; nonzero_parameters: those of them that are not zero. bytes: all tensors as stored,
    running statistics included.
    flops: for one sample, two for each multiply-accumulate of `neuroprune.compression.cost` whose weight is not zero;
    flops_per_step: the same for one time step, the layers that are fed the frame counted once.
    unfolded_synops: synaptic operations for one sample, mean, of the layers as they were trained, which is how papers
    count (`neuroprune.compression.synops`). A deployment counts those on the chip, after pools were folded into
    synapses.
    on_chip: what the mapper needs for it; None where no chip was named.
    """

    accuracy: Share
    accuracy_interval: ShareInterval
    parameters: Count
    nonzero_parameters: Count
    flops: Count
    flops_per_step: Count
    unfolded_synops: Annotated[float, Field(ge=0)]
    bytes: Count
    on_chip: ChipCost | None = None


class LayerShare(Record):
    """What is left of the layer `name`: channels, also of the layers that are coupled with it, or single weights.

    regenerated: how many of those left are there because they were brought back. kept: which channels are left, by
    their numbers, from 0, in the dense layer; None of single weights.
    """

    name: str
    before: Count
    after: Count
    regenerated: Count
    kept: tuple[Count, ...] | None = None


class Target(Record):
    """What was asked for and what was reached: the share of the dense network's cost that remains, in a currency, or
    under "sparsity" the share of prunable weights that are zero."""

    of: Currency | Literal["sparsity"]
    asked: Share
    reached: Share


class ChipTarget(Record):
    """The most that was to be taken of `chip`, and what is taken in the end; None where the network does not fit it.

    counted: what the channels that stay were counted to take when they were chosen, of step-time at the activity of the
    dense network.
    """

    of: ChipLimit
    chip: str
    asked: Annotated[float, Field(gt=0)]
    counted: Annotated[float, Field(ge=0)] | None = None
    reached: Annotated[float, Field(ge=0)] | None

    @property
    def holds(self) -> bool:
        """Whether no more is taken than was asked for."""
        return self.reached is not None and self.reached <= self.asked


class Survival(Record):
    """A pruning while training: `cut` weights would have gone by the score alone, of which `rescued` came back.

    iteration: the optimiser's step that it followed, from 0; sparsity: that it led to.
    """

    iteration: Count
    sparsity: Share
    cut: Count
    rescued: Count


class Round(Record):
    """A network that a pruning while training was done with on its way, such as a lottery search with each round's.

    epoch: after which, from 1, as in the history; sparsity: share of the prunable weights that were zero.
    """

    epoch: Annotated[int, Field(ge=1)]
    sparsity: Share
    cost: NetworkCost


class CompressRecord(Record):
    """One compression.

    run: the folder of its result; source ("from" in the file): the run whose network was pruned.
    strategy: how; see `neuroprune.compression.strategy.Strategy`. targets: what was asked for and reached; limits:
    likewise, of a chip.
    prunable, total: how many channels or weights could be removed at all, of how many that the layers have.
    dense, cut, pruned: costs before, right after channels were removed (None of single weights, which go while the
    network trains), and at the end (those of `cut` again if nothing was fine-tuned).
    layers: every layer with prunable channels or weights, in the order of the network. survival: every pruning of
    single weights by score and regrowth. rounds: networks that were done before the last, of a lottery search.
    samples: of the test set. change: of the accuracy, from dense to pruned. warnings: a sentence for each figure that
    looks like a result and is none, such as an accuracy at chance.
    history: the log of the training in and after which was pruned, epoch by epoch.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[3] = 3
    run: str
    source: str = Field(validation_alias="from", serialization_alias="from")
    strategy: Strategy
    targets: tuple[Target, ...]
    limits: tuple[ChipTarget, ...] = ()
    prunable: Count
    total: Count
    dense: NetworkCost
    cut: NetworkCost | None
    pruned: NetworkCost
    samples: Count
    change: AccuracyChange
    warnings: tuple[str, ...]
    layers: tuple[LayerShare, ...]
    survival: tuple[Survival, ...]
    rounds: tuple[Round, ...] = ()
    history: tuple[EpochRecord, ...]

    @property
    def timed_on(self) -> int | None:
        """The cores that the pruned network may take for its step; None where none was timed."""
        asked = {each.of: each.asked for each in self.limits}
        dense, pruned = (each.on_chip.cores or 0 if each.on_chip else 0 for each in (self.dense, self.pruned))
        return max(int(asked.get("cores", dense)), pruned) if "step-time" in asked else None


def load_compress_record(path: Path) -> CompressRecord:
    """The record in the file `path`, or in `path`/compress.json if that is a folder.

    Raises InputError for a file that is missing, not whole, or of another schema.
    """
    file = path / FILE if path.is_dir() else path
    return load_record(CompressRecord, file, "record of a compression", "compress", "compress the network again")
