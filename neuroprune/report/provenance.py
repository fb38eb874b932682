"""What a deployment was made from and by, so that it can be told from another and made again."""

from typing import Annotated

from pydantic import Field

from neuroprune.records import Record
from neuroprune.report.chip_schema import Count

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CodingFacts(Record):
    """How raw samples became frames. kind: "direct", "poisson" or "latency"; steps: T of sequences, None of images.

    mean, std: a value for each channel, in raw units; a raw value x enters as (x - mean) / std.
    """

    kind: str
    steps: Count | None
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Provenance(Record):
    """Where a deployment comes from. What is not known is None: `deploy` in Python knows only what it is told.

    command: the command line as it was given. checkpoint_sha256: of checkpoint.safetensors, or of the file of a
    finished program. target_sha256: of the chip's YAML file, without those that it extends. data_sha256: of the raw
    samples that were run, uint8 in C order, followed by their labels, int64.
    coding: of the frames.

    >>> import numpy as np
    >>> from neuroprune import LavaSettings, Provenance, build, deploy, load_recipe
    >>> network, frames = build(load_recipe("digits-conv"), (1, 8, 8), 10), np.ones((2, 1, 8, 8), np.float32)
    >>> made = Provenance(command="python sweep.py")
    >>> deploy(network, frames, lava=LavaSettings(samples=0), provenance=made).report.provenance.command
    'python sweep.py'
    """

    command: str | None = None
    checkpoint_sha256: Sha256 | None = None
    target_sha256: Sha256 | None = None
    data_sha256: Sha256 | None = None
    coding: CodingFacts | None = None
