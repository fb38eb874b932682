"""Set-up asks for the same packages wherever they are listed, and for none that only fits another torch."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def test_make_asks_for_everything_but_spikingjelly_and_takes_that_without_its_dependencies(
    pyproject: dict[str, Any],
) -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", "")
    found = re.search(r"^REQUIREMENTS := (.*)$", makefile, re.M)
    assert found
    printed = subprocess.run([sys.executable, "-c", found[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    project = pyproject["project"]
    asked = [*project["dependencies"], *(each for some in project["optional-dependencies"].values() for each in some)]
    left_out = sorted(set(asked) - set(printed.stdout.splitlines()))
    (spikingjelly,) = re.findall(r"^SPIKINGJELLY := (.*)$", makefile, re.M)
    assert left_out == ["neuroprune[docs,experiment,images,lava,notebook,ray]", spikingjelly]
    assert "--no-deps '$(SPIKINGJELLY)'" in makefile


def test_what_spikingjelly_needs_is_asked_for_by_name(pyproject: dict[str, Any]) -> None:
    (needed,) = (
        each["requires-dist"]
        for each in pyproject["tool"]["uv"]["dependency-metadata"]
        if each["name"] == "spikingjelly"
    )
    names = {re.split(r"[<>=]", each)[0] for each in pyproject["project"]["dependencies"]}
    assert {re.split(r"[<>=]", each)[0] for each in needed} <= names


def test_only_lava_holds_numpy_below_2(pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    assert "numpy>=1.26.4" in project["dependencies"]
    assert "numpy>=1.26.4,<2" in project["optional-dependencies"]["lava"]
