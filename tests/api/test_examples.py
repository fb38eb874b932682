"""The public API, name by name: every function has an example that runs, every name resolves, importing it is quick."""

import ast
import doctest
import inspect
import subprocess
import sys
import types
from pathlib import Path

import pytest

import neuroprune

FOLDER = Path(neuroprune.__file__).parent
STUB = FOLDER / "__init__.pyi"
NAMES = tuple(
    alias.asname or alias.name
    for statement in ast.parse(STUB.read_text(encoding="utf-8")).body
    if isinstance(statement, ast.ImportFrom)
    for alias in statement.names
)

WITHOUT_EXAMPLE = {
    "FAMILIES": "the tuple that load_chip takes by default",
    "Interval": "a type of the neuron protocol; docs/neurons.md has a whole model",
    "LARGEST_STATE": "a number",
    "RATE_SCALE": "a number",
    "Registers": "a type of the neuron protocol",
    "STATE_SHIFT": "a number",
    "State": "a type of the neuron protocol",
    "TileCounter": "the type of what a family's tile_counter returns; neuroprune.chips.family has a whole example",
    "__version__": "a string",
}
"""Names that are neither class nor function. Classes are shown by examples of functions that take or return them."""

HEAVY = ("numpy", "torch", "spikingjelly", "sklearn", "h5py", "onnx", "pydantic", "yaml", "rich", "click")


def examples_of(name: str) -> list[doctest.DocTest]:
    """The examples in the docstring of a public name, each with globals of its own."""
    found = doctest.DocTestFinder(recurse=False).find(getattr(neuroprune, name), name, globs={})
    return [test for test in found if test.examples]


def imported_modules(source: str) -> list[str]:
    modules: list[str] = []
    for statement in ast.walk(ast.parse(source)):
        if isinstance(statement, ast.Import):
            modules += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            modules.append(statement.module or "")
    return modules


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In an empty folder, to which it writes nothing, and with what it imports itself."""
    monkeypatch.chdir(tmp_path)
    value = getattr(neuroprune, name)
    tests = [] if name in WITHOUT_EXAMPLE else examples_of(name)
    assert tests or not isinstance(value, types.FunctionType), f"{name} has no example: add one to its docstring"
    for test in tests:
        printed: list[str] = []
        results = doctest.DocTestRunner(verbose=False).run(test, out=printed.append)
        assert results.failed == 0, "".join(printed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_examples_import_from_neuroprune_alone(name: str) -> None:
    for test in examples_of(name) if name not in WITHOUT_EXAMPLE else []:
        modules = imported_modules("".join(example.source for example in test.examples))
        assert "neuroprune" in modules
        assert not any(module.startswith("neuroprune.") for module in modules)


def test_a_function_without_an_example_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def bare() -> None:
        """It does nothing."""

    monkeypatch.setitem(vars(neuroprune), "bare", bare)
    with pytest.raises(AssertionError, match="bare has no example"):
        test_the_example_of_a_public_name_runs("bare", monkeypatch, tmp_path)


def test_names_without_examples_are_classes_or_listed_with_a_reason() -> None:
    others = [
        name
        for name in NAMES
        if not inspect.isclass(getattr(neuroprune, name))
        and not isinstance(getattr(neuroprune, name), types.FunctionType)
    ]
    assert set(others) == set(WITHOUT_EXAMPLE)


def test_the_stub_lists_each_name_once_and_all_of_them_are_offered() -> None:
    assert len(NAMES) == len(set(NAMES)) > 100
    assert set(NAMES) == set(neuroprune.__all__)
    assert set(NAMES) <= set(dir(neuroprune))


def test_importing_neuroprune_loads_nothing_heavy() -> None:
    code = f"import sys, neuroprune; print(*(name for name in {HEAVY} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


CLIENT = '''
"""What a user writes, whose names mypy takes from the stub."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from neuroprune import (
    Chip,
    CodedFrames,
    Dataset,
    Deployment,
    IntProgram,
    LavaSettings,
    Report,
    Trace,
    deploy,
    frames_of,
    load_chip,
    load_dataset,
    load_report,
    parse_bits,
    simulate,
)

data: Dataset = load_dataset("digits", coding="latency", steps=4)
frames: npt.NDArray[np.float32] = frames_of(data.test.images, data.coding)
chip: Chip = load_chip("loihi-sim")


def cores(module: object, program: IntProgram) -> int:
    coded: Trace = simulate(program, CodedFrames(data.test.images, data.coding))
    trace: Trace = simulate(program, frames)
    report: Report = load_report(Path("runs"))
    return len(report.cores) + trace.samples + coded.samples + chip.cores_per_chip


def deployed(deployment: Deployment) -> float | None:
    return deployment.report.accuracy.bit_accurate


parse_bits(4)  # type: ignore[arg-type]
LavaSettings(models="slow")  # type: ignore[arg-type]
load_dataset("digits").nothing  # type: ignore[attr-defined]
'''
CONFIGURATION = """
[mypy]
strict = True
mypy_path = {top}
[mypy-torch.*,torchvision.*,spikingjelly.*,sklearn.*,h5py.*,onnx.*,lava.*,lazy_loader.*,yaml.*,rich.*]
ignore_missing_imports = True
follow_imports = skip
[mypy-neuroprune.*]
ignore_errors = True
"""


def test_a_typed_client_passes_mypy(tmp_path: Path) -> None:
    """Its last three lines are mistakes: an unused `type: ignore` fails, so that they show that names have types."""
    (tmp_path / "client.py").write_text(CLIENT, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(CONFIGURATION.format(top=FOLDER.parent), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "client.py"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_package_is_marked_as_typed() -> None:
    """Beside the stub; tests/setup/test_wheel.py finds both in the wheel."""
    assert (FOLDER / "py.typed").is_file()
    assert STUB.is_file()
