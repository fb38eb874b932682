"""What single events on a chip cost in time and energy, as published: data in the YAML files of hw_targets/costs.

A file has a `title`, the `source` of the model and how well it is known as a whole (`grade`), perhaps `remarks`, and
its figures, each with value, unit, source and grade as the numbers of a chip. A figure that is published nowhere is
left out: what it would be the cost of is then unknown, and never nothing.
"""

from bisect import bisect_left
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt, model_validator

from neuroprune.bundled import hw_targets_folder
from neuroprune.chips.chip import Grade
from neuroprune.documents import read_yaml, validate
from neuroprune.errors import InputError
from neuroprune.excerpts import excerpt
from neuroprune.reading import is_file, reading
from neuroprune.records import Record

Cost = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]

UNITS = {"energy": "pJ", "time": "ns", "tile": "cores"}
"""Of a figure, by what its name says that it is."""


class Sourced(Record):
    """What every figure has beside its value."""

    unit: str
    source: Text
    grade: Grade


class Figure(Sourced):
    value: Cost


class EncodingFigure(Sourced):
    """The same for all synapses, or by the family's name of how they are stored."""

    value: Cost | dict[str, Cost]

    def of(self, encoding: str) -> float | None:
        """Of synapses stored so; None where the figure is not known for them."""
        return self.value.get(encoding) if isinstance(self.value, dict) else self.value


class TileFigure(Sourced):
    """Cores along x and y that share a router."""

    value: tuple[PositiveInt, PositiveInt]


class BarrierFigure(Sourced):
    """By numbers of tiles that take part, straight lines between them."""

    value: Annotated[dict[PositiveInt, Cost], Field(min_length=1)]

    def of(self, tiles: int) -> float:
        """Of so many tiles; beyond the table that of its nearest end."""
        known = sorted(self.value)
        at = bisect_left(known, tiles)
        if at in (0, len(known)):
            return self.value[known[min(at, len(known) - 1)]]
        below, above = known[at - 1], known[at]
        share = (tiles - below) / (above - below)
        return self.value[below] + share * (self.value[above] - self.value[below])


class CostModel(Record):
    """One published model; figures that it does not have are None.

    Energies in pJ: of a SynOp; of a step of a neuron that takes part and of one that does not; of a neuron that fires;
    of a message to a core, and of its hop from tile to tile along x or y.
    Times in ns: of the same, of a message at its sender and its receiver, of a message on a link, of the barrier that
    ends a step. That of a hop is no part of an estimate, and used by SANA-FE alone.
    """

    name: str
    title: Text
    source: Text
    grade: Grade
    remarks: tuple[Text, ...] = ()
    tile: TileFigure
    synop_energy: EncodingFigure | None = None
    active_neuron_energy: Figure | None = None
    inactive_neuron_energy: Figure | None = None
    spike_energy: Figure | None = None
    message_energy: Figure | None = None
    hop_energy_x: Figure | None = None
    hop_energy_y: Figure | None = None
    synop_time: EncodingFigure | None = None
    active_neuron_time: Figure | None = None
    inactive_neuron_time: Figure | None = None
    spike_time: Figure | None = None
    message_out_time: Figure | None = None
    message_in_time: Figure | None = None
    hop_time_x: Figure | None = None
    hop_time_y: Figure | None = None
    link_time: Figure | None = None
    barrier_time: BarrierFigure | None = None

    @model_validator(mode="after")
    def _units(self) -> "CostModel":
        for name, figure in self:
            if isinstance(figure, Sourced):
                unit = next(unit for word, unit in UNITS.items() if word in name)
                if figure.unit != unit:
                    raise ValueError(f"the unit of {name} is {excerpt(figure.unit)}, but must be {unit}")
        return self


def list_cost_models() -> tuple[str, ...]:
    """Names of the bundled cost models, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def load_cost_model(name_or_path: str, folder: Path) -> CostModel:
    """The bundled cost model of that name, or the one of a YAML file, whose path is seen from `folder`.

    Raises InputError, naming file and key, for a file that is not there or is not a whole model.
    """
    bundled = name_or_path in list_cost_models()
    path = _folder() / f"{name_or_path}.yaml" if bundled else folder / name_or_path
    if not is_file(path):
        raise InputError(
            f"there is no cost model {excerpt(name_or_path)}: choose one of {', '.join(list_cost_models())}, or give "
            "the path of a YAML file"
        )
    with reading(path, "a cost model", "correct the file"):
        content: Any = read_yaml(path, "correct the file")
        if not isinstance(content, dict):
            raise ValueError("it holds no keys and values; see hw_targets/costs/davies-2018.yaml")
        if "name" in content:
            raise ValueError("it has a name, but is called as its file is")
        return validate(CostModel, {"name": path.stem, **content})


def _folder() -> Path:
    return hw_targets_folder() / "costs"
