"""JSON and YAML as plain values: numbers, text, lists and keys with values, within allowances, no key twice.

Whole numbers are of at most 64 bits and all numbers finite, so that whatever computes with them or prints them can.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from neuroprune.excerpts import capped, excerpt
from neuroprune.reading import check_spread, read_text, reading

LARGEST_JSON = 1 << 25
"""Bytes: twice the report of the 16,384 cores of 128 chips."""
LARGEST_YAML = 1 << 16
"""Bytes: ten times the longest file that comes with neuroprune; YAML is read a character at a time."""
MOST_VALUES = 20_000
"""Values that a YAML file may stand for, those that aliases repeat included."""
DEEPEST = 30
LONGEST_NUMBER = 20
"""Characters of a whole number of 64 bits."""

Model = TypeVar("Model", bound=BaseModel)


def read_json(path: Path, remedy: str, subject: str = "") -> Any:
    """The value in a JSON file; errors call it by `subject`, by default its path. Raises InputError."""
    with reading(subject or path, "whole JSON", remedy):
        return parse_json(read_text(path, LARGEST_JSON))


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError with the reason."""
    value = json.loads(text, object_pairs_hook=_unique, parse_int=_whole, parse_constant=_not_finite)
    _check(value)
    return value


def read_yaml(path: Path, remedy: str, subject: str = "") -> Any:
    """The value in a YAML file; errors call it by `subject`, by default its path. Raises InputError.

    Only tags of plain values are followed, as in `yaml.safe_load`.
    """
    with reading(subject or path, "valid YAML", remedy):
        try:
            return _parse_yaml(read_text(path, LARGEST_YAML))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise ValueError(f"{capped(error.problem)}{f' in line {mark.line + 1}' if mark else ''}") from error


def validate(schema: type[Model], value: Any) -> Model:
    """`value` as a `schema`. Raises ValueError with the place and the first fault that is found there."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = capped(".".join(capped(step, 40) for step in fault["loc"]), 100)
        raise ValueError(f"{place}: {capped(fault['msg'])}" if place else capped(fault["msg"])) from error


class _Loader(yaml.SafeLoader):
    """Knows how deep it is."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _parse_yaml(text: str) -> Any:
    loader = _Loader(text)
    root = loader.get_single_node()
    if root is None:
        return None
    # Before values are made: merge keys copy what they name.
    check_spread(root, _parts, MOST_VALUES)
    value = loader.construct_document(root)
    _check(value)
    return value


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    """What a node of YAML holds. Raises ValueError for keys that are there twice."""
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        names = set()
        for key, value in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)
            if name in names:
                raise ValueError(f"it has the key {excerpt(key.value)} twice")
            names.add(name)
            yield from (key, value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"it has the key {excerpt(twice)} twice")
    return values


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"it holds a whole number of {len(text)} digits")
    return int(text)


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"it holds {text}, which is no number of JSON")


def _check(value: Any, depth: int = 0) -> None:
    """Raises ValueError for numbers that are too large or not finite, and for values that are nested too deeply."""
    if depth > DEEPEST:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    match value:
        case int() if not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"it holds {excerpt(value)}, and at most 64 are read")
        case float() if not math.isfinite(value):
            raise ValueError(f"it holds {value}, which is no finite number")
        case str() if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(f"it holds the text {excerpt(value)}, which no UTF-8 can write")
        case list() | set():
            for each in value:
                _check(each, depth + 1)
        case dict():
            for key, each in value.items():
                _check(key, depth + 1)
                _check(each, depth + 1)
