"""From a plan to its jobs, all of them checked before any is run."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from neuroprune.chips.load import load_chip
from neuroprune.choices import check_choice
from neuroprune.compression.catalog import METHODS, Kind, Preset, Start, find_method
from neuroprune.compression.settings import CompressSettings, usual_training
from neuroprune.data.catalog import find_dataset
from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.experiment.jobs import TARGETS, DenseJob, TrialJob
from neuroprune.experiment.plan import Changes, Comparison, NetworkPart, Plan
from neuroprune.experiment.searches import passes_through
from neuroprune.networks.recipe import FineTuning, Recipe, load_recipe, parse_recipe
from neuroprune.training.checkpoint import Model
from neuroprune.training.settings import TrainSettings, fine_tuning_of

FINE_TUNING = "fine_tuning"
_TRAINING = TypeAdapter(TrainSettings)
_COMPRESSION = TypeAdapter(CompressSettings)


def trials_of(plan: Plan) -> tuple[TrialJob, ...]:
    """Every trial of `plan`, seed by seed, so that figures of all variants are there early.

    Raises InputError for what no trial could be run with: an unknown data set, recipe, method or setting, a value out
    of range, targets that contradict each other, two things of one name.
    """
    subject = f"plan {capped(plan.name)}"
    find_dataset(plan.data.name)
    if plan.chip is not None:
        load_chip(plan.file(plan.chip))
    networks = [_Network.of(plan, part, subject) for part in plan.networks]
    names = [network.name for network in networks]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{subject} has {names.count(name)} networks called {name}: give each a name of its own")
    trials = tuple(
        TrialJob(comparison.name, variant, network.dense(seed), settings)
        for seed in plan.seeds
        for network in networks
        for comparison in plan.comparisons
        for variant, settings in _variants(comparison, network, seed, subject)
    )
    places = [str(trial.place) for trial in trials]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise InputError(
            f"{subject} has two trials that would lie in {twice}: leave one of the two targets or variants out"
        )
    return _read_in_searches(trials)


def dense_of(trials: Iterable[TrialJob]) -> tuple[DenseJob, ...]:
    """The trainings that these trials begin with, each once."""
    return tuple({trial.dense.place: trial.dense for trial in trials}.values())


def _read_in_searches(trials: tuple[TrialJob, ...]) -> tuple[TrialJob, ...]:
    """Trials that another passes through are read in the longest such one."""
    variants: dict[tuple[Any, ...], list[TrialJob]] = {}
    for trial in trials:
        variants.setdefault((trial.comparison, trial.variant, trial.dense.place), []).append(trial)
    found: dict[Path, Path] = {}
    for each in variants.values():
        for trial in each:
            longer = [other for other in each if passes_through(other.settings, trial.settings)]
            if longer:
                found[trial.place] = max(longer, key=lambda other: other.epochs).place
    return tuple(replace(trial, search=found.get(trial.place)) for trial in trials)


@dataclass(frozen=True)
class _Network:
    """A network of a plan, with the trainings that it asks for."""

    name: str
    model: Model
    training: TrainSettings
    usual: FineTuning
    fine_tuning: Changes

    @classmethod
    def of(cls, plan: Plan, part: NetworkPart, subject: str) -> "_Network":
        model = _model(plan, part, subject)
        name = part.name or (model.rpartition(":")[2] if isinstance(model, str) else model.name)
        where = f"{subject}, network {capped(name)}"
        changes = {**plan.training, **part.training}
        _check_keys(f"{where}, training", changes, _fields(TrainSettings, "seed"))
        of_recipe = model.training.model_dump() if isinstance(model, Recipe) else {}
        training = _validated(_TRAINING, {**of_recipe, **changes}, f"{where}, training")
        usual = model.fine_tuning if isinstance(model, Recipe) else FineTuning()
        return cls(name, model, training, usual, part.fine_tuning)

    def dense(self, seed: int) -> DenseJob:
        return DenseJob(self.name, self.model, replace(self.training, seed=seed))

    def tuning(self, seed: int, preset: Preset, start: Start, changes: Changes, where: str) -> TrainSettings | None:
        """The training that prunes or follows pruning, as `neuroprune compress` has it; None for no epochs."""
        changes = {**self.fine_tuning, **changes}
        _check_keys(where, changes, _fields(TrainSettings, "seed"))
        if changes.get("epochs") == 0:
            return None
        usual = usual_training(preset, start, self.training, self.usual)
        settings = fine_tuning_of(replace(self.training, seed=seed), usual)
        tuning: TrainSettings = _validated(_TRAINING, {**asdict(settings), **changes}, where)
        return tuning


def _model(plan: Plan, part: NetworkPart, subject: str) -> Model:
    if part.model is not None:
        return part.model
    if isinstance(part.recipe, dict):
        return parse_recipe(
            {"name": part.name or "recipe", **part.recipe}, f"{subject}, recipe {part.name or ''}".rstrip()
        )
    assert part.recipe is not None
    return load_recipe(plan.file(part.recipe))


def _variants(
    comparison: Comparison, network: _Network, seed: int, subject: str
) -> Iterable[tuple[str, CompressSettings]]:
    """Every variant at every target."""
    where = f"{subject}, comparison {comparison.name}"
    kinds: set[Kind] = {"unstructured" if "sparsity" in target else "structured" for target in comparison.targets}
    (kind, *others) = kinds
    if others:
        raise InputError(
            f"{where} has targets of single weights and of whole channels, which are not held against each other: make "
            "two comparisons of them"
        )
    for target in comparison.targets:
        _check_keys(f"{where}, targets", target, TARGETS)
        if kind == "unstructured" and len(target) > 1:
            raise InputError(
                f"{where} has the target {excerpt(target)}, but sparsity is of single weights and the rest of whole "
                "channels: make two comparisons of them"
            )
        for variant, changes in comparison.variants.items():
            place = f"{where}, variant {variant}"
            own = dict(changes)
            tuning = own.pop(FINE_TUNING, {})
            if not isinstance(tuning, dict):
                raise InputError(f"{place} has {FINE_TUNING} = {excerpt(tuning)}, but it must hold keys: correct it")
            allowed = _fields(CompressSettings, "fine_tune", *TARGETS)
            _check_keys(f"{where}, settings", comparison.settings, allowed)
            _check_keys(place, own, (*allowed, FINE_TUNING))
            values = {**comparison.settings, **own, **target}
            method = str(values.get("method", CompressSettings.method))
            with _standing_at(place):
                check_choice("pruning method", method, METHODS)
                _, preset = find_method(method, kind)
            start = values.get("start") or preset.start
            tuned = {**comparison.fine_tuning, **tuning}
            values["fine_tune"] = network.tuning(seed, preset, start, tuned, f"{place}, {FINE_TUNING}")
            yield variant, _validated(_COMPRESSION, values, place)


def _fields(kind: Any, *left_out: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name not in left_out)


def _check_keys(where: str, given: Mapping[str, Any], allowed: Iterable[str]) -> None:
    for key in given:
        if key not in allowed:
            raise InputError(
                f"{where} has the unknown key {excerpt(key)}; allowed here are {', '.join(allowed)}: correct or remove "
                "it"
            )


@contextmanager
def _standing_at(where: str) -> Iterator[None]:
    """Within it, errors begin with where in the plan they stand."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _validated(kind: TypeAdapter[Any], values: dict[str, Any], where: str) -> Any:
    """`values` as settings; errors begin with where they stand. Raises InputError."""
    try:
        with _standing_at(where):
            return kind.validate_python(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = capped(".".join(map(str, fault["loc"])))
        raise InputError(
            f"{where} has {place} = {excerpt(fault['input'])}, which is not allowed ({capped(fault['msg'])}): correct "
            "it"
        ) from error
