"""The README's picture is drawn from a report, whatever is unknown in it."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from neuroprune.report.schema import AccuracyLadder, LavaCheck, Report

pytest.importorskip("matplotlib")
SCRIPT = Path(__file__).parents[2] / "docs" / "make_picture.py"


@pytest.mark.parametrize("cores", [2, 60])
@pytest.mark.parametrize("changes", [{}, {"accuracy": AccuracyLadder(), "lava": LavaCheck(samples=0)}])
def test_a_report_becomes_a_png(
    report_of: Callable[..., Report], tmp_path: Path, cores: int, changes: dict[str, object]
) -> None:
    runpy.run_path(str(SCRIPT))["draw"](report_of(cores, **changes), tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG\r\n")
