"""Doing one job of an experiment, in whatever process: a dense training, or a trial that prunes what it gave."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from neuroprune.compression.compress import compress, resume_compress
from neuroprune.compression.record import FILE as COMPRESSION, load_compress_record
from neuroprune.compression.settings import CompressSettings
from neuroprune.data.coding import frames_of
from neuroprune.data.load import load_dataset
from neuroprune.data.subset import take_subset
from neuroprune.data.types import Dataset
from neuroprune.documents import read_json
from neuroprune.errors import InputError
from neuroprune.experiment.analyses import save_features
from neuroprune.experiment.importance import ImportanceLog
from neuroprune.experiment.jobs import DenseJob, Job, TrialJob
from neuroprune.experiment.plan import DataPart, Plan
from neuroprune.experiment.record import FILE, TrialResult, load_trial, result_of, result_of_round
from neuroprune.files import write_json
from neuroprune.folders import locked, sweep_parts
from neuroprune.networks.build import initial_network
from neuroprune.networks.recipe import Recipe
from neuroprune.progress import Progress
from neuroprune.reading import is_file
from neuroprune.records import save_record
from neuroprune.runs import CHECKPOINT, STATE, is_unfinished
from neuroprune.training.checkpoint import initial_module, load_checkpoint, restore
from neuroprune.training.observer import Observer
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import train

DESCRIPTION = "job.json"
REMEDY = "choose another folder, or remove it"


@dataclass(frozen=True)
class Laboratory:
    """Where jobs are done: an experiment's plan and folder, and what of this machine they need.

    data_dir: the folder of the data sets' files, None for the usual one; device: of all trainings, None for those of
    the plan.
    """

    plan: Plan
    folder: Path
    data_dir: Path | None = None
    device: str | None = None

    def data(self, job: Job) -> Dataset:
        """The data of `job`; what was read is kept for the next one."""
        model = (job if isinstance(job, DenseJob) else job.dense).model
        steps = model.steps if isinstance(model, Recipe) else self.plan.data.steps
        return _read(self.plan.data.model_dump_json(), self.data_dir, steps)


def is_done(job: Job, folder: Path) -> bool:
    """Whether the job is finished, in the experiment of that folder. A trial that failed is not."""
    place = folder / job.place
    if isinstance(job, DenseJob):
        return is_file(place / CHECKPOINT) and not (place / STATE).exists()
    return is_file(place / FILE) and load_trial(place / FILE).result is not None


def check_description(job: Job, plan: Plan, folder: Path) -> None:
    """Raise InputError where the folder of `job` holds what was begun with other settings."""
    file = folder / job.place / DESCRIPTION
    if not is_file(file):
        return
    found, asked = read_json(file, REMEDY), describe(job, plan)
    if not isinstance(found, dict):
        raise InputError(f"{file} is not the description of a job: {REMEDY}")
    difference = _first_difference(found, asked)
    if difference is not None:
        name, before, now = difference
        raise InputError(
            f"{file.parent} was begun with {name} = {before}, but the plan asks for {now}: give the experiment another "
            "folder, or the plan its former values"
        )


def describe(job: Job, plan: Plan) -> dict[str, Any]:
    """All that decides the numbers of `job`, as JSON."""
    chip = {"chip": plan.chip} if isinstance(job, TrialJob) else {}
    whole = {**job.description(), **chip, "data": plan.data.model_dump(mode="json"), "threads": plan.threads}
    plain: dict[str, Any] = json.loads(json.dumps(whole))  # as it comes back from a file, with lists for tuples
    return plain


def work(laboratory: Laboratory, job: Job, progress: Progress) -> None:
    """Do `job`, or go on with it, and leave its result in its folder. Raises NeuropruneError."""
    torch.set_num_threads(laboratory.plan.threads)
    place = laboratory.folder / job.place
    place.mkdir(parents=True, exist_ok=True)
    with locked(place):
        sweep_parts(place)
        write_json(place / DESCRIPTION, describe(job, laboratory.plan))
        if isinstance(job, DenseJob):
            _train(job, laboratory, progress)
        else:
            save_record(job.record(result=_prune(job, laboratory, progress)), place / FILE)


def _train(job: DenseJob, laboratory: Laboratory, progress: Progress) -> None:
    data, settings = laboratory.data(job), _on(job.settings, laboratory.device)
    place = laboratory.folder / job.place
    steps, sequence = laboratory.plan.data.steps, data.coding.steps is not None
    model = job.model if isinstance(job.model, Recipe) else laboratory.plan.located(job.model)
    network = initial_network(model, data.input_shape, len(data.classes), job.seed, steps, sequence)
    train(network, data, settings, place, job.model, resume=is_unfinished(place), progress=progress)


def _prune(job: TrialJob, laboratory: Laboratory, progress: Progress) -> TrialResult:
    place, source = laboratory.folder / job.place, laboratory.folder / job.dense.place
    if job.search is not None:
        sparsity = job.settings.sparsity
        assert sparsity is not None, "searches are of weights"
        return result_of_round(load_compress_record(laboratory.folder / job.search), sparsity)
    data, model = laboratory.data(job), job.dense.model
    known = laboratory.plan.located(model) if isinstance(model, str) else None
    settings, chip = _settings(job.settings, laboratory.device), laboratory.plan.chip
    chip = None if chip is None else laboratory.plan.file(chip)
    observers: tuple[Observer, ...] = ()
    if "importance" in laboratory.plan.analyses and job.kind == "structured":
        frames = torch.from_numpy(frames_of(data.train.images[:1], data.coding))
        observers = (ImportanceLog(place, frames, settings.residual),)
    if is_unfinished(place):
        checkpoint = load_checkpoint(place)
        tuning = {} if laboratory.device is None else {"device": laboratory.device}
        begun = restore(checkpoint, known)
        resume_compress(begun, data, place, checkpoint, {}, tuning, progress, chip=chip, observers=observers)
    elif not is_file(place / COMPRESSION):
        checkpoint = load_checkpoint(source)
        initial = initial_module(checkpoint, known) if settings.begins_with == "initial" else None
        network = restore(checkpoint, known)
        compress(
            network,
            data,
            settings,
            progress,
            initial=initial,
            chip=chip,
            observers=observers,
            folder=place,
            source=source,
        )
    if "features" in laboratory.plan.analyses:
        save_features(restore(load_checkpoint(place), known), data, place)
    return result_of(load_compress_record(place))


def _settings(settings: CompressSettings, device: str | None) -> CompressSettings:
    tuning = settings.fine_tune
    return settings if tuning is None else replace(settings, fine_tune=_on(tuning, device))


def _on(settings: TrainSettings, device: str | None) -> TrainSettings:
    return settings if device is None else replace(settings, device=device)


@lru_cache(maxsize=4)
def _read(part: str, data_dir: Path | None, steps: int | None) -> Dataset:
    data = DataPart.model_validate_json(part)
    return take_subset(load_dataset(data.name, data_dir, coding=data.coding, steps=steps), data.subset)


def _first_difference(found: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The name of the first value that differs, and both values."""
    for name in {**asked, **found}:
        before, now = found.get(name), asked.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            inner = _first_difference(before, now)
            if inner is not None:
                return f"{name}.{inner[0]}", *inner[1:]
        elif before != now:
            return name, before, now
    return None
