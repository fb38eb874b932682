"""The record of a compression: plain data that every renderer reads, and the schema of compress.json; without torch."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from neuroprune.intervals import AccuracyChange, Share, ShareInterval
from neuroprune.records import Record, load_record
from neuroprune.training.history import EpochRecord

FILE = "compress.json"

Count = Annotated[int, Field(ge=0)]


class NetworkCost(Record):
    """Cost and accuracy of a network, measured on the test set.

    accuracy: share of the samples that are classified correctly, in 0..1, and its 95 % interval.
    parameters: trained numbers. bytes: all tensors as stored, running statistics included.
    flops: for one sample, two for each multiply-accumulate of `neuroprune.compression.cost`.
    unfolded_synops: synaptic operations for one sample, mean, of the layers as they were trained, which is how papers
    count (`neuroprune.compression.synops`). A deployment counts those on the chip, after pools were folded into
    synapses.
    """

    accuracy: Share
    accuracy_interval: ShareInterval
    parameters: Count
    flops: Count
    unfolded_synops: Annotated[float, Field(ge=0)]
    bytes: Count


class LayerWidth(Record):
    """Channels of the layer or channel selection `name`, and so of the depthwise layers after it, before and after.

    regenerated: how many of those left were kept for their criticality.
    """

    name: str
    before: Count
    after: Count
    regenerated: Count


class CompressRecord(Record):
    """One compression.

    run: the folder of its result; source ("from" in the file): the run whose network was pruned.
    regeneration: the share of the surviving channels that the method chose by criticality.
    flops_asked, flops_share: the share of the dense network's FLOPs that was asked for, and the one reached.
    channels_prunable, channels_total: how many channels could be removed at all, of how many that the dense layers
    have; channels_removed_share: of the prunable ones.
    dense, cut, slim: costs before, right after the removal, and at the end (those of `cut` again if nothing was
    fine-tuned). channels: every layer with prunable channels, in the order of the network.
    samples: of the test set. change: of the accuracy, from dense to slim. warnings: a sentence for each figure that
    looks like a result and is none, such as an accuracy at chance.
    history: the log of fine-tuning, epoch by epoch.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[2] = 2
    run: str
    source: str = Field(validation_alias="from", serialization_alias="from")
    method: str
    regeneration: Share
    flops_asked: Share
    flops_share: Share
    channels_prunable: Count
    channels_total: Count
    channels_removed_share: Share
    dense: NetworkCost
    cut: NetworkCost
    slim: NetworkCost
    samples: Count
    change: AccuracyChange
    warnings: tuple[str, ...]
    channels: tuple[LayerWidth, ...]
    history: tuple[EpochRecord, ...]


def load_compress_record(path: Path) -> CompressRecord:
    """The record in the file `path`, or in `path`/compress.json if that is a folder.

    Raises InputError for a file that is missing, not whole, or of another schema.
    """
    file = path / FILE if path.is_dir() else path
    return load_record(CompressRecord, file, "record of a compression", "compress", "compress the network again")
