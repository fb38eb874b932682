"""A wheel built from the checkout finds its chips and recipes where nothing of the checkout is in reach."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from neuroprune.bundled import hw_targets_folder, models_folder

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with the wheel in it; its dependencies are borrowed from this one."""
    place = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def run(command: list[str], cwd: Path) -> str:
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(command, cwd=cwd, env=alone, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_in_the_checkout_the_folders_are_those_at_its_top() -> None:
    assert (hw_targets_folder(), models_folder()) == (CHECKOUT / "hw_targets", CHECKOUT / "models")


def test_the_wheel_carries_every_chip_and_recipe_and_the_types_but_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    bundled = {
        f"neuroprune/_bundled/{folder}/{path.name}"
        for folder in ("hw_targets", "hw_targets/costs", "models")
        for path in (CHECKOUT / folder).glob("*.yaml")
    }
    assert bundled
    assert bundled <= names
    assert {"neuroprune/py.typed", "neuroprune/__init__.pyi"} <= names
    templates = {f"neuroprune/report/html/templates/{name}" for name in ("report.html", "page.css", "page.js")}
    assert templates <= names
    assert not any(name.startswith(("tests/", "hw_targets/", "models/")) for name in names)


def test_the_installed_package_uses_its_own_copies(installed: Path, tmp_path: Path) -> None:
    code = "from neuroprune.bundled import *; print(hw_targets_folder(), models_folder(), sep='\\n')"
    folders = [Path(line) for line in run([str(installed / "python"), "-c", code], tmp_path).splitlines()]
    assert [folder.name for folder in folders] == ["hw_targets", "models"]
    assert all(folder.is_relative_to(installed.parent) and list(folder.glob("*.yaml")) for folder in folders)


@pytest.mark.parametrize("command", ["targets", "models"])
def test_the_installed_command_lists_what_is_bundled(command: str, installed: Path, tmp_path: Path) -> None:
    folder = {"targets": "hw_targets", "models": "models"}[command]
    listed = run([str(installed / "neuroprune"), command, "--json"], tmp_path)
    assert all(f'"{path.stem}"' in listed for path in (CHECKOUT / folder).glob("*.yaml"))
