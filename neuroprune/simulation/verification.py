"""The exact engine held against Lava: what is asked for, what was compared, and what came of it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neuroprune.arrays import InputSpikes
from neuroprune.errors import LavaError, VerificationError
from neuroprune.program.types import IntProgram
from neuroprune.progress import Progress
from neuroprune.simulation.catalog import Models
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record
from neuroprune.simulation.lava import own_models, record_in
from neuroprune.simulation.lava_process import LavaWorker, start_worker


@dataclass(frozen=True)
class LavaSettings:
    """How the exact engine is verified against Lava.

    samples: cross-checked in Lava, 0 for none. timeout_s: seconds after which Lava is ended, and the run stays
    unverified.
    python: another interpreter that has Lava, or None for this one. models: Lava's own convolutions ("stock"), or ours
    of the same integers ("fast").
    """

    samples: int = 2
    timeout_s: float = 600.0
    python: str | None = None
    models: Models = "fast"


@dataclass(frozen=True)
class LavaVerification:
    """What was compared with Lava: the fields of `LavaCheck`, which stands in the report.

    error: the first difference, or what Lava failed of, as the error that it is.
    """

    samples: int = 0
    neuron_steps: int = 0
    spikes: int = 0
    voltages: int = 0
    differences: int = 0
    not_run: str | None = None
    error: VerificationError | None = None
    models: Models | None = None
    own_models: tuple[str, ...] = ()

    @property
    def unverified(self) -> str | None:
        """The sentence of `error`."""
        return None if self.error is None else str(self.error)


@contextlib.contextmanager
def lava_for(settings: LavaSettings) -> Iterator[LavaWorker | None]:
    """A worker that imports Lava while the enclosed work makes the program; None where no samples are asked for.

    Raises LavaError at once where Lava is not there.
    """
    if settings.samples == 0:
        yield None
    else:
        with start_worker(settings.python) as worker:
            yield worker


def verify_with_lava(
    lava: LavaWorker | None, program: IntProgram, spikes: InputSpikes, settings: LavaSettings, progress: Progress
) -> LavaVerification:
    """Compare every spike and last voltage of samples with Lava's; what goes wrong with that is in what is returned."""
    if lava is None:
        return LavaVerification(not_run="no samples were asked for")
    progress("lava", 0, len(spikes))
    try:
        (actual,) = record_in(lava, [(program, spikes)], settings.timeout_s, models=settings.models)
    except LavaError as error:
        return LavaVerification(error=error)
    expected = record(program, spikes)
    difference: VerificationError | None = None
    try:
        compare(expected, actual)
    except VerificationError as error:
        difference = error
    progress("lava", len(spikes), len(spikes))
    layers = list(zip(expected.layers, actual.layers, strict=True))
    return LavaVerification(
        samples=len(spikes),
        neuron_steps=sum(layer.spikes.size for layer in expected.layers),
        spikes=sum(int(layer.spikes.sum()) for layer in expected.layers),
        voltages=sum(layer.voltages.size for layer in expected.layers),
        differences=sum(
            int(np.sum(ours.spikes != lavas.spikes) + np.sum(ours.voltages != lavas.voltages)) for ours, lavas in layers
        ),
        error=difference,
        models=settings.models,
        own_models=own_models(program, settings.models),
    )
