"""The jobs of an experiment: dense trainings, one for each network and seed, and trials, which prune what they give."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuroprune.compression.catalog import Kind
from neuroprune.compression.settings import CompressSettings
from neuroprune.experiment.record import TrialRecord, TrialResult, target_name
from neuroprune.experiment.searches import rounds_of
from neuroprune.training.checkpoint import Model
from neuroprune.training.settings import TrainSettings

TARGETS = ("flops", "params", "synops", "sparsity")


@dataclass(frozen=True)
class DenseJob:
    """A training that several trials begin with. network: its name in the plan; model: how it is built."""

    network: str
    model: Model
    settings: TrainSettings

    @property
    def seed(self) -> int:
        """Random seed of this training and of what follows it."""
        return self.settings.seed

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.network}, seed {self.seed}, dense"

    @property
    def place(self) -> Path:
        """Its folder within that of the experiment."""
        return Path("dense", f"{self.network}-seed{self.seed}")

    @property
    def epochs(self) -> int:
        """Passes over the training set."""
        return self.settings.epochs

    @property
    def needs(self) -> tuple[Path, ...]:
        """The places of the jobs that come before it: none."""
        return ()

    def description(self) -> dict[str, Any]:
        """All that decides its numbers, as JSON."""
        model = self.model if isinstance(self.model, str) else self.model.model_dump(mode="json")
        return {"network": self.network, "model": model, "training": _plain(self.settings)}


@dataclass(frozen=True)
class TrialJob:
    """One pruning of one trained network: a variant of a comparison at a target.

    dense: the training it begins with. search: the place of a trial that passes through this very network in one of its
    rounds, where it is read and so not trained.
    """

    comparison: str
    variant: str
    dense: DenseJob
    settings: CompressSettings
    search: Path | None = None

    @property
    def kind(self) -> Kind:
        """Whether channels or weights go."""
        return self.settings.kind

    @property
    def target(self) -> str:
        """What is asked for, in words."""
        return target_name(self.asked)

    @property
    def asked(self) -> dict[str, float]:
        """What is asked for: shares of the dense cost that remain, or of weights that are zero."""
        return {name: getattr(self.settings, name) for name in TARGETS if getattr(self.settings, name) is not None}

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.dense.network}, seed {self.dense.seed}, {self.variant}, {self.target}"

    @property
    def place(self) -> Path:
        """Its folder within that of the experiment."""
        target = self.target.replace(" + ", "+").replace(" ", "-")
        name = f"{self.dense.network}-{self.variant}-{target}-seed{self.dense.seed}"
        return Path("trials", self.comparison, name)

    @property
    def epochs(self) -> int:
        """Passes over the training set, as far as the settings tell."""
        if self.search is not None:
            return 0
        if rounds := rounds_of(self.settings):
            return rounds[-1].end
        tuning = self.settings.fine_tune
        return (self.settings.prune_epochs or 0) + (0 if tuning is None else tuning.epochs)

    @property
    def needs(self) -> tuple[Path, ...]:
        """The places of the jobs that come before it."""
        return (self.dense.place,) if self.search is None else (self.search,)

    def description(self) -> dict[str, Any]:
        """All that decides its numbers, as JSON."""
        settings = asdict(self.settings)
        if self.settings.fine_tune is not None:
            settings["fine_tune"] = _plain(self.settings.fine_tune)
        return {
            "comparison": self.comparison,
            "variant": self.variant,
            "settings": settings,
            "dense": self.dense.description(),
        }

    def record(self, error: str = "", result: TrialResult | None = None) -> TrialRecord:
        """What became of it."""
        return TrialRecord(
            place=str(self.place),
            network=self.dense.network,
            seed=self.dense.seed,
            comparison=self.comparison,
            variant=self.variant,
            kind=self.kind,
            asked=self.asked,
            error=error,
            result=result,
        )


Job = DenseJob | TrialJob


def _plain(settings: TrainSettings) -> dict[str, Any]:
    """The settings that decide the numbers."""
    values = asdict(settings)
    del values["device"]
    return values
