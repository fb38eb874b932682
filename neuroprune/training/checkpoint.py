"""Checkpoints: a trained network as data, in a folder of its own.

checkpoint.safetensors holds the module's tensors, checkpoint.json everything else (see `Checkpoint`), metrics.jsonl one
line per epoch. During training, training.safetensors also holds what resuming needs. Each file is replaced in
one step. Nothing in a checkpoint is ever executed.
"""

import platform
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from neuroprune.data.types import NAMED, Coding, Dataset, Origin
from neuroprune.documents import read_json, validate
from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.files import write_json
from neuroprune.networks.build import build, load_network, load_seeded
from neuroprune.networks.nir.catalog import nir_reference
from neuroprune.networks.presentation import Form, Presentation
from neuroprune.networks.recipe import Recipe
from neuroprune.networks.reference import with_recorded
from neuroprune.reading import is_file, reading
from neuroprune.training.history import EpochRecord, write_metrics
from neuroprune.training.settings import TrainSettings
from neuroprune.training.tensors import REMEDY, load_tensors, read_tensors, widths, write_tensors
from neuroprune.version import __version__

SCHEMA = 3
"""Version 1 held mean and std beside the other facts of the data, and knew no coding but the direct one.

Until version 2 an epoch had a test accuracy and no validation accuracy.
"""

DESCRIPTION = "checkpoint.json"
TENSORS = "checkpoint.safetensors"

Model = Recipe | str
"""How to build a network: a recipe, or "file.py:Class" for a class of the user's."""


@dataclass(frozen=True)
class DataFacts:
    """The properties of a network's training data that using it needs: name, coding, shape and classes, and origin."""

    name: str
    coding: Coding
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    origin: Origin = NAMED


@dataclass(frozen=True)
class WeightsFacts:
    """Somebody's weights that a network began with.

    file: the name of their file, and sha256: of its bytes, hexadecimal; both None where the network had them when it
    was made. test_accuracy: share of the test split that the network classified correctly with them, in 0..1; None
    where a training went on from them, whose history tells.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    file: str | None
    sha256: str | None
    test_accuracy: float | None = None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network as data.

    model: how to build it before its tensors are loaded; form: how samples are presented to a network of the user's,
    None where they are as they come; widths: output channels or features by layer; weights: those that
    these tensors, or the training that led to them, began with, None of a training from the start; history: the epochs
    that led to these tensors, none of a network that was imported; settings: of that training; versions: of the
    software that wrote it.
    """

    model: Model
    form: Form | None
    data: DataFacts
    widths: Mapping[str, int]
    weights: WeightsFacts | None
    history: tuple[EpochRecord, ...]
    settings: TrainSettings
    versions: Mapping[str, str]
    tensors: Mapping[str, torch.Tensor]

    @property
    def seed(self) -> int:
        """Random seed of the training."""
        return self.settings.seed


