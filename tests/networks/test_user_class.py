"""A user's own class is found, made and, when it cannot be, refused in a sentence."""

import sys

import pytest

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
        (":Missing", r"mine\.py has no torch\.nn\.Module called Missing; it has Net, Needy, Broken: name one"),
        (":function", r"mine\.py has no torch\.nn\.Module called function; it has Net"),
        (":Plan", "has no torch.nn.Module called Plan"),
        (":Needy", "needs the arguments width, depth to be made, but is made without any: give them default values"),
        (":Broken", r"fails when it is made \(KeyError: 'no such thing'\): correct it"),
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
        ("bad.py", "import nowhere_to_be_found", r"fails on import \(ModuleNotFoundError: No module named 'nowhere_t"),
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
