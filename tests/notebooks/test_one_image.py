"""The notebook runs from top to bottom, its sums add up as printed, and it is stored without outputs."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "one_image.ipynb"
NEEDED = ("nbclient", "nbformat", "ipykernel", "matplotlib")
QUICK = "epochs, tuning_epochs = 4, 1\nwidths, tuned_widths = (8, 4), (4,)"
CHANGED = re.compile(r"^body\.\w+ \([\d, ]+\), step \d+ ((?: +[+-]\d+\.\d{5}){7})$", re.MULTILINE)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = code_cells(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    assert len(cells) > 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.skipif(
    any(find_spec(package) is None for package in NEEDED), reason=f"needs all of {', '.join(NEEDED)} to be installed"
)
def test_the_notebook_runs_and_its_parts_explain_each_changed_spike(monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    root = str(NOTEBOOK.parents[1])
    monkeypatch.setenv("PYTHONPATH", root)  # for a checkout that is not installed
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the network is small: more threads only wait for each other
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
    parameters["source"] = QUICK
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": root}}).execute()

    outputs = [output for cell in code_cells(notebook) for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 7
    printed = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    rows = [row.split() for row in CHANGED.findall(printed)]
    assert len(rows) >= 2
    for start, *moves, end in rows:
        assert float(start) + sum(map(float, moves)) == pytest.approx(float(end), abs=5e-5)
        assert start[0] != end[0], "the neuron fires on both sides or on neither"
    assert re.search(r"^ +4  \d+\.\d% -> \d+\.\d%", printed, re.MULTILINE)
