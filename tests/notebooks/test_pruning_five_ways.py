"""The notebook runs from top to bottom, and its five networks meet their targets and cost what their kind must cost."""

import re

import pytest
from notebook_runs import needs, run_notebook

QUICK = "epochs, tuning_epochs = 1, 1"
REACHED = re.compile(r"^(\w+): \w+ +(\d+\.\d)% (flops|sparsity) .* (\d+)$", re.MULTILINE)
ON_CHIP = re.compile(r"^(?:(\w+): )?\w+ +[\d.]+% +[\d.]+% +\d+ +([\d,]+) +\d+ +([\d.]+)%", re.MULTILINE)


@needs()
def test_the_notebook_runs_and_its_networks_meet_their_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = run_notebook("pruning_five_ways.ipynb", monkeypatch, QUICK)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 6
    printed = "".join(output["text"] for output in outputs if output.get("name") == "stdout")

    reached = REACHED.findall(printed)
    assert [kind for kind, *_ in reached] == ["channels"] * 3 + ["weights"] * 2
    assert all(float(share) == pytest.approx(30 if of == "flops" else 95, abs=1.5) for _, share, of, _ in reached)
    assert {epochs for *_, epochs in reached} == {"2"}, "all see the data equally often"

    on_chip = [(kind, int(neurons.replace(",", "")), float(zeros)) for kind, neurons, zeros in ON_CHIP.findall(printed)]
    (_, dense, _), *pruned = on_chip
    assert len(pruned) == 5
    for kind, neurons, zeros in pruned:
        assert neurons < dense if kind == "channels" else neurons == dense
        assert zeros < 10 if kind == "channels" else zeros > 80
