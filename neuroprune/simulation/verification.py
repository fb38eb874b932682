"""The exact engine held against Lava: what is asked for, and what was compared."""

from dataclasses import dataclass

from neuroprune.arrays import InputSpikes
from neuroprune.program.types import IntProgram
from neuroprune.progress import Progress
from neuroprune.simulation.catalog import Models
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record
from neuroprune.simulation.lava import own_models, record_with_lava


@dataclass(frozen=True)
class LavaSettings:
    """How the exact engine is verified against Lava.

    samples: cross-checked in Lava, 0 for none. timeout_s: seconds after which Lava is ended and LavaError raised.
    python: another interpreter that has Lava, or None for this one. models: Lava's own convolutions ("stock"), or ours
    of the same integers ("fast").
    """

    samples: int = 2
    timeout_s: float = 600.0
    python: str | None = None
    models: Models = "fast"


@dataclass(frozen=True)
class LavaVerification:
    """What was compared with Lava: see the fields of the same names of `LavaCheck`, which stand in the report."""

    samples: int = 0
    neuron_steps: int = 0
    spikes: int = 0
    voltages: int = 0
    not_run: str | None = None
    models: Models | None = None
    own_models: tuple[str, ...] = ()


def verify_with_lava(
    program: IntProgram, spikes: InputSpikes, settings: LavaSettings, progress: Progress
) -> LavaVerification:
    """Cross-check samples in Lava; any difference in a spike or a last voltage raises VerificationError."""
    if len(spikes) == 0:
        return LavaVerification(not_run="no samples were asked for")
    progress("lava", 0, len(spikes))
    expected = record(program, spikes)
    actual = record_with_lava(program, spikes, settings.timeout_s, settings.python, models=settings.models)
    compare(expected, actual)
    progress("lava", len(spikes), len(spikes))
    return LavaVerification(
        samples=len(spikes),
        neuron_steps=sum(layer.spikes.size for layer in expected.layers),
        spikes=sum(int(layer.spikes.sum()) for layer in expected.layers),
        voltages=sum(layer.voltages.size for layer in expected.layers),
        models=settings.models,
        own_models=own_models(program, settings.models),
    )
