"""Results as JSON files of a versioned schema, which later commands and other programs read, and as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from neuroprune.documents import read_json, validate
from neuroprune.errors import InputError
from neuroprune.files import write_text
from neuroprune.reading import is_file, reading


class Record(BaseModel):
    """Base of such a schema and of its parts: frozen, complete; unknown keys, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Schema = TypeVar("Schema", bound=Record)


class _Version(BaseModel):
    """The one field that must be read before the others can be."""

    schema_version: int


def record_json(record: Record) -> str:
    """`record` as indented JSON."""
    return record.model_dump_json(indent=2, by_alias=True)


def save_record(record: Record, path: Path) -> None:
    """Write `record` as JSON to the file `path`, atomically. Raises OutputError."""
    write_text(path, record_json(record) + "\n")


def load_record(schema: type[Schema], file: Path, noun: str, command: str, remedy: str) -> Schema:
    """The record in `file`, of a schema that has its version as the default of `schema_version`.

    noun, command, remedy: what errors call it, which command of ours writes it, and what to do about one that cannot
    be read. Raises InputError for a file that is missing, not whole, or of another version.
    """
    if not is_file(file):
        raise InputError(f"{file} is not there; `neuroprune {command}` writes a {noun}")
    with reading(file, f"a whole {noun}", remedy):
        values = read_json(file, remedy)
        if not isinstance(values, dict):
            raise ValueError("it is no object of JSON")
        stated, read = validate(_Version, values).schema_version, schema.model_fields["schema_version"].default
        if stated != read:
            raise InputError(
                f"{file} is a {noun} of schema {stated}, but this neuroprune reads schema {read}; {remedy}"
            )
        return validate(schema, values)


def csv_text(fields: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A line of `fields`, then one for each of `rows`: values by field, blank where there is none, no others."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
