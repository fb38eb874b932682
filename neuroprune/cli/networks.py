"""From the name of a recipe, a class or a run to a network and its data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from neuroprune.cli.console import note
from neuroprune.errors import InputError
from neuroprune.runs import find_run

if TYPE_CHECKING:
    from torch import nn

    from neuroprune.data.catalog import DatasetInfo
    from neuroprune.networks.recipe import Recipe
    from neuroprune.training.checkpoint import Checkpoint


class Trained(NamedTuple):
    """A network read from a run."""

    run: Path
    checkpoint: "Checkpoint"
    module: "nn.Module"


def is_class(model: str) -> bool:
    """Whether `model` is written file.py:Class, otherwise it is a recipe."""
    return ":" in model


def choose_recipe(model: str | None, data: "DatasetInfo", steps: int | None) -> "Recipe":
    """The recipe that was named, or else one meant for `data` or for frames of its size; `steps` replaces its T."""
    from neuroprune.data.catalog import list_datasets
    from neuroprune.networks.recipe import list_recipes, load_recipe

    if model is not None:
        recipe = load_recipe(model)
    else:
        recipes = sorted((load_recipe(name) for name in list_recipes()), key=lambda each: not each.default)
        alike = [info.name for info in list_datasets() if info.shape == data.shape]
        fitting = [recipe for name in (data.name, *alike) for recipe in recipes if recipe.data == name]
        if not fitting:
            raise InputError(f"no recipe is meant for {data.name}: name one with --model, see `neuroprune models`")
        recipe = fitting[0]
    return recipe if steps is None else type(recipe).model_validate({**recipe.model_dump(), "steps": steps})


def take_run(runs_folder: Path, run: str | None, kinds: Sequence[str]) -> Path:
    """The run that was named, or the latest of `kinds`; says which one it is."""
    folder = find_run(runs_folder, run, kinds)
    note(f"taking {folder}" + ("" if run else f" (the latest {' or '.join(kinds)} run)"))
    return folder


def open_run(runs_folder: Path, run: str | None, model: str | None, kinds: Sequence[str]) -> Trained:
    """The network of a run, by default of the latest of `kinds`."""
    from neuroprune.training.checkpoint import load_checkpoint, restore

    folder = take_run(runs_folder, run, kinds)
    checkpoint = load_checkpoint(folder)
    return Trained(folder, checkpoint, restore(checkpoint, model))


def model_argument(model: "Recipe | str") -> str:
    """The option with which the next command rebuilds a user's class; none for a recipe."""
    return f" --model {model}" if isinstance(model, str) else ""
