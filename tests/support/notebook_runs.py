"""Notebooks as tests run them: from top to bottom, in a kernel of their own."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def needs(*more: str) -> pytest.MarkDecorator:
    """Skips a test where something that runs notebooks, or one of `more`, is not installed."""
    packages = ("nbclient", "nbformat", "ipykernel", "matplotlib", *more)
    missing = any(find_spec(package) is None for package in packages)
    return pytest.mark.skipif(missing, reason=f"needs all of {', '.join(packages)} to be installed")


def run_notebook(name: str, monkeypatch: pytest.MonkeyPatch, parameters: str | None = None) -> list[dict[str, Any]]:
    """All outputs of the cells of `name`; parameters: the source of the cell that is tagged so."""
    import nbformat
    from nbclient import NotebookClient

    root = str(FOLDER.parent)
    monkeypatch.setenv("PYTHONPATH", root)  # for a checkout that is not installed
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the networks are small: more threads only wait for each other
    notebook = nbformat.read(FOLDER / name, as_version=4)
    if parameters is not None:
        (tagged,) = (cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
        tagged["source"] = parameters
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": root}}).execute()
    return [output for cell in code_cells(notebook) for output in cell["outputs"]]
