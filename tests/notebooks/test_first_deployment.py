"""The notebook runs from top to bottom."""

import pytest
from notebook_runs import needs, run_notebook


@needs("lava")
def test_the_notebook_runs_and_shows_its_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [output.get("data", {}) for output in run_notebook("first_deployment.ipynb", monkeypatch)]
    assert sum("image/png" in data for data in shown) == 4
    assert any("0 differences" in data.get("text/plain", "") for data in shown)
