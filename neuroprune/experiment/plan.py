"""Plans: which methods are compared, on what, as a YAML file of plans/, checked before anything is run."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from neuroprune.bundled import plans_folder
from neuroprune.data.codings import Kind as CodingKind
from neuroprune.data.subset import Subset
from neuroprune.documents import read_yaml
from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.experiment.catalog import Analysis
from neuroprune.networks.nir.catalog import nir_reference, path_of
from neuroprune.networks.recipe import Part
from neuroprune.networks.reference import parse_reference
from neuroprune.reading import is_file, reading

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=+-]*$", max_length=40)]
"""Of a thing in a plan; it becomes part of the name of a folder."""

YAML = (".yaml", ".yml")

Changes = dict[str, Any]
"""Fields of settings by name, in place of their defaults."""


class DataPart(Part):
    """What is trained and tested on.

    name: of the data set; coding, steps: as for `neuroprune train`, the steps of recipes being their own. subset: the
    part of the data set that is taken (`neuroprune.data.subset.Subset`).
    """

    name: str
    coding: CodingKind = "direct"
    steps: Annotated[int, Field(ge=1)] | None = None
    subset: Subset = Subset()


class NetworkPart(Part):
    """A network: a `recipe`, by its name, its YAML file or in full, or a `model`, file.py:Class or net.nir.

    name: what results call it, by default the recipe's or the class's. training, fine_tuning: fields of TrainSettings
    in place of the recipe's.
    """

    name: Name | None = None
    recipe: str | dict[str, Any] | None = None
    model: str | None = None
    training: Changes = Field(default_factory=dict)
    fine_tuning: Changes = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"recipe": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> "NetworkPart":
        if (self.recipe is None) == (self.model is None):
            raise ValueError("a network has either a recipe or a model: give one of the two")
        return self


class Comparison(Part):
    """Variants of pruning that are held against each other, at each of the targets.

    targets: each the fields of CompressSettings that say how much remains, such as {flops: 0.5}, all of one kind.
    settings, fine_tuning: fields of CompressSettings and of TrainSettings that all variants share, in place of
    defaults; `fine_tuning: {epochs: 0}` for none. baseline: the variant that the others are held against. variants: by
    name, each with its own settings, and fine_tuning among them if need be.
    """

    name: Name
    targets: tuple[dict[str, float], ...] = Field(min_length=1)
    settings: Changes = Field(default_factory=dict)
    fine_tuning: Changes = Field(default_factory=dict)
    baseline: Name
    variants: dict[Name, Changes] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> "Comparison":
        if self.baseline not in self.variants:
            raise ValueError(
                f"its baseline {self.baseline} is none of its variants {', '.join(self.variants)}: name one of them"
            )
        return self


class Plan(Part):
    """Methods x targets x seeds x networks.

    seeds: of the trainings; everything is run once with each. training: fields of TrainSettings that all networks
    share, in place of their recipes'; `validation: 0.1` holds out samples to choose by. chip: whose cores and memory
    are counted, by its name or its YAML file; None for none. analyses: what is found out about each pruned network
    beside its figures. threads: of each process that computes; the last digits of a training depend on it.
    Files that it names, of networks, recipes and chips, are seen from the folder of its own file.
    """

    name: str
    title: str
    data: DataPart
    networks: tuple[NetworkPart, ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    training: Changes = Field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = Field(min_length=1)
    chip: str | None = None
    analyses: tuple[Analysis, ...] = ()
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    _folder: Path = PrivateAttr(default_factory=Path)

    def file(self, name: str) -> str:
        """`name` of a chip or a recipe; where it is a YAML file, its path from wherever one stands."""
        return str(self._folder / name) if name.endswith(YAML) else name

    def located(self, model: str) -> str:
        """The reference `model` to a network, with the path of its file, where it names one, from wherever one stands.

        Raises InputError where that file is not there.
        """
        reference = nir_reference(model)
        named = parse_reference(reference)
        if not named.is_file and path_of(named) is None:
            return model
        path = self._folder / named.source
        if not is_file(path):
            raise InputError(
                f"plan {capped(self.name)} names the network {capped(model)}, but {capped(path)} is not there: correct "
                "the path, which is seen from the folder of the plan"
            )
        return f"{path}{reference.removeprefix(named.source)}"

    @model_validator(mode="after")
    def _once(self) -> "Plan":
        _check_once("seed", self.seeds)
        _check_once("comparison", (each.name for each in self.comparisons))
        return self


def list_plans() -> tuple[str, ...]:
    """Names of the plans that come with neuroprune, in alphabetical order.

    >>> from neuroprune import list_plans
    >>> "small" in list_plans()
    True
    """
    return tuple(sorted(path.stem for path in plans_folder().glob("*.yaml")))


def load_plan(name_or_path: str) -> Plan:
    """The plan of that name in plans/, or the one in that YAML file.

    Raises InputError when there is none, or when it has unknown keys or values that are not allowed.

    >>> from neuroprune import load_plan
    >>> plan = load_plan("small")
    >>> plan.data.name, [comparison.name for comparison in plan.comparisons]
    ('digits', ['unstructured', 'structured'])
    """
    given = name_or_path.endswith(YAML)
    path = Path(name_or_path) if given else plans_folder() / f"{name_or_path}.yaml"
    if not is_file(path):
        known = ", ".join(list_plans())
        raise InputError(
            f"there is no plan {capped(name_or_path)}: choose one of {known}, or give the path of a .yaml file"
        )
    subject = f"plan {path}"
    values = read_yaml(path, "correct it", subject)
    if not isinstance(values, dict):
        raise InputError(
            f"{subject} holds {type(values).__name__}, but must hold keys such as data, networks and comparisons: "
            "correct it"
        )
    return parse_plan({"name": path.stem, **values}, subject, path.resolve().parent)


def parse_plan(values: dict[str, Any], source: str, folder: Path | None = None) -> Plan:
    """`values` as a Plan; errors call it by `source`. Raises InputError with the first fault that is found.

    folder: the one that paths in it are seen from, by default the working folder.
    """
    with reading(source, "one that can be run", "correct it"):
        try:
            plan = Plan.model_validate(values)
            plan._folder = folder or Path.cwd()
            return plan
        except ValidationError as error:
            raise InputError(f"{source} {_fault(error.errors(include_url=False)[0])}") from error


def _fault(fault: Any) -> str:
    """What is wrong and what is allowed, as the rest of a sentence that begins with the plan's name."""
    location = fault["loc"]
    place = capped(".".join(capped(step, 40) for step in location), 100)
    match fault["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            allowed = ", ".join(_keys_at(location[:-1]))
            return f"has the unknown key {place}; allowed here are {allowed}: correct or remove it"
        case "missing":
            return f"lacks the key {place}: add it"
        case "value_error":
            return f"{f'has a fault at {place}' if place else 'cannot be run'}: {fault['ctx']['error']}"
        case "string_pattern_mismatch":
            return (
                f"has the name {excerpt(fault['input'])} at {place}, but names are of letters, digits and . _ = + - "
                "and begin with one of the first two: correct it"
            )
    return f"has {place} = {excerpt(fault['input'])}, which is not allowed ({capped(fault['msg'])}): correct it"


def _keys_at(path: tuple[int | str, ...]) -> Iterable[str]:
    """The keys of the part of a plan that a validation error's location leads to."""
    parts: dict[str, type[BaseModel]] = {"data": DataPart, "networks": NetworkPart, "comparisons": Comparison}
    if path == ("data", "subset"):
        return list(Subset.__dataclass_fields__)
    return (parts[str(path[0])] if path else Plan).model_fields


def _check_once(what: str, found: Iterable[Any]) -> None:
    """Raise ValueError where something is there twice."""
    seen = list(found)
    for each in seen:
        if seen.count(each) > 1:
            raise ValueError(f"it has the {what} {each} {seen.count(each)} times: leave it out or rename it")
