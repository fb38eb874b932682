"""Docstrings on the site: their own form shown, their signs never taken for Markdown's."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("griffe")
SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "docstrings.py"


@pytest.fixture(scope="module")
def as_markdown() -> Callable[[str], str]:
    convert: Callable[[str], str] = runpy.run_path(str(SCRIPT))["as_markdown"]
    return convert


def test_each_name_at_the_start_of_a_line_is_an_item(as_markdown: Callable[[str], str]) -> None:
    text = "What it is.\n\nwidth, height: pixels,\nat least 1.\nname: of it."
    assert as_markdown(text) == "What it is.\n\n- `width`, `height`: pixels,\n    at least 1.\n- `name`: of it."


@pytest.mark.parametrize("between", [". ", "; ", ".\n"])
def test_a_name_after_a_full_stop_is_an_item_too(as_markdown: Callable[[str], str], between: str) -> None:
    first = "one. " if "." in between else "one"
    assert as_markdown(f"a: one{between}b: two") == f"- `a`: {first.strip()}\n- `b`: two"


def test_the_errors_follow_the_list(as_markdown: Callable[[str], str]) -> None:
    assert as_markdown("a: one.\nRaises InputError.") == "- `a`: one.\n\nRaises InputError."


def test_signs_mean_themselves_outside_of_code(as_markdown: Callable[[str], str]) -> None:
    assert as_markdown("[samples, *shape] of 2**n `2**n`") == r"\[samples, \*shape\] of 2\*\*n `2**n`"


def test_drawings_stay_as_they_are(as_markdown: Callable[[str], str]) -> None:
    assert as_markdown("A tree.\n\n    a\n    └── b") == "A tree.\n\n    a\n    └── b"


def test_examples_are_code(as_markdown: Callable[[str], str]) -> None:
    assert as_markdown("It adds.\n\n>>> 1 + 1\n2") == "It adds.\n\n```pycon\n>>> 1 + 1\n2\n```"
