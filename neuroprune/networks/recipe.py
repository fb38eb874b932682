"""Recipes: a network and its training defaults as a YAML file of models/, checked before anything is built."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from neuroprune.bundled import models_folder
from neuroprune.documents import read_yaml
from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.networks.catalog import (
    BlockKind,
    LossKind,
    NeuronKind,
    OptimizerKind,
    PoolKind,
    ReadoutKind,
    ResetKind,
    ScheduleKind,
    SurrogateKind,
)
from neuroprune.reading import is_file, reading

DEEPEST = 1000
"""A choice: deeper than any published spiking network, and built within seconds."""

Size = Annotated[int, Field(ge=1)]
Sizes = Size | tuple[Size, Size]


class Part(BaseModel):
    """Base of every part of a recipe: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConvLayer(Part):
    """Convolution without bias, BatchNorm, neurons. `conv`: number of channels; padding defaults to kernel // 2."""

    conv: Size
    kernel: Sizes = 3
    stride: Sizes = 1
    padding: Annotated[int, Field(ge=0)] | tuple[int, int] | None = None


class DepthwiseLayer(Part):
    """Convolution of each channel by itself without bias, BatchNorm, neurons. `depthwise`: size of the kernel."""

    depthwise: Sizes
    stride: Sizes = 1


class BlockLayer(Part):
    """Residual blocks in a row, of `channels` each, all of one kind (`neuroprune.networks.residual`).

    repeat: how many; stride: of the first of them.
    """

    block: BlockKind
    channels: Size
    repeat: Size = 1
    stride: Sizes = 1

    @property
    def takes_current(self) -> bool:
        """Whether the block begins with neurons, and so reads the current of the layer before it."""
        return self.block in ("ms", "preact")


class LinearLayer(Part):
    """Fully connected with bias, neurons. `linear` is the number of neurons; frames are flattened before the first."""

    linear: Size


class PoolLayer(Part):
    """Average or maximum over windows of spikes, or the average over the whole map."""

    pool: PoolKind
    size: Sizes | None = None

    @model_validator(mode="after")
    def _window(self) -> "PoolLayer":
        if self.pool == "global" and self.size is not None:
            raise ValueError("a global pool covers the whole map: remove its size")
        return self


class DropoutLayer(Part):
    """Zeroes spikes at random while training, each with probability `dropout`, the same ones at every time step."""

    dropout: Annotated[float, Field(ge=0, lt=1)]


KINDS: dict[str, type[Part]] = {
    "conv": ConvLayer,
    "depthwise": DepthwiseLayer,
    "block": BlockLayer,
    "linear": LinearLayer,
    "pool": PoolLayer,
    "dropout": DropoutLayer,
}


def _kind(layer: Any) -> str | None:
    named = layer if isinstance(layer, dict) else getattr(layer, "model_fields_set", ())
    return next((kind for kind in KINDS if kind in named), None)


Layer = Annotated[
    Annotated[ConvLayer, Tag("conv")]
    | Annotated[DepthwiseLayer, Tag("depthwise")]
    | Annotated[BlockLayer, Tag("block")]
    | Annotated[LinearLayer, Tag("linear")]
    | Annotated[PoolLayer, Tag("pool")]
    | Annotated[DropoutLayer, Tag("dropout")],
    Discriminator(_kind),
]


class NeuronModel(Part):
    """The spiking neuron of every layer.

    lif: v += (x - v) / tau; plif: the same, and training learns a tau for each layer, starting from this one; if:
    v += x. A spike where v >= v_threshold, which then sets v to zero or subtracts the threshold from it (`reset`). In
    the backward pass the spike's slope is that of `surrogate`, of sharpness `alpha` (SpikingJelly's default where left
    out).
    """

    kind: NeuronKind = "lif"
    tau: Annotated[float, Field(gt=1)] = 2.0
    v_threshold: Annotated[float, Field(gt=0)] = 1.0
    reset: ResetKind = "zero"
    surrogate: SurrogateKind = "atan"
    alpha: Annotated[float, Field(gt=0)] | None = None
    detach_reset: bool = True


class Training(Part):
    """Defaults of training; see `neuroprune.training.settings.TrainSettings`."""

    epochs: Size = 20
    batch: Size = 128
    lr: Annotated[float, Field(gt=0)] = 1e-3
    optimizer: OptimizerKind = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    schedule: ScheduleKind = "cosine"
    milestones: tuple[Size, ...] = ()
    loss: LossKind = "cross-entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    l1: Annotated[float, Field(ge=0)] = 0.0
    augment: bool = True


class FineTuning(Part):
    """Epochs and learning rate of the training that follows pruning."""

    epochs: Size = 20
    lr: Annotated[float, Field(gt=0)] = 1e-3


