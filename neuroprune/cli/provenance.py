"""What the report of `neuroprune deploy` says of where a deployment comes from."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from neuroprune.arrays import Labels
    from neuroprune.data.coding import CodedFrames
    from neuroprune.report.provenance import Provenance


def provenance_of(frames: "CodedFrames", labels: "Labels", target: str, checkpoint: Path | None) -> "Provenance":
    """Of samples and their labels, a chip by name or path, and the file that the network was read from, if any."""
    from neuroprune.chips.load import chip_file
    from neuroprune.hashes import sha256_of_arrays, sha256_of_file
    from neuroprune.report.provenance import CodingFacts, Provenance

    return Provenance(
        command=click.get_current_context().find_root().obj,
        checkpoint_sha256=None if checkpoint is None else sha256_of_file(checkpoint),
        target_sha256=sha256_of_file(chip_file(target)),
        data_sha256=sha256_of_arrays(frames.images, labels),
        coding=CodingFacts.model_validate(frames.coding, from_attributes=True),
    )
