"""The JSON Schemas in docs/ are those of the code."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]


def schemas() -> Any:
    """The module that makes them, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("schemas", TOP / "docs" / "schemas.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", ["report.json", "comparison.json", "compress.json"])
def test_a_published_schema_is_that_of_the_code(file: str) -> None:
    made = schemas()
    assert set(made.SCHEMAS) == {"report.json", "comparison.json", "compress.json"}
    published = made.schema_path(file).read_text(encoding="utf-8")
    assert published == made.schema_text(file), "write it anew with `make schemas`"


@pytest.mark.parametrize("file", ["report.json", "comparison.json", "compress.json"])
def test_a_published_schema_says_its_version(file: str) -> None:
    made = schemas()
    version = made.SCHEMAS[file].model_fields["schema_version"].default
    assert json.loads(made.schema_path(file).read_text())["properties"]["schema_version"]["const"] == version
