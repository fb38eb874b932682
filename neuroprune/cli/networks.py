"""From the name of a recipe, a class or a run to a network and its data."""

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from neuroprune.cli.console import note
from neuroprune.cli.options import GivenWeights
from neuroprune.errors import InputError, OutputError
from neuroprune.excerpts import capped
from neuroprune.reading import is_file
from neuroprune.run_names import find_run
from neuroprune.runs import is_unfinished, list_runs

if TYPE_CHECKING:
    from torch import nn

    from neuroprune.data.catalog import DatasetInfo
    from neuroprune.data.types import Dataset
    from neuroprune.networks.recipe import Recipe
    from neuroprune.training.checkpoint import Checkpoint, DataFacts
    from neuroprune.training.weights import LoadedWeights


class Trained(NamedTuple):
    """A network read from a run."""

    run: Path
    checkpoint: "Checkpoint"
    module: "nn.Module"


def choose_recipe(model: str | None, data: "DatasetInfo", steps: int | None) -> "Recipe":
    """The recipe that was named, or else one meant for `data` or for frames of its size; `steps` replaces its T."""
    from neuroprune.data.catalog import list_datasets
    from neuroprune.networks.recipe import list_recipes, load_recipe, parse_recipe

    if model is not None:
        recipe = load_recipe(model)
    else:
        recipes = sorted((load_recipe(name) for name in list_recipes()), key=lambda each: not each.default)
        alike = [info.name for info in list_datasets() if info.shape == data.shape]
        fitting = [recipe for name in (data.name, *alike) for recipe in recipes if recipe.data == name]
        if not fitting:
            raise InputError(f"no recipe is meant for {data.name}: name one with --model, see `neuroprune models`")
        recipe = fitting[0]
    return recipe if steps is None else parse_recipe({**recipe.model_dump(), "steps": steps}, f"recipe {recipe.name}")


def take_run(runs_folder: Path, run: str | None, kinds: Sequence[str], unfinished: bool = False) -> Path:
    """The run that was named, or the latest of `kinds`; says which one it is.

    An unfinished run is taken only where `unfinished` asks for it. Raises InputError.
    """
    if run is not None and is_file(Path(run)):
        raise InputError(
            f"{capped(run)} is a file and no run: if it holds weights, name the network that they are of as well "
            f"(--model file.py:Class --weights {shlex.quote(capped(run))})"
        )
    runs = list_runs(runs_folder, kinds) if run is None else []
    newest = runs[0] if runs else None
    if newest is not None and (unfinished or all(is_unfinished(each) for each in runs)):
        folder = newest
    else:
        folder = find_run(runs_folder, run, kinds)
    if is_unfinished(folder) and not unfinished:
        raise InputError(
            f"{folder} is unfinished: go on with `{resume_command(folder)}`, or take it as it is with --unfinished"
        )
    if newest is not None and newest != folder and is_unfinished(newest):
        note(f"passing over {newest}, which is unfinished: `{resume_command(newest)}` goes on with it")
    which = "" if run else f" (the latest {' or '.join(kinds)} run)"
    note(f"taking {folder}{which}" + (", which is unfinished" if is_unfinished(folder) else ""))
    return folder


def take_interrupted(runs_folder: Path, run: str | None, kind: str) -> Path:
    """The run to resume: the one that was named, or the latest unfinished one of `kind`; says which one it is."""
    if run is not None:
        folder = find_run(runs_folder, run, [kind])
    else:
        unfinished = [each for each in list_runs(runs_folder, [kind]) if is_unfinished(each)]
        if not unfinished:
            raise InputError(
                f"{runs_folder.resolve()} holds no unfinished {kind} run, so there is nothing to resume: name a run's "
                f"folder, or {kind} without --resume"
            )
        folder = unfinished[0]
    note(f"resuming {folder}" + ("" if run else f" (the latest unfinished {kind} run)"))
    return folder


def resume_command(folder: Path) -> str:
    """The command that goes on with the unfinished run in `folder`."""
    from neuroprune.training.resume import read_unfinished

    return f"neuroprune {read_unfinished(folder).command} --resume {folder}"


