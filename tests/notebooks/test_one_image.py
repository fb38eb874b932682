"""The notebook runs from top to bottom, and its sums add up as printed."""

import re

import pytest
from notebook_runs import needs, run_notebook

QUICK = "epochs, tuning_epochs = 4, 1\nwidths, tuned_widths = (8, 4), (4,)"
CHANGED = re.compile(r"^body\.\w+ \([\d, ]+\), step \d+ ((?: +[+-]\d+\.\d{5}){7})$", re.MULTILINE)


@needs()
def test_the_notebook_runs_and_its_parts_explain_each_changed_spike(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = run_notebook("one_image.ipynb", monkeypatch, QUICK)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 7
    printed = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    rows = [row.split() for row in CHANGED.findall(printed)]
    assert len(rows) >= 2
    for start, *moves, end in rows:
        assert float(start) + sum(map(float, moves)) == pytest.approx(float(end), abs=5e-5)
        assert start[0] != end[0], "the neuron fires on both sides or on neither"
    assert re.search(r"^ +4  \d+\.\d% -> \d+\.\d%", printed, re.MULTILINE)
