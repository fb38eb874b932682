"""A user's own class is found, made and, when it cannot be, refused in a sentence."""

import sys

import pytest
import torch

from neuroprune.errors import InputError
from neuroprune.networks.build import load_class

SOURCE = """
from dataclasses import dataclass
from torch import nn
import widths_beside_it

@dataclass
class Plan:
    width: int = widths_beside_it.WIDTH

class Net(nn.Linear):
    def __init__(self, out=2, *more, **others):
        super().__init__(Plan().width, out)

class Needy(nn.Module):
    def __init__(self, width, depth, bias=True):
        super().__init__()

class Broken(nn.Module):
    def __init__(self):
        raise KeyError("no such thing")

class Leaving(nn.Module):
    def __init__(self):
        raise SystemExit("bye")

class Lazy(nn.Module):
    def __init__(self):
        import not_to_be_found

class Another(nn.Module):
    def __new__(cls):
        return cls, 1

def function():
    pass
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "widths_beside_it.py").write_text("WIDTH = 3\n")
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    yield path
    sys.modules.pop("widths_beside_it", None)


def test_a_class_is_made_without_arguments_and_may_import_what_lies_beside_it(file):
    path = list(sys.path)
    assert load_class(f"{file}:Net").weight.shape == (2, 3)
    assert sys.path == path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            ":Missing",
            r"mine\.py has no torch\.nn\.Module called Missing; it has Net, Needy, Broken, Leaving, Lazy, Another",
        ),
        (":function", r"mine\.py has no torch\.nn\.Module called function; it has Net"),
        (":Plan", "has no torch.nn.Module called Plan"),
        (":Needy", "needs the arguments width, depth to be made, but is made without any: give them default values"),
        (":Broken", r"fails when it is made \(KeyError: 'no such thing'\): correct it"),
        (":Leaving", r"ends the program when it is made \(sys.exit\(bye\)\): keep what only a program does below"),
        (":Lazy", "needs the module not_to_be_found, which is neither installed"),
        (":Another", "makes a tuple, which is no torch.nn.Module: correct its __new__"),
        ("", "names no class: write file.py:Class"),
        (":", "names no class: write file.py:Class"),
    ],
)
def test_a_class_that_cannot_be_made_is_refused(file, name, sentence):
    with pytest.raises(InputError, match=sentence):
        load_class(f"{file}{name}")


def test_a_missing_file_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=f"model gone.py:Net names the file {tmp_path}/gone.py, which is not there: corr"
    ):
        load_class("gone.py:Net")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("bad.py", "class (", r"fails on import \(SyntaxError: .*\): correct it"),
        (
            "bad.py",
            "import nowhere_to_be_found",
            "bad.py:Net needs the module nowhere_to_be_found, which is neither installed for .* nor beside the file: "
            "install what has it, or leave the import out",
        ),
        (
            "bad.py",
            "import sys; sys.exit(3)",
            r"ends the program on import \(sys\.exit\(3\)\): keep what only a program",
        ),
        ("bad.py", "raise SystemExit", r"ends the program on import \(sys\.exit\(\)\): keep what only a program"),
        ("bad.py", "raise GeneratorExit('no')", r"fails on import \(GeneratorExit: no\): correct it"),
        ("bad.py", "raise ValueError('two\\n\\nlines' + 999 * 'x')", r"\(ValueError: two linesx{150}…\): correct"),
        ("bad.py", "def f(): f()\nf()", r"fails on import \(RecursionError: maximum .*\): correct it"),
        ("bad.py", "import sys; sys.path.pop(0); 1 / 0", r"fails on import \(ZeroDivisionError: division by zero\)"),
        (
            "bad.py",
            "class Mute(Exception):\n    def __str__(self): raise OSError\nraise Mute",
            r"fails on import \(Mute: it cannot say why\): correct it",
        ),
        ("bad.py", "x = 1", "has no torch.nn.Module called Net; it has none at all: name one"),
        ("bad.txt", "x = 1", "is not a Python file: name one that ends in .py"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        load_class(f"{tmp_path / name}:Net")
    assert ("neuroprune_user_bad" in sys.modules) == (content == "x = 1" and name == "bad.py")
    sys.modules.pop("neuroprune_user_bad", None)


@pytest.fixture
def site_packages(tmp_path, monkeypatch):
    """A folder of installed packages."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in ("torchvision", "installed_but_broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("package", "remedy"),
    [
        (
            "torchvision",
            f"install the build of torchvision that fits torch {torch.__version__}, or leave the import out",
        ),
        ("installed_but_broken", "install what has it, or leave the import out"),
    ],
)
def test_a_package_that_cannot_be_imported_is_told_from_a_mistake_in_the_file(
    tmp_path, site_packages, monkeypatch, package, remedy
):
    monkeypatch.delitem(sys.modules, package, raising=False)
    (site_packages / f"{package}.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (tmp_path / "mine.py").write_text(f"import {package}\n")
    with pytest.raises(InputError) as caught:
        load_class(f"{tmp_path / 'mine.py'}:Net")
    assert str(caught.value).endswith(
        f"mine.py:Net needs the module {package}, which is installed but cannot be imported (RuntimeError: operator "
        f"torchvision::nms does not exist): {remedy}"
    )


def test_a_missing_torchvision_is_asked_for_in_the_build_that_fits(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    (tmp_path / "mine.py").write_text("from torchvision import transforms\n")
    with pytest.raises(
        InputError, match=r"needs the module torchvision, which is neither .*: install the build of torchvision that"
    ):
        load_class(f"{tmp_path / 'mine.py'}:Net")


def test_a_packages_own_refusal_is_a_mistake_in_the_file(tmp_path):
    (tmp_path / "mine.py").write_text("from torch import nn\nnn.Linear('a', 2)\n")
    with pytest.raises(InputError, match=r"fails on import \(TypeError: .*\): correct it"):
        load_class(f"{tmp_path / 'mine.py'}:Net")


def test_an_interrupt_is_passed_on(tmp_path):
    (tmp_path / "mine.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_class(f"{tmp_path / 'mine.py'}:Net")
    assert "neuroprune_user_mine" not in sys.modules