class Recipe(Part):
    """A spiking network: `layers`, then one linear classifier.

    data: the data set that it is meant for; default: whether it is used where only that data set is named. steps: T,
    the number of time steps. readout: the score of a class is the firing rate of a neuron after the classifier, or the
    voltage there, the mean over time of the classifier's output. votes: neighbouring outputs whose mean is the score
    of one class.
    """

    name: str
    title: str
    data: str
    default: bool = False
    steps: Size
    neuron: NeuronModel = NeuronModel()
    layers: tuple[Layer, ...] = Field(min_length=1)
    readout: ReadoutKind = "spikes"
    votes: Size = 1
    training: Training = Training()
    fine_tuning: FineTuning = FineTuning()

    @property
    def depth(self) -> int:
        """Layers with weights from the frames to the classes, two for each block."""
        weighted = (each for each in self.layers if not isinstance(each, PoolLayer | DropoutLayer))
        return 1 + sum(2 * each.repeat if isinstance(each, BlockLayer) else 1 for each in weighted)

    @model_validator(mode="after")
    def _size(self) -> "Recipe":
        if self.depth > DEEPEST:
            raise ValueError(
                f"it has {self.depth} layers with weights, and at most {DEEPEST} are built: leave some out"
            )
        return self

    @model_validator(mode="after")
    def _order(self) -> "Recipe":
        if not isinstance(self.layers[0], ConvLayer):
            raise ValueError("layers must begin with a conv layer: add one that reads the frames")
        flat = False
        for before, layer in pairwise(self.layers):
            flat = flat or isinstance(before, LinearLayer)
            if flat and not isinstance(layer, LinearLayer | DropoutLayer):
                raise ValueError(
                    f"a {_kind(layer)} layer cannot follow a linear layer: move it before the first linear layer"
                )
            if isinstance(layer, BlockLayer) and layer.takes_current and not _gives_current(before, layer):
                raise ValueError(
                    f"{layer.block} blocks read the current of a conv layer or of other {layer.block} blocks, not a "
                    f"{_kind(before)} layer: put a conv layer before them"
                )
        return self


def _gives_current(before: Part, block: BlockLayer) -> bool:
    return isinstance(before, ConvLayer) or (isinstance(before, BlockLayer) and before.block == block.block)


def list_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with neuroprune, in alphabetical order.

    >>> from neuroprune import list_recipes
    >>> "digits-conv" in list_recipes()
    True
    """
    return tuple(sorted(path.stem for path in models_folder().glob("*.yaml")))


def load_recipe(name_or_path: str) -> Recipe:
    """The recipe of that name in models/, or the one in that YAML file.

    Raises InputError when there is none, or when it has unknown keys or values out of range.

    >>> from neuroprune import load_recipe
    >>> recipe = load_recipe("digits-conv")
    >>> recipe.data, recipe.steps, recipe.depth
    ('digits', 4, 4)
    """
    given = name_or_path.endswith((".yaml", ".yml"))
    path = Path(name_or_path) if given else models_folder() / f"{name_or_path}.yaml"
    if not is_file(path):
        known = ", ".join(list_recipes())
        raise InputError(
            f"there is no recipe {capped(name_or_path)}; choose one of {known}, or give the path of a .yaml file"
        )
    values = read_yaml(path, "correct it", f"recipe {path}")
    if not isinstance(values, dict):
        raise InputError(
            f"recipe {path} holds {type(values).__name__}, but must hold keys such as title, steps and layers"
        )
    return parse_recipe({"name": path.stem, **values}, f"recipe {path}")


def parse_recipe(values: dict[str, Any], source: str) -> Recipe:
    """`values` as a Recipe; errors call it by `source`. Raises InputError with the first fault that is found."""
    with reading(source, "one that can be built", "correct it"):
        try:
            return Recipe.model_validate(values)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise InputError(f"{source} {_fault(fault, values)}") from error


def _fault(error: Any, values: dict[str, Any]) -> str:
    """What is wrong and what is allowed, as the rest of a sentence that begins with the recipe's name."""
    location = error["loc"]
    steps = (*location[:2], *location[3:4]) if location[:1] == ("layers",) else location[:2]  # without pydantic's tags
    place = capped(".".join(capped(step, 40) for step in steps), 100)
    match error["type"]:
        case "extra_forbidden":
            allowed = ", ".join(_part_at(location[:-1]).model_fields)
            return f"has the unknown key {place}; allowed here are {allowed}: correct or remove it"
        case "union_tag_not_found":
            return f"has no kind of layer at {place}; it needs one of the keys {', '.join(KINDS)}: add it"
        case "missing":
            return f"lacks the key {place}: add it"
        case "value_error":
            return f"{f'has a fault at {place}' if place else 'cannot be built'}: {error['ctx']['error']}"
    return f"has {place} = {excerpt(error['input'])}, which is not allowed ({capped(error['msg'])}): correct it"


def _part_at(path: tuple[int | str, ...]) -> type[Part]:
    """The part of a recipe that a validation error's location leads to."""
    match path:
        case ():
            return Recipe
        case ("layers", _, kind):
            return KINDS[str(kind)]
        case (section,):
            return type(Recipe.model_fields[str(section)].default)
    raise AssertionError(f"no part of a recipe lies at {path}")
