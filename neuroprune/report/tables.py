"""The report's layers and cores as CSV, for spreadsheets and scripts: one row each, nothing rounded."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from neuroprune.files import write_text
from neuroprune.report.schema import CoreReport, LayerReport, Report


def layers_csv(report: Report) -> str:
    """A row for each layer: the fields of `LayerReport`, shapes written 64x32x32, sources with blanks between."""
    rows = [
        layer.model_dump() | {"shape": "x".join(map(str, layer.shape)), "sources": " ".join(layer.sources)}
        for layer in report.layers
    ]
    return _csv(LayerReport.model_fields, rows)


def cores_csv(report: Report) -> str:
    """A row for each core: the fields of `CoreReport`, the tiles as the names of layers and encodings on it."""
    fields = [
        column
        for field in CoreReport.model_fields
        for column in (("layers", "encodings") if field == "tiles" else (field,))
    ]
    rows = [
        core.model_dump(exclude={"tiles"}) | {"layers": " ".join(core.layers), "encodings": " ".join(core.encodings)}
        for core in report.cores
    ]
    return _csv(fields, rows)


def write_tables(report: Report, folder: Path) -> None:
    """Write layers.csv and cores.csv into `folder`, each atomically. Raises OutputError."""
    write_text(folder / "layers.csv", layers_csv(report))
    write_text(folder / "cores.csv", cores_csv(report))


def _csv(fields: Iterable[str], rows: Sequence[dict[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
