"""A user's own class is found, made and, when it cannot be, refused in a sentence."""

import math
import sys

import pytest
import torch
from spikingjelly.activation_based import neuron

from neuroprune.errors import InputError
from neuroprune.networks.build import load_network
from neuroprune.networks.reference import with_arguments, with_recorded

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

CONSTANT = 3
made = Net(5)

def function():
    pass

def factory(width, kind=None, words=()):
    net = Net(width)
    net.kind, net.words = kind, words
    return net
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
    assert load_network(f"{file}:Net").weight.shape == (2, 3)
    assert sys.path == path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            ":Missing",
            r"mine\.py:Missing: nothing there is called Missing, and its networks are Net, Needy, Broken, Leaving, L",
        ),
        (":function", r"mine\.py:function makes a NoneType, which is no torch\.nn\.Module: name what makes one"),
        (":Plan", "makes a Plan, which is no torch.nn.Module: name what makes one"),
        (":CONSTANT", r"CONSTANT is a int, which is no torch\.nn\.Module and makes none: name a class, a function or"),
        (":Needy", r"does not fit Needy\(width, depth, bias=True\) \(missing a required argument: 'width'\): give arg"),
        (":Needy(width=1)", r"Needy\(width=1\) does not fit Needy\(.*\) \(missing a required argument: 'depth'\)"),
        (
            ":Needy(width=1, depth=2, height=3)",
            r"\(got an unexpected keyword argument 'height'\): give arguments as in",
        ),
        (":made(bias=True)", "made is a network already, which takes no arguments: leave them out"),
        (":Net(3)", r"has arguments that cannot be read \(not all of them are keyword=value\): write them as T=4,num"),
        (":Net(out=)", r"has arguments that cannot be read \(invalid syntax\): write them as"),
        (
            ":Net(out=open('x'))",
            r"has arguments that cannot be read \(open\('x'\) is neither a value nor a name\): write",
        ),
        (":Net(out=neuron.Nothing)", "has the argument neuron.Nothing, which is nothing that can be imported: correct"),
        (":Broken", r"fails when it is made \(KeyError: 'no such thing'\): correct it"),
        (":Leaving", r"ends the program when it is made \(sys.exit\(bye\)\): keep what only a program does below"),
        (":Lazy", "needs the module not_to_be_found, which is neither installed"),
        (":Another", "makes a tuple, which is no torch.nn.Module: name what makes one"),
        (
            "",
            r"names no network: write file\.py:Name or package\.module:Name, and arguments as in file\.py:Name\(T=4\)",
        ),
        (":", "names no network: write file.py:Name"),
    ],
)
def test_a_class_that_cannot_be_made_is_refused(file, name, sentence):
    with pytest.raises(InputError, match=sentence):
        load_network(f"{file}{name}")


def test_a_function_or_a_network_is_named_like_a_class(file):
    assert load_network(f"{file}:factory(width=4)").weight.shape == (4, 3)
    assert load_network(f"{file}:made").weight.shape == (5, 3)


def test_arguments_are_numbers_words_lists_and_objects(file):
    made = load_network(f"{file}:factory(width=4, kind=neuron.LIFNode, words=[ADD, -1.5, 'a b', (Plan.width, None)])")
    assert made.kind is neuron.LIFNode
    assert made.words == ["ADD", -1.5, "a b", (3, None)]
    assert load_network(f"{file}:factory(width=4, kind={{'a': math.pi}})").kind == {"a": math.pi}


WORDS = """
from os import system
from typing import Literal, Optional

from spikingjelly.activation_based.neuron import LIFNode
from torch import nn

class Block(nn.Module):
    pass

def shortcut():
    pass

THRESHOLD = 2

class Net(nn.Module):
    def __init__(
        self, block=None, named="Block", text: str = None, one: Literal["Block"] = None, maybe: Optional[str] = None,
        missing: "nowhere.Type" = None, **others,
    ):
        super().__init__()
        self.given = {
            "block": block, "named": named, "text": text, "one": one, "maybe": maybe, "missing": missing, **others
        }
"""


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("block=Block", "class"),
        ("block=shortcut", "function"),
        ("block=LIFNode", "class"),
        ("other=[Block, 3]", "list"),
        ("block='Block'", "Block"),
        ("block=system", "system"),
        ("block=THRESHOLD", "THRESHOLD"),
        ("block=Blok", "Blok"),
        ("named=Block", "Block"),
        ("text=Block", "Block"),
        ("one=Block", "Block"),
        ("maybe=Block", "Block"),
    ],
)
def test_a_word_is_a_class_or_function_of_the_code_where_it_could_be_no_text(tmp_path, argument, given):
    (tmp_path / "words.py").write_text(WORDS.replace(', missing: "nowhere.Type" = None', ""))
    found = load_network(f"{tmp_path / 'words.py'}:Net({argument})").given[argument.partition("=")[0]]
    if given in ("class", "function"):
        assert found.__name__ == argument.partition("=")[2]
    elif given == "list":
        assert (found[0].__name__, found[1]) == ("Block", 3)
    else:
        assert type(found) is str and found == given


