"""Gates: conditions on the figures of a report, under which a command fails (`--fail-if "cores>32"`).

A gate is a path to a figure, an operator and a number. The path is the way through report.json with points between:
`totals.cores`, `layers.conv1.neurons`. An entry of a list goes by its name (layers, resources), its model (costs), its
index (cores) or else its place; `*` stands for all of them, and a list itself for the number of its entries. Nothing of
it is evaluated as code.
"""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from neuroprune.choices import Choice
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.readable import figure
from neuroprune.report.schema import Report

SHORT = (
    Choice("cores", "totals.cores"),
    Choice("chips", "totals.chips"),
    Choice("neurons", "totals.neurons"),
    Choice("synapses", "totals.synapses"),
    Choice("synops", "totals.nonzero_synops_per_sample"),
    Choice("spikes", "totals.spikes_per_sample"),
    Choice("accuracy", "accuracy.bit_accurate"),
    Choice("differences", "lava.differences"),
    Choice("gap", "bound.gap"),
    Choice("messages", "traffic.messages_per_sample"),
    Choice("hops", "traffic.hops_per_sample"),
    Choice("latency_us", "costs.*.latency_us"),
    Choice("energy_nj", "costs.*.energy.total_nj"),
)
"""Names of the commonest figures, with their paths."""

PASSES = {"<": "at least", "<=": "more than", ">": "at most", ">=": "less than", "==": "anything but", "!=": "only"}
"""What passes a gate that fails by each operator."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_GATE = re.compile(r"\s*(?P<path>[^<>=!]+?)\s*(?P<operator><=|>=|==|!=|<|>)\s*(?P<limit>[^<>=!]+?)\s*")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_KEYS = ("name", "model", "index")
"""The field by which entries of a list are told apart: the first of these that they have."""
_MOST_SENTENCES = 4
"""Figures below one `*` that are told one by one."""


@dataclass(frozen=True)
class Gate:
    """A figure may not stand in this relation to `limit`.

    text: as it was given. path: of the figure, short names written out. operator: a key of `PASSES`.
    """

    text: str
    path: str
    operator: str
    limit: float


def parse_gate(text: str) -> Gate:
    """The gate that `text` describes, such as "cores>32", "accuracy<90%" or "layers.conv1.neurons >= 1000".

    Raises InputError for what is no such condition, and for a path that no report can have.
    """
    parts = _GATE.fullmatch(text)
    if parts is None:
        raise InputError(
            f"{capped(text)!r} is no condition: write a figure of the report, one of {', '.join(PASSES)}, and a "
            "number, as in --fail-if 'cores>32'"
        )
    share = parts["limit"].endswith("%")
    number = parts["limit"].removesuffix("%").strip()
    limit = float(number) if _NUMBER.fullmatch(number) else inf
    if not isfinite(limit):
        raise InputError(
            f"{capped(parts['limit'])!r} in {capped(text)!r} is no number: write one such as 32, 0.9 or 90%"
        )
    path = next((short.title for short in SHORT if short.name == parts["path"]), parts["path"])
    fault = _fault(Report, path)
    if fault is not None:
        raise InputError(
            f"{capped(parts['path'])} is no figure of a report, since {fault}: give its path in report.json, or one of "
            f"{', '.join(short.name for short in SHORT)}"
        )
    return Gate(text.strip(), path, parts["operator"], limit / 100 if share else limit)


def failures(report: Report, gates: Sequence[Gate]) -> tuple[str, ...]:
    """A sentence for each figure of `report` that fails one of `gates`, or that a gate asks for and nobody knows.

    Raises InputError for paths of entries that this report does not have.
    """
    return tuple(sentence for gate in gates for sentence in _failures(report, gate))


def _failures(report: Report, gate: Gate) -> Iterator[str]:
    found = _figures(report, gate.path)
    if not found and "*" not in gate.path:
        raise InputError(
            f"{gate.path} of --fail-if {gate.text!r} is not in this report: `neuroprune report --json` has all"
        )
    if gate.path.startswith("lava.") and report.lava.samples == 0 and gate.path != "lava.samples":
        found = dict.fromkeys(found)
    known = {name: value for name, value in found.items() if value is not None}
    if not known:
        yield f"{gate.path} is not known, so that --fail-if {gate.text!r} cannot be ruled out"
        return
    failed = {name: value for name, value in known.items() if _COMPARE[gate.operator](value, gate.limit)}
    for name, value in list(failed.items())[:_MOST_SENTENCES]:
        passing = f"{PASSES[gate.operator]} {gate.limit:,.12g}"
        yield f"{capped(name)} is {_shown(value, gate.limit)}, and {passing} passes --fail-if {gate.text!r}"
    if len(failed) > _MOST_SENTENCES:
        yield f"{len(failed) - _MOST_SENTENCES} more fail --fail-if {gate.text!r}"


def _shown(value: float, limit: float) -> str:
    """`value` with few digits, but enough to be told from `limit`."""
    return figure(value) if value == limit or figure(value) != figure(limit) else f"{value:,.12g}"


def _figures(value: object, path: str, before: str = "") -> dict[str, float | None]:
    """The figures that `path` leads to from `value`, by their own paths; None where they are not known."""
    if path == "":
        return {before: len(value) if isinstance(value, tuple | dict) else None if value is None else float(value)}  # type: ignore[arg-type]
    if value is None:
        return {f"{before}.{path}": None}
    found: dict[str, float | None] = {}
    for key, entry in _entries(value):
        for step in (key, "*") if isinstance(value, tuple) else (key,):
            if path == step or path.startswith(f"{step}."):
                found |= _figures(entry, path[len(step) + 1 :], f"{before}.{key}" if before else key)
    return found


def _entries(value: object) -> Iterator[tuple[str, Any]]:
    """What a value of a report holds, by the names that paths have for it."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield name, getattr(value, name)
    elif isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, tuple):
        for place, entry in enumerate(value):
            key = next((key for key in _KEYS if hasattr(entry, key) and not isinstance(entry, str | tuple)), None)
            yield str(place if key is None else getattr(entry, key)), entry