class _Document(BaseModel):
    """checkpoint.json; `model` is {"recipe": {...}} or {"class": "file.py:Class"}."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[3]
    model: Annotated[dict[Literal["recipe"], Recipe] | dict[Literal["class"], str], Field(min_length=1)]
    form: Form | None = None
    data: DataFacts
    widths: dict[str, int]
    weights: WeightsFacts | None = None
    seed: int
    settings: TrainSettings
    history: tuple[EpochRecord, ...]
    versions: dict[str, str]

    @model_validator(mode="after")
    def _data_fit(self) -> "_Document":
        shape, coding = self.data.input_shape, self.data.coding
        if min(shape) < 1 or not self.data.classes:
            raise ValueError(f"its data has frames of {shape} and {len(self.data.classes)} classes")
        if self.form is not None and self.form.steps is not None and self.form.steps < 1:
            raise ValueError(f"its network is shown each image {self.form.steps} times")
        if not len(coding.mean) == len(coding.std) == shape[0] or min(coding.std) <= 0:
            raise ValueError(f"its coding needs a mean and a deviation above 0 for each of {shape[0]} channels")
        return self


def facts_of(data: Dataset) -> DataFacts:
    """The facts of a data set that a checkpoint keeps.

    >>> from neuroprune import facts_of, load_dataset
    >>> facts = facts_of(load_dataset("digits"))
    >>> facts.name, facts.input_shape, len(facts.classes)
    ('digits', (1, 8, 8), 10)
    """
    return DataFacts(data.name, data.coding, data.input_shape, data.classes, data.origin)


def save_checkpoint(
    folder: Path,
    module: nn.Module,
    model: Model,
    data: DataFacts,
    settings: TrainSettings,
    history: tuple[EpochRecord, ...],
    weights: WeightsFacts | None = None,
) -> None:
    """Write the checkpoint of `module` into `folder`, made if need be. Raises OutputError.

    Arguments are those of `Checkpoint`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import TrainSettings, build, facts_of, load_dataset, load_recipe, save_checkpoint
    >>> data, recipe = load_dataset("digits"), load_recipe("digits-conv")
    >>> network = build(recipe, data.input_shape, len(data.classes))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(Path(folder), network, recipe, facts_of(data), TrainSettings(), history=())
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['checkpoint.json', 'checkpoint.safetensors', 'metrics.jsonl']
    """
    document = {
        "schema_version": SCHEMA,
        "model": {"class": model} if isinstance(model, str) else {"recipe": model.model_dump(mode="json")},
        "form": asdict(module.form) if isinstance(module, Presentation) else None,
        "data": asdict(data),
        "widths": widths(module),
        "weights": None if weights is None else asdict(weights),
        "seed": settings.seed,
        "settings": asdict(settings),
        "history": [asdict(record) for record in history],
        "versions": {
            "neuroprune": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "spikingjelly": version("spikingjelly"),
        },
    }
    write_tensors(folder / TENSORS, module.state_dict())
    write_metrics(folder, history)
    write_json(folder / DESCRIPTION, document)


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in the folder `path`, or in that of the file `path`. Raises InputError when it is not whole.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import (
    ...     TrainSettings, build, facts_of, load_checkpoint, load_dataset, load_recipe, save_checkpoint,
    ... )
    >>> data, recipe = load_dataset("digits"), load_recipe("digits-conv")
    >>> network = build(recipe, data.input_shape, len(data.classes))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(Path(folder), network, recipe, facts_of(data), TrainSettings(), history=())
    ...     checkpoint = load_checkpoint(Path(folder))
    >>> checkpoint.model.name, checkpoint.data.name, checkpoint.seed
    ('digits-conv', 'digits', 0)
    """
    folder = path.parent if path.is_file() else path
    description = folder / DESCRIPTION
    if not is_file(description):
        raise InputError(f"{folder} holds no {DESCRIPTION}, so no checkpoint: name the folder of a finished training")
    document = _parse(description)
    tensors, _ = read_tensors(folder / TENSORS)
    (model,) = document.model.values()
    return Checkpoint(
        model=model,
        form=document.form,
        data=document.data,
        widths=document.widths,
        weights=document.weights,
        history=document.history,
        settings=document.settings,
        versions=document.versions,
        tensors=tensors,
    )


def restore(checkpoint: Checkpoint, model: str | None = None) -> nn.Module:
    """The network of `checkpoint` on the CPU, in evaluation mode.

    model: "file.py:Class", which is executed. A checkpoint of a user's class needs it, since what a checkpoint says is
    never executed. Raises InputError without it, or when the tensors do not belong to the network.

    >>> import tempfile
    >>> import torch
    >>> from pathlib import Path
    >>> from neuroprune import (
    ...     TrainSettings, build, facts_of, load_checkpoint, load_dataset, load_recipe, restore, save_checkpoint,
    ... )
    >>> data, recipe = load_dataset("digits"), load_recipe("digits-conv")
    >>> network = build(recipe, data.input_shape, len(data.classes))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(Path(folder), network, recipe, facts_of(data), TrainSettings(), history=())
    ...     again = restore(load_checkpoint(Path(folder)))
    >>> torch.equal(again.stem.conv1.weight, network.stem.conv1.weight)
    True
    """
    made_by = _made_by(checkpoint, model)
    module = load_network(made_by) if isinstance(made_by, str) else _outline(made_by, checkpoint.data)
    load_tensors(module, checkpoint.tensors)
    module = _presented(module, checkpoint)
    for name, width in widths(module).items():
        stated = checkpoint.widths.get(name)
        if stated != width:
            raise InputError(
                f"{DESCRIPTION} gives layer {name} the width {stated}, but {TENSORS} has {width} there: "
                "put back the files that belong together"
            )
    return module.eval()


