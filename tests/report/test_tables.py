"""CSV tables hold every layer and core, unrounded."""

import csv
import io
from pathlib import Path

import pytest

from neuroprune.errors import OutputError
from neuroprune.report.schema import Report
from neuroprune.report.tables import cores_csv, layers_csv, write_tables


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_each_layer_is_a_row_with_all_its_fields_and_nothing_rounded(report: Report) -> None:
    found = rows(layers_csv(report))
    assert [row["name"] for row in found] == ["features.0.neuron", "classifier"]
    assert (found[0]["shape"], found[0]["kind"]) == ("64x32x32", "conv")
    assert (found[1]["sources"], found[1]["waits"]) == ("features.0.neuron", "0")
    parts = {"bound", "rounding", "changed"}
    for row, layer in zip(found, report.layers, strict=True):
        plain = layer.model_dump(exclude={"shape", "sources", "waits", "resources", "zeros_stored", *parts})
        names = ("neurons_used", "input_axons", "output_axons", "synapse_memory_bits", "synapse_formats")
        plain |= {name: each.used for name, each in zip(names, layer.resources, strict=True)}
        assert layer.zeros_stored is not None
        plain["zeros_stored_cores"] = layer.zeros_stored.cores
        amounts = zip(names, layer.zeros_stored.resources, strict=True)
        plain |= {f"zeros_stored_{name}": each.used for name, each in amounts}
        for part in parts:
            plain |= {f"{part}_{name}": value for name, value in getattr(layer, part).model_dump().items()}
        assert set(row) == {*plain, "shape", "sources", "waits"}
        for field, value in plain.items():
            assert row[field] == str(value)
            assert isinstance(value, bool) or type(value)(row[field]) == value


def test_what_is_unknown_of_a_layer_is_blank(report: Report) -> None:
    layer = report.layers[0].model_copy(update={"bound": None, "rounding": None, "changed": None})
    (row,) = rows(layers_csv(report.model_copy(update={"layers": (layer,)})))
    assert [row[name] for name in row if name.startswith(("bound_", "rounding_", "changed_"))] == [""] * 13


def test_zeros_that_were_not_analysed_are_blank(report: Report) -> None:
    layer = report.layers[0].model_copy(update={"resources": (), "zero_weights_share": None, "zeros_stored": None})
    (row,) = rows(layers_csv(report.model_copy(update={"layers": (layer,)})))
    unknown = {name for name, value in row.items() if value == ""}
    assert {"neurons_used", "zero_weights_share", "zeros_stored_cores", "zeros_stored_synapse_memory_bits"} <= unknown


def test_sources_and_waits_of_a_sum_stand_side_by_side(report: Report) -> None:
    layer = report.layers[1].model_copy(update={"sources": ("a", "b", "input"), "waits": (0, 2, 5)})
    (row,) = rows(layers_csv(report.model_copy(update={"layers": (layer,)})))
    assert (row["sources"], row["waits"]) == ("a b input", "0 2 5")


def test_each_core_is_a_row_with_all_its_fields_and_nothing_rounded(report: Report) -> None:
    found = rows(cores_csv(report))
    assert [row["layers"] for row in found] == ["features.0.neuron", "features.0.neuron", "classifier"]
    assert [row["encodings"] for row in found] == ["shared", "shared", "dense"]
    for row, core in zip(found, report.cores, strict=True):
        plain = core.model_dump(exclude={"tiles", "resources"})
        names = ("neurons_used", "input_axons", "output_axons", "synapse_memory_bits", "synapse_formats")
        plain |= {name: each.used for name, each in zip(names, core.resources, strict=True)}
        plain |= {f"{each.name.replace(' ', '_')}_percent": each.percent for each in core.resources}
        assert set(row) == {*plain, "layers", "encodings"}
        for field, value in plain.items():
            assert row[field] == "" if value is None else type(value)(row[field]) == value


def test_both_tables_are_written(report: Report, tmp_path: Path) -> None:
    write_tables(report, tmp_path)
    assert (tmp_path / "layers.csv").read_text() == layers_csv(report)
    assert (tmp_path / "cores.csv").read_text() == cores_csv(report)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cores.csv", "layers.csv"]


def test_a_table_that_cannot_be_written_is_named(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"layers\.csv could not be written"):
        write_tables(report, tmp_path / "file")