def _fault(kind: Any, path: str) -> str | None:
    """Why `path` leads from a value of the type `kind` to no figure, whatever the value is; None where it may."""
    kinds = [each for each in _alternatives(kind) if each is not NoneType]
    faults = [_fault_of_one(each, path) for each in kinds]
    return None if None in faults else faults[0]


def _fault_of_one(kind: Any, path: str) -> str | None:
    entries = _types_of_entries(kind)
    if path == "":
        is_figure = entries is not None or (isinstance(kind, type) and issubclass(kind, int | float))
        return None if is_figure else "it is no number but holds some" if _is_model(kind) else "it is no number"
    if _is_model(kind):
        step, _, rest = path.partition(".")
        fields = kind.model_fields
        if step not in fields:
            return f"there is no {capped(step)} among {', '.join(fields)}"
        return _fault(fields[step].annotation, rest)
    if entries is None:
        return f"there is no {capped(path)} below a single value"
    # Names hold points themselves, so that any of them may be the end of the name.
    rests = [path[place + 1 :] for place, letter in enumerate(f"{path}.") if letter == "."]
    faults = [_fault(each, rest) for each in entries for rest in rests]
    return None if None in faults else faults[0]


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """The types that a value annotated with `kind` may be of."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _alternatives(get_args(kind)[0])
    if origin is Literal:
        return tuple(type(value) for value in get_args(kind))
    if origin in (Union, UnionType):
        return tuple(each for part in get_args(kind) for each in _alternatives(part))
    return (kind,)


def _types_of_entries(kind: Any) -> tuple[Any, ...] | None:
    """The types of what a list or a table by names holds; None for all other types."""
    if get_origin(kind) is tuple:
        return tuple(each for each in get_args(kind) if each is not Ellipsis)
    return get_args(kind)[1:] if get_origin(kind) is dict else None


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
