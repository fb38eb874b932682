"""What there is to say of a run at a glance, from a few fields of its files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel

from neuroprune.documents import read_json, validate
from neuroprune.errors import InputError
from neuroprune.folders import is_in_use
from neuroprune.reading import reading
from neuroprune.runs import CHECKPOINT, RESULT_FILES, is_unfinished

State = Literal["finished", "unfinished", "incomplete", "in use"]
"""unfinished: it can be resumed; incomplete: its files are not whole, and nothing goes on from them; in use: a command
is at work in it."""

REMEDY = "remove the run with `neuroprune runs remove`"


class RunSummary(NamedTuple):
    """A run. accuracy: on the test set, or else on samples held out; of a deployment in the chip's integers.

    data, model, accuracy: None where the run does not say. date: of the last change of its files. size: in bytes.
    """

    number: int
    kind: str
    folder: Path
    state: State
    data: str | None
    model: str | None
    accuracy: float | None
    date: datetime
    size: int


def summarise_run(number: int, kind: str, folder: Path) -> RunSummary:
    """The summary of a run, whatever is left of it."""
    data = model = accuracy = None
    state: State = "unfinished" if is_unfinished(folder) else "finished"
    try:
        data, model, accuracy = _deployed(folder) if kind == "deploy" else _trained(folder, kind)
    except InputError:
        state = "incomplete"
    if is_in_use(folder):
        state = "in use"
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    changed = max((each.st_mtime for each in files), default=folder.stat().st_mtime)
    size = sum(each.st_size for each in files)
    return RunSummary(number, kind, folder, state, data, model, accuracy, datetime.fromtimestamp(changed, UTC), size)


class _Named(BaseModel):
    name: str


class _Epoch(BaseModel):
    test_accuracy: float | None
    validation_accuracy: float | None = None


class _Checkpoint(BaseModel):
    """Of checkpoint.json."""

    model: dict[str, _Named | str]
    data: _Named
    history: list[_Epoch]


class _Pruned(BaseModel):
    accuracy: float


class _Compression(BaseModel):
    """Of compress.json."""

    pruned: _Pruned


class _Ladder(BaseModel):
    bit_accurate: float | None


class _Deployment(BaseModel):
    """Of report.json."""

    network: str
    data: str | None
    accuracy: _Ladder


Fields = TypeVar("Fields", bound=BaseModel)
Held = tuple[str | None, str | None, float | None]
"""Data, model and accuracy."""


def _deployed(folder: Path) -> Held:
    report = _read(_Deployment, folder / RESULT_FILES["deploy"])
    return report.data, report.network, report.accuracy.bit_accurate


def _trained(folder: Path, kind: str) -> Held:
    checkpoint = _read(_Checkpoint, folder / CHECKPOINT)
    made_by = next(iter(checkpoint.model.values()), None)
    model = made_by.name if isinstance(made_by, _Named) else made_by
    if kind == "compress" and not is_unfinished(folder):
        return checkpoint.data.name, model, _read(_Compression, folder / RESULT_FILES[kind]).pruned.accuracy
    accuracy = None
    if checkpoint.history:
        last = checkpoint.history[-1]
        accuracy = last.validation_accuracy if last.test_accuracy is None else last.test_accuracy
    return checkpoint.data.name, model, accuracy


def _read(fields: type[Fields], file: Path) -> Fields:
    """Those fields of a file. Raises InputError."""
    with reading(file, "a file of a run", REMEDY):
        return validate(fields, read_json(file, REMEDY))
