"""The notebook runs from top to bottom, and is stored the way a person should find it: without outputs."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "first_deployment.ipynb"
NEEDED = ("nbclient", "nbformat", "ipykernel", "matplotlib", "lava")


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = code_cells(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    assert len(cells) > 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.skipif(
    any(find_spec(package) is None for package in NEEDED), reason=f"needs all of {', '.join(NEEDED)} to be installed"
)
def test_the_notebook_runs_and_shows_its_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    root = str(NOTEBOOK.parents[1])
    monkeypatch.setenv("PYTHONPATH", root)  # for a checkout that is not installed
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the network is small: more threads only wait for each other
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": root}}).execute()

    shown = [output.get("data", {}) for cell in code_cells(notebook) for output in cell["outputs"]]
    assert sum("image/png" in data for data in shown) == 4
    assert any("0 differences" in data.get("text/plain", "") for data in shown)