@contextmanager
def say_how_to_go_on(folder: Path) -> Iterator[None]:
    """When the enclosed work is interrupted or cannot write, name the command that goes on with what is kept."""
    try:
        yield
    except (KeyboardInterrupt, OutputError):
        if is_unfinished(folder):
            note(f"what was finished is kept: go on with `{resume_command(folder)}`")
        raise


def open_run(folder: Path, model: str | None) -> Trained:
    """The network of a run."""
    from neuroprune.training.checkpoint import load_checkpoint, restore

    checkpoint = load_checkpoint(folder)
    module = restore(checkpoint, model)
    note_form(module)
    return Trained(folder, checkpoint, module)


def note_form(network: "nn.Module") -> None:
    """Say how samples are presented to a network that does not take them as they come, and how a NIR file was read."""
    from neuroprune.networks.nir.network import NirNetwork
    from neuroprune.networks.presentation import Presentation

    if isinstance(network, Presentation):
        if isinstance(network.network, NirNetwork):
            for remark in network.network.remarks:
                note(remark)
        note(f"{type(network.network).__name__} takes {network.form.title}")


def take_weights(network: "nn.Module", path: Path) -> "LoadedWeights":
    """Put the weights of a file of somebody's into `network`; says which."""
    from neuroprune.training.weights import load_weights

    loaded = load_weights(network, path)
    note(f"taking {loaded.title}")
    return loaded


def note_own_weights(model: str) -> None:
    """Say that the network of `model` keeps the weights that it was made with: a file of others may be forgotten."""
    note(f"taking the weights that {capped(model)} has when it is made (--weights names those of a file)")


def with_frames_of(weights: GivenWeights, data: "Dataset") -> "Dataset":
    """`data` with frames as `weights` were trained on; says how, where they are images."""
    from neuroprune.data.normalisation import normalisation_of, with_normalisation

    data = with_normalisation(data, weights.mean, weights.std)
    if said := normalisation_of(data):
        note(f"frames are {said}" + (" (--mean and --std name others)" if weights.mean is None else ""))
    return data


def data_of(
    checkpoint: "Checkpoint", folder: Path | None, download: bool, name: str | None = None, resumed: bool = False
) -> "Dataset":
    """The data that `checkpoint` was trained on, or that called `name`, without the samples that training held out.

    They are its validation split, so that nothing that is done to the network later learns from them. Frames are coded
    as the network was trained on them. resumed: whether a training goes on, which other samples would falsify.
    Raises InputError for data whose frames or classes the network was not trained on.
    """
    from neuroprune.data.hold_out import hold_out

    data = _taken(checkpoint.data, folder, download, name, resumed)
    return dataclasses.replace(hold_out(data, checkpoint.settings.validation), coding=checkpoint.data.coding)


def _taken(facts: "DataFacts", folder: Path | None, download: bool, name: str | None, resumed: bool) -> "Dataset":
    """The data of `facts`, or that called `name`; of the former as many training samples as were taken."""
    from neuroprune.data.load import load_dataset
    from neuroprune.data.subset import take_samples

    origin = facts.origin
    place = facts.name if origin.path is None else Path(origin.path)
    data = load_dataset(name or place, folder, download, facts.coding.kind, facts.coding.steps)
    if data.input_shape != facts.input_shape or len(data.classes) > len(facts.classes):
        raise InputError(
            f"the network was trained on frames of {facts.input_shape} (channels, height, width) of "
            f"{len(facts.classes)} classes, but those of {data.name} are {data.input_shape}, of {len(data.classes)}: "
            "name data that fit"
        )
    is_same = data.origin.digest == origin.digest and data.name == facts.name
    if name is None and not is_same:
        changed = f"{data.origin.path} holds other samples than those that the network was trained on"
        if resumed:
            raise InputError(f"{changed}, so that the training cannot go on as it began: put them back, or train anew")
        note(changed)
    return take_samples(data, origin.samples) if origin.samples is not None and (is_same or name is None) else data


def model_argument(model: "Recipe | str") -> str:
    """The option with which the next command rebuilds a user's class; none for a recipe."""
    return f" --model {shlex.quote(model)}" if isinstance(model, str) else ""
