"""The JSON Schemas of the files that neuroprune writes, made from their types: `make schemas` writes them into docs/.

They are part of the repository, so that a change of a file's form is seen as one.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from neuroprune.compression.record import CompressRecord
from neuroprune.report.compare_schema import Comparison
from neuroprune.report.schema import Report

SCHEMAS: dict[str, type[BaseModel]] = {
    "report.json": Report,
    "comparison.json": Comparison,
    "compress.json": CompressRecord,
}
"""Files and their types; report.json is described by report.schema.json. A comparison is printed, by `--json`."""


def json_schema(file: str) -> dict[str, Any]:
    """The JSON Schema of a file that neuroprune writes."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMAS[file].model_json_schema()}


def schema_path(file: str) -> Path:
    """Where the schema of `file` lies."""
    return Path(__file__).with_name(f"{Path(file).stem}.schema.json")


def schema_text(file: str) -> str:
    """What lies there."""
    return json.dumps(json_schema(file), indent=2) + "\n"


if __name__ == "__main__":
    for name in SCHEMAS:
        schema_path(name).write_text(schema_text(name), encoding="utf-8")