def test_a_word_is_found_where_annotations_name_what_is_not_there(tmp_path):
    (tmp_path / "words.py").write_text(WORDS)
    assert load_network(f"{tmp_path / 'words.py'}:Net(block=Block)").given["block"].__name__ == "Block"


def test_a_word_is_found_beside_a_class_that_was_imported_from_elsewhere(tmp_path):
    (tmp_path / "words.py").write_text(WORDS)
    (tmp_path / "front.py").write_text("from words import Net\n")
    assert load_network(f"{tmp_path / 'front.py'}:Net(block=shortcut)").given["block"].__name__ == "shortcut"


def test_words_of_a_run_are_kept_as_words():
    assert with_recorded("net.py:Net", "net.py:Net(block=Block)") == "net.py:Net(block=Block)"


def test_arguments_of_the_command_line_become_those_of_the_reference():
    assert with_arguments("net.py:Net", "T=4") == "net.py:Net(T=4)"
    assert with_arguments("net.py:Net()", "T=4") == "net.py:Net(T=4)"
    assert with_arguments("net.py:Net(T=4)", None) == "net.py:Net(T=4)"
    with pytest.raises(
        InputError, match=r"model 'net.py:Net\(T=4\)' has arguments, and --args others: give them in one"
    ):
        with_arguments("net.py:Net(T=4)", "T=5")


def test_a_network_named_without_arguments_gets_those_that_its_run_was_made_with():
    assert with_recorded("new/net.py:Net", "net.py:Net(T=4, kind='a')") == "new/net.py:Net(T=4, kind='a')"
    assert with_recorded("net.py:Net( T = 4 )", "net.py:Net(T=4)") == "net.py:Net( T = 4 )"
    with pytest.raises(InputError, match=r"was made with \(T=4\), not with \(T=5\): leave the arguments out, or train"):
        with_recorded("net.py:Net(T=5)", "net.py:Net(T=4)")
    with pytest.raises(InputError, match=r"was made without arguments, not with \(T=5\): leave the arguments out, or"):
        with_recorded("net.py:Net(T=5)", "net.py:Net")
    assert with_recorded("net.py:Net", "net.py:Net") == "net.py:Net"
    with pytest.raises(
        InputError, match=r"made with \(T=4, node=\[a.b\]\), and objects are not taken from a file: give"
    ):
        with_recorded("net.py:Net", "net.py:Net(T=4, node=[a.b])")


PACKAGE = {
    "repo/models/__init__.py": "raise RuntimeError('is not executed')\n",
    "repo/models/nets.py": "from .parts import Base\nfrom ..utils import WIDTH\nimport tools.more\n"
    "class Net(Base):\n    def __init__(self):\n        from tools.late import OUT\n"
    "        super().__init__(WIDTH, OUT)\n",
    "repo/models/parts.py": "from torch import nn\nclass Base(nn.Linear): pass\n",
    "repo/utils.py": "WIDTH = 3\n",
    "repo/tools/more.py": "",
    "repo/tools/late.py": "OUT = 7\n",
}


def write_package(folder, width=3):
    for name, text in PACKAGE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("WIDTH = 3", f"WIDTH = {width}"))


def test_a_file_of_a_package_is_read_as_where_its_author_runs_it_and_each_file_finds_its_own(tmp_path):
    path = list(sys.path)
    for width in (3, 4):
        write_package(tmp_path / str(width), width)
        network = load_network(f"{tmp_path}/{width}/repo/models/nets.py:Net")
        assert network.weight.shape == (7, width)
    assert sys.path == path
    assert not {"tools", "tools.more", "tools.late"} & set(sys.modules)


