"""Notebooks are stored the way a person should find them: without outputs."""

import json

import pytest
from notebook_runs import FOLDER, code_cells


@pytest.mark.parametrize("name", ["first_deployment.ipynb", "one_image.ipynb", "pruning_five_ways.ipynb"])
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    cells = code_cells(json.loads((FOLDER / name).read_text(encoding="utf-8")))
    assert len(cells) > 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
