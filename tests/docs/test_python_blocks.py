"""Every Python block of README and the pages runs, and takes what is ours from `neuroprune` alone."""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r'^( *)```python(?: title="([\w.]+)")?\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """(title, code) of each block; title "" where it has none."""
    return [(match[2] or "", match[3]) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


PAGES = [page for page in (TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))) if blocks_of(page)]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def imports_of(code: str) -> Iterator[str]:
    """Full names of the modules that are imported."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_there_are_blocks_on_the_pages_that_speak_of_python() -> None:
    assert {page.name for page in PAGES} >= {"README.md", "api.md", "architecture.md", "neurons.md", "your-network.md"}


@each_page
def test_what_is_ours_is_imported_from_neuroprune_alone(page: Path) -> None:
    modules = {module for _, code in blocks_of(page) for module in imports_of(code)}
    assert not {module for module in modules if module.startswith("neuroprune.")}


@each_page
def test_the_blocks_of_a_page_run_in_their_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verified = any("deploy(" in code and "LavaSettings" not in code for _, code in blocks_of(page))
    if verified and find_spec("lava") is None:
        pytest.skip("Lava is not installed")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": page.stem}
    for title, code in blocks_of(page):
        if title:
            Path(title).write_text(code, encoding="utf-8")
        exec(compile(code, f"{page.name}, a block of Python", "exec"), namespace)