def test_modules_are_named_by_dots_and_found_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some_package_of_mine").mkdir()
    (tmp_path / "some_package_of_mine" / "nets.py").write_text("from torch import nn\nclass Net(nn.Flatten): pass\n")
    assert type(load_network("some_package_of_mine.nets:Net")).__name__ == "Net"
    assert type(load_network("torch:nn.Flatten(start_dim=2)")) is torch.nn.Flatten
    assert (
        load_network("spikingjelly:model.parametric_lif_net.MNISTNet(channels=8, spiking_neuron=neuron.IFNode)")
        .conv_fc[0]
        .out_channels
        == 8
    )
    with pytest.raises(InputError, match=r"model no\.such\.module:Net needs the module no, which is neither installed"):
        load_network("no.such.module:Net")


@pytest.mark.parametrize("name", ["clock_driven.neuron", "cext"])
def test_modules_of_an_earlier_spikingjelly_are_given_their_new_name(tmp_path, name):
    (tmp_path / "old.py").write_text(f"import spikingjelly.{name}\n")
    with pytest.raises(InputError, match=r"an earlier SpikingJelly: what it had is now in spikingjelly\.act"):
        load_network(f"{tmp_path}/old.py:Net")


def test_a_missing_file_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=f"model gone.py:Net names the file {tmp_path}/gone.py, which is not there: corr"
    ):
        load_network("gone.py:Net")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("bad.py", "class (", r"fails on import \(SyntaxError: .*\): correct it"),
        (
            "bad.py",
            "import nowhere_to_be_found",
            "bad.py:Net needs the module nowhere_to_be_found, which is neither installed for .* nor beside the file: "
            "install what has it, leave the import out, or add --stub-imports nowhere_to_be_found if the network does",
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
        ("bad.py", "x = 1", "nothing there is called Net, and it has none: name another"),
        ("bad.txt", "x = 1", "is not a Python file: name one that ends in .py"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        load_network(f"{tmp_path / name}:Net")
    assert ("neuroprune_user_bad.bad" in sys.modules) == (content == "x = 1" and name == "bad.py")
    sys.modules.pop("neuroprune_user_bad.bad", None)


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
            f"install the build of torchvision that fits torch {torch.__version__}, leave the import out, or add "
            "--stub-imports torchvision if the network does not use it",
        ),
        (
            "installed_but_broken",
            "install what has it, leave the import out, or add --stub-imports "
            "installed_but_broken if the network does not use it",
        ),
    ],
)
def test_a_package_that_cannot_be_imported_is_told_from_a_mistake_in_the_file(
    tmp_path, site_packages, monkeypatch, package, remedy
):
    monkeypatch.delitem(sys.modules, package, raising=False)
    (site_packages / f"{package}.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (tmp_path / "mine.py").write_text(f"import {package}\n")
    with pytest.raises(InputError) as caught:
        load_network(f"{tmp_path / 'mine.py'}:Net")
    assert str(caught.value).endswith(
        f"mine.py:Net needs the module {package}, which is installed but cannot be imported (RuntimeError: operator "
        f"torchvision::nms does not exist): {remedy}"
    )


def test_of_packages_that_import_each_other_the_one_that_fails_is_named(tmp_path, site_packages, monkeypatch):
    (site_packages / "installed_but_broken.py").write_text("import torchvision")
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    (site_packages / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (tmp_path / "mine.py").write_text("import installed_but_broken\n")
    with pytest.raises(
        InputError, match=r"mine\.py:Net needs the module torchvision, which is installed but cannot be"
    ):
        load_network(f"{tmp_path / 'mine.py'}:Net")


def test_a_missing_torchvision_is_asked_for_in_the_build_that_fits(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    (tmp_path / "mine.py").write_text("from torchvision import transforms\n")
    with pytest.raises(
        InputError, match=r"needs the module torchvision, which is neither .*: install the build of torchvision that"
    ):
        load_network(f"{tmp_path / 'mine.py'}:Net")


def test_a_packages_own_refusal_is_a_mistake_in_the_file(tmp_path):
    (tmp_path / "mine.py").write_text("from torch import nn\nnn.Linear('a', 2)\n")
    with pytest.raises(InputError, match=r"fails on import \(TypeError: .*\): correct it"):
        load_network(f"{tmp_path / 'mine.py'}:Net")


def test_an_interrupt_is_passed_on(tmp_path):
    (tmp_path / "mine.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_network(f"{tmp_path / 'mine.py'}:Net")
    assert not [each for each in sys.modules if each.startswith("neuroprune_user_mine")]