def initial_module(checkpoint: Checkpoint, model: str | None = None) -> nn.Module:
    """The network that the training of `checkpoint` began with, on the CPU, as `neuroprune train` makes it.

    model: as for `restore`. Raises InputError without one that is needed, when channels have been removed since,
    which is a matter of the compression and not of the training, or when the network began with somebody's weights.
    """
    if checkpoint.weights is not None:
        file = checkpoint.weights.file
        which = "that it was made with" if file is None else f"of {capped(file, 60)}"
        raise InputError(
            f"this network began with the weights {which}, and what their own training began with is not known: go on "
            "from them (--start trained), or take a method that does"
        )
    made_by, data = _made_by(checkpoint, model), checkpoint.data
    if isinstance(made_by, Recipe):
        _check_whole(_outline(made_by, data), checkpoint)
        return build(made_by, data.input_shape, len(data.classes), checkpoint.seed)
    module = load_seeded(made_by, checkpoint.seed)
    _check_whole(module, checkpoint)
    return _presented(module, checkpoint)


def _outline(recipe: Recipe, data: DataFacts) -> nn.Module:
    """The network of `recipe` on the meta device, where the widths that a file states take no memory."""
    with reading(f"the network of {DESCRIPTION}", "one that can be built", REMEDY), torch.device("meta"):
        return build(recipe, data.input_shape, len(data.classes))


def _check_whole(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Raise InputError where a layer of `checkpoint` has another width than that of `module`, which was just made."""
    for name, width in widths(module).items():
        left = checkpoint.widths.get(name)
        if left != width:
            raise InputError(
                f"layer {name} of this checkpoint has {left} of the {width} channels that it began with, so it is of a "
                "pruned network: name the training that was pruned"
            )


def _presented(module: nn.Module, checkpoint: Checkpoint) -> nn.Module:
    return module if checkpoint.form is None else Presentation(module, checkpoint.form)


def _made_by(checkpoint: Checkpoint, model: str | None) -> Model:
    """What the network is built by: `model`, or else the recipe of `checkpoint`. Raises InputError without both.

    A class that is named without arguments gets those that the checkpoint was made with.
    """
    if model is not None:
        model = nir_reference(model)
        return with_recorded(model, nir_reference(checkpoint.model)) if isinstance(checkpoint.model, str) else model
    if isinstance(checkpoint.model, Recipe):
        return checkpoint.model
    raise InputError(
        f"this checkpoint is of the class {capped(checkpoint.model)}, whose code is not run unless you name it: "
        f"add --model {shlex.quote(capped(checkpoint.model))}"
    )


def _parse(path: Path) -> _Document:
    values = read_json(path, REMEDY)
    schema = values.get("schema_version") if isinstance(values, dict) else None
    if schema not in range(1, SCHEMA + 1):
        raise InputError(
            f"{path} has schema version {excerpt(schema)}, but neuroprune {__version__} reads versions 1 to {SCHEMA}: "
            "use the neuroprune that wrote it, or train again"
        )
    with reading(path, "the description of a checkpoint", REMEDY):
        return validate(_Document, _lift(values))


def _lift(values: dict[str, Any]) -> dict[str, Any]:
    """A description of an earlier version as one of today's; what epochs have had since version 3, they may lack."""
    data = values.get("data")
    if values["schema_version"] == 1 and isinstance(data, dict):
        coding = {name: data[name] for name in ("mean", "std") if name in data}
        data = {name: value for name, value in data.items() if name not in coding} | {"coding": coding}
    return {**values, "schema_version": SCHEMA, "data": data}
