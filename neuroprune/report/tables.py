"""The report's layers and cores as CSV, for spreadsheets and scripts: one row each, nothing rounded."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from neuroprune.files import write_text
from neuroprune.records import csv_text
from neuroprune.report.chip_schema import CoreReport, ResourceAmount
from neuroprune.report.layer_schema import BoundReport, ChangedReport, LayerReport, RoundingReport
from neuroprune.report.resources import Named, column
from neuroprune.report.schema import Report

PARTS: dict[str, type[BaseModel]] = {"bound": BoundReport, "rounding": RoundingReport, "changed": ChangedReport}
"""Fields of a layer that have fields of their own."""


def layers_csv(report: Report) -> str:
    """A row for each layer: the fields of `LayerReport`; those of its parts one by one, blank where they are None.

    Shapes are written 64x32x32, sources and waits separated by blanks. Each resource has a column for what the layer
    takes, and one for what it would take with its zeros stored, named as in the table of cores.
    """
    used = [_used_column(each) for each in report.target.resources]
    columns_of = {
        **{field: [f"{field}_{part}" for part in part.model_fields] for field, part in PARTS.items()},
        "resources": used,
        "zeros_stored": [f"zeros_stored_{name}" for name in ("cores", *used)],
    }
    fields = [column for field in LayerReport.model_fields for column in columns_of.get(field, [field])]
    return csv_text(fields, [_layer_row(layer) for layer in report.layers])


def _layer_row(layer: LayerReport) -> dict[str, object]:
    row: dict[str, object] = layer.model_dump(exclude={*PARTS, "resources", "zeros_stored"})
    row |= _amounts(layer.resources)
    row |= {
        "shape": "x".join(map(str, layer.shape)),
        "sources": " ".join(layer.sources),
        "waits": " ".join(map(str, layer.waits)),
    }
    for field in PARTS:
        part = getattr(layer, field)
        row |= {f"{field}_{name}": value for name, value in (part.model_dump() if part else {}).items()}
    if layer.zeros_stored is not None:
        stored = {"cores": layer.zeros_stored.cores, **_amounts(layer.zeros_stored.resources)}
        row |= {f"zeros_stored_{name}": value for name, value in stored.items()}
    return row


def _amounts(resources: Sequence[ResourceAmount]) -> dict[str, int]:
    return {_used_column(each): each.used for each in resources}


def cores_csv(report: Report) -> str:
    """A row for each core: the fields of `CoreReport`, the tiles as the names of layers and encodings on it.

    Each resource has a column for what is used, with the unit where its name does not say it, and one in per cent of
    the limit. One that is called like a field, such as "neurons", gets `_used` after its name.
    """
    fields = [
        name
        for field in CoreReport.model_fields
        for name in (("layers", "encodings") if field == "tiles" else () if field == "resources" else (field,))
    ]
    rows = [
        core.model_dump(exclude={"tiles", "resources"})
        | {"layers": " ".join(core.layers), "encodings": " ".join(core.encodings)}
        | {_used_column(each): each.used for each in core.resources}
        | {_percent_column(each): each.percent for each in core.resources}
        for core in report.cores
    ]
    columns = [name for each in report.target.resources for name in (_used_column(each), _percent_column(each))]
    return csv_text([*fields, *columns], rows)


def _used_column(resource: Named) -> str:
    name = column(resource)
    return f"{name}_used" if name in CoreReport.model_fields else name


def _percent_column(resource: Named) -> str:
    return f"{resource.name.replace(' ', '_')}_percent"


def write_tables(report: Report, folder: Path) -> None:
    """Write layers.csv and cores.csv into `folder`, each atomically. Raises OutputError."""
    write_text(folder / "layers.csv", layers_csv(report))
    write_text(folder / "cores.csv", cores_csv(report))
