"""The settings of `compress`."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from neuroprune.choices import Choice, check_choice
from neuroprune.compression.catalog import (
    AGGREGATIONS,
    CURRENCIES,
    OWN,
    REGROWTHS,
    RESIDUALS,
    SCORES,
    STARTS,
    SURROGATES,
    Aggregation,
    ChipLimit,
    Currency,
    Kind,
    Preset,
    Regrowth,
    Residual,
    Score,
    Start,
    SurrogateOf,
    find_method,
)
from neuroprune.errors import InputError
from neuroprune.networks.recipe import FineTuning
from neuroprune.training.settings import TrainSettings


@dataclass(frozen=True)
class CompressSettings:
    """How much of a network is to remain, and how what remains is chosen.

    flops, params, synops: structured pruning, in which whole channels go, to these shares of the dense network's FLOPs,
    parameters and synaptic operations, each above 0 and below 1; where several are given, all hold.
    cores, kib, step_time: structured pruning to at most so many cores of a chip, so many KiB of memory on them, and so
    many microseconds that a step takes, which is estimated at the activity of the dense network; whole channels are
    given back as long as that holds. Alone, or beside shares, which then hold too.
    sparsity: unstructured pruning in place of that, to this share of weights that are zero, above 0 and below 1.

    method: one of `neuroprune.compression.catalog.METHODS`, which are presets, or "own" where `compress` is passed an
    algorithm of one's own, which is told the rest. Of those put together from parts (criticality, uniform, slimming,
    gmp, grad, random) a part can be changed, None being the method's own:
    score: what ranks channels or weights; regenerate_by: what brings pruned ones back; regeneration: r, the share of
    those that stay that is chosen so, in [0, 1); layer_floor: the share of each layer that stays at least, in [0, 1).
    aggregation: of the criticality over a map; surrogate: whose derivative it is; residual: how the channels of
    residual streams are treated.

    start: the weights that unstructured pruning begins with. prune_epochs: N_p, the epochs of training in which is
    pruned; interval: dT, iterations between two prunings; mask_momentum: whether the optimiser forgets what it holds
    for pruned weights, None being as the method has it.
    fine_tune: how what remains is trained on, without L1 on its scales: its `epochs` are N_f, and where pruning takes a
    training, that is of the same settings. None leaves a network as it was cut, which only methods without a training
    of their own can.

    Raises InputError for values out of range, targets that contradict each other, and parts that do not fit.
    """

    flops: float | None = None
    method: str = "criticality"
    params: float | None = None
    synops: float | None = None
    cores: int | None = None
    kib: float | None = None
    step_time: float | None = None
    sparsity: float | None = None
    score: Score | None = None
    regenerate_by: Regrowth | None = None
    regeneration: float | None = None
    layer_floor: float = 0.0
    aggregation: Aggregation = "max"
    surrogate: SurrogateOf = "trained"
    residual: Residual = "gather"
    start: Start | None = None
    prune_epochs: int | None = None
    interval: int | None = None
    mask_momentum: bool | None = None
    fine_tune: TrainSettings | None = None

    def __post_init__(self) -> None:
        self._check_targets()
        self._check_choices()
        _, preset = find_method(self.method, self.kind)
        if not preset.parts:
            for name, own in (("score", None), ("regenerate_by", None), ("layer_floor", 0.0)):
                if getattr(self, name) != own:
                    raise InputError(
                        f"{name} of method {self.method} cannot be changed to {getattr(self, name)}: leave it out, or "
                        "choose a method that is put together from parts, such as criticality or uniform"
                    )
        if self.kind == "structured":
            self._refuse_for_channels(("start", "interval", "mask_momentum"))
        elif self.interval is not None and preset.algorithm not in ("gradual", "granet", OWN.name):
            raise InputError(
                f"interval is of methods that prune every so many iterations, and method {self.method} does not: leave "
                "it out"
            )
        self._check_regeneration(self.regenerate_by or preset.regenerate_by)
        if not 0.0 <= self.layer_floor < 1.0:
            raise InputError(
                f"each layer cannot keep at least a share of {self.layer_floor}: it must be at least 0 and below 1, "
                "such as 0.2"
            )
        if self.sparsity is not None and round(self.layer_floor + self.sparsity, 9) > 1.0:
            raise InputError(
                f"a sparsity of {self.sparsity:.1%} leaves {1 - self.sparsity:.1%} of the weights, less than the "
                f"{self.layer_floor:.1%} that each layer is to keep: lower one of the two"
            )
        for name in ("prune_epochs", "interval"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}, but must be at least 1: give a larger one")
        if preset.prune_ratio == 0.0 and self.prune_epochs is not None and self.method != OWN.name:
            raise InputError(
                f"method {self.method} chooses the channels at once, without {self.prune_epochs} epochs of pruning: "
                "leave prune_epochs out"
            )
        if (preset.prune_ratio > 0.0 or self.prune_epochs is not None) and self.fine_tune is None:
            raise InputError(
                f"method {self.method} prunes while it trains, but there are 0 epochs of training: give at least 1"
            )

    @property
    def kind(self) -> Kind:
        """Whether channels or weights are pruned."""
        return "structured" if self.sparsity is None else "unstructured"

    @property
    def begins_with(self) -> Start:
        """The weights that training begins with: those asked for, or the method's own."""
        _, preset = find_method(self.method, self.kind)
        return self.start or preset.start

    @property
    def targets(self) -> dict[Currency, float]:
        """The shares of the dense network's cost that are to remain."""
        given = {"flops": self.flops, "params": self.params, "synops": self.synops}
        return {name: share for name, share in given.items() if share is not None}  # type: ignore[misc]

    @property
    def limits(self) -> dict[ChipLimit, float]:
        """The most that is to be taken of a chip."""
        given = {"cores": self.cores, "kib": self.kib, "step-time": self.step_time}
        return {name: most for name, most in given.items() if most is not None}  # type: ignore[misc]

    def _check_targets(self) -> None:
        titles = {choice.name: choice.title for choice in CURRENCIES}
        for name, share in self.targets.items():
            if not 0.0 < share < 1.0:
                raise InputError(
                    f"a share of {share} of the {name} ({titles[name]}) cannot remain after pruning: it must lie above "
                    "0 and below 1, such as 0.5"
                )
        if self.step_time is not None and not 0 < self.step_time < inf:
            raise InputError(
                f"step-time is {self.step_time:g} us, but a step takes more than 0: give a number such as 80"
            )
        for of, most in self.limits.items():
            if (most < 1 and of != "step-time") or not isfinite(most):
                raise InputError(f"{of} is {most:g}, but a network takes at least 1 of a chip: give a larger number")
        if self.sparsity is not None and not 0.0 < self.sparsity < 1.0:
            raise InputError(
                f"a sparsity of {self.sparsity} cannot be reached: it must lie above 0 and below 1, such as 0.95"
            )
        of_channels: dict[str, float] = dict([*self.targets.items(), *self.limits.items()])
        if self.sparsity is not None and of_channels:
            other = next(iter(of_channels))
            raise InputError(
                f"sparsity {self.sparsity} is of single weights and {other} {of_channels[other]} of whole channels, "
                "so they cannot both be the target: give one of the two"
            )
        if self.sparsity is None and not of_channels:
            raise InputError(
                "nothing says how much is to remain: give flops, params or synops to remove channels, such as flops = "
                "0.5, cores, kib or step_time of a chip, such as cores = 16, or sparsity to hold weights at zero, such "
                "as 0.95"
            )

    def _check_choices(self) -> None:
        catalogues: tuple[tuple[str, str, Sequence[Choice]], ...] = (
            ("score", "score", SCORES),
            ("regenerate_by", "regrowth", REGROWTHS),
            ("aggregation", "aggregation", AGGREGATIONS),
            ("surrogate", "surrogate of a score", SURROGATES),
            ("residual", "treatment of residual streams", RESIDUALS),
            ("start", "start", STARTS),
        )
        for name, what, catalogue in catalogues:
            value = getattr(self, name)
            if value is not None:
                check_choice(what, value, catalogue)
        of_weights, of_channels = ("magnitude",), ("gamma", "l1", "activity")
        misfits = of_weights if self.kind == "structured" else of_channels
        if self.score in misfits:
            fitting = ", ".join(choice.name for choice in SCORES if choice.name not in misfits)
            raise InputError(f"score {self.score} does not rank {_units(self.kind)}: choose one of {fitting}")
        if self.kind == "unstructured" and self.residual != "gather":
            raise InputError(
                f"residual {self.residual} is about channels, but {self.sparsity:.1%} of single weights go: leave it "
                "out"
            )

    def _refuse_for_channels(self, names: Sequence[str]) -> None:
        for name in names:
            value = getattr(self, name)
            if value not in (None, False):
                raise InputError(
                    f"{name} is for pruning single weights, not channels: leave it out, or give a sparsity"
                )

    def _check_regeneration(self, regrowth: Regrowth) -> None:
        r = self.regeneration
        if r is None:
            return
        if not 0.0 <= r < 1.0:
            raise InputError(
                f"a share of {r} of what stays cannot be regenerated: it must be at least 0 and below 1, such as 0.1"
            )
        if r > 0.0 and regrowth == "none":
            raise InputError(
                f"a share of {r} cannot be regenerated by method {self.method}, which brings nothing back: give "
                "regenerate_by as well, such as criticality"
            )


def usual_training(preset: Preset, start: Start, training: TrainSettings, fine_tuning: FineTuning) -> FineTuning:
    """Epochs and rate of the training that prunes or follows pruning, where none are asked for.

    From initial weights those of `training`, which made the network, else those of `fine_tuning`. Where pruning and
    fine-tuning are under one course of the learning rate, these are the epochs of both, of which this has N_f.
    """
    usual = FineTuning(epochs=training.epochs, lr=training.lr) if start == "initial" else fine_tuning
    if not preset.one_schedule:
        return usual
    return usual.model_copy(update={"epochs": max(1, round(usual.epochs / (1 + preset.prune_ratio)))})


def _units(kind: Kind) -> str:
    return "channels" if kind == "structured" else "weights"
