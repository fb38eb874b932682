"""What `import` finds while a network of the user's is loaded."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from neuroprune.errors import InputError

NEW = "spikingjelly.activation_based"
OLD = ("spikingjelly.clock_driven", "spikingjelly.cext")
"""Packages of earlier releases, whose modules have the names that those of `NEW` have."""

OURS = {name: f"neuroprune.networks.legacy.{name}" for name in ("neuron", "layer", "surrogate")}
"""Modules whose classes took other arguments, or did other things."""

NEWEST = "9999"
"""The version of a stand-in: code that asks, as `torch.utils.tensorboard` does, wants one that is new enough."""


@dataclass(frozen=True)
class Imports:
    """How networks of the user's are imported.

    legacy: SpikingJelly's modules and neurons are those before release 2. stand_ins: packages that are not installed,
    and that the network does not use though its file imports them.
    """

    legacy: bool = False
    stand_ins: tuple[str, ...] = ()


_CURRENT: ContextVar[Imports | None] = ContextVar("imports", default=None)


@contextmanager
def imports_as(legacy: bool = False, stand_ins: tuple[str, ...] = ()) -> Iterator[None]:
    """Within it, networks are loaded as `Imports` says.

    What is taken of a stand-in can be passed on, inherited from and used as a decorator; calling it is an InputError.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import imports_as, load_network
    >>> code = "from spikingjelly.clock_driven.neuron import MultiStepLIFNode as Net; import tensorboardX"
    >>> with tempfile.TemporaryDirectory() as folder, imports_as(legacy=True, stand_ins=("tensorboardX",)):
    ...     file = Path(folder, "old.py")
    ...     characters = file.write_text(code)
    ...     load_network(f"{file}:Net(tau=2.0)").tau
    2.0
    """
    token = _CURRENT.set(Imports(legacy, stand_ins))
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def importing() -> Iterator[None]:
    """Within it, `import` finds what `imports_as` says."""
    imports = _CURRENT.get() or Imports()
    with _legacy() if imports.legacy else nullcontext(), _standing_in(imports.stand_ins):
        yield


@contextmanager
def _legacy() -> Iterator[None]:
    finder = _Finder()
    package = importlib.import_module(NEW)
    ours = {name: importlib.import_module(source) for name, source in OURS.items()}
    theirs = {name: importlib.import_module(f"{NEW}.{name}") for name in OURS}
    before = dict(sys.modules)
    sys.meta_path.insert(0, finder)
    try:
        for name, module in ours.items():
            sys.modules[f"{NEW}.{name}"] = module
            setattr(package, name, module)
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in theirs.items():
            setattr(package, name, module)
        for name in [name for name in sys.modules if name.partition(".")[0] == "spikingjelly"]:
            if name in before:
                sys.modules[name] = before[name]
            else:
                del sys.modules[name]  # it may hold what is only found here


@contextmanager
def _standing_in(packages: tuple[str, ...]) -> Iterator[None]:
    finder = _StandIns(packages)
    sys.meta_path.insert(0, finder)
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in packages}
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
            del sys.modules[name]
        sys.modules.update(hidden)


class _Made(Loader):
    """Loads a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Finder(MetaPathFinder):
    """Finds modules of earlier releases."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        old = next((old for old in OLD if fullname == old or fullname.startswith(f"{old}.")), None)
        if old is None:
            return None
        return ModuleSpec(fullname, _Made(_renamed(fullname, fullname.removeprefix(old).strip("."))), is_package=True)


def _renamed(fullname: str, name: str) -> ModuleType:
    """The module `fullname` with what today's module `name` has, all of the package where it is ""."""
    module = ModuleType(fullname)
    module.__path__ = []
    try:
        source: Any = importlib.import_module(OURS.get(name) or f"{NEW}.{name}".strip("."))
    except ModuleNotFoundError:
        source = _StandIn(fullname, (), {})  # such as helpers for one GPU, which no network is made of
    vars(module).update({key: value for key, value in vars(source).items() if not key.startswith("__")})
    if not name:
        for each in OURS:
            vars(module).pop(each, None)  # so that they are found by their own names
    module.__getattr__ = lambda key: _attribute(fullname, source, key)  # type: ignore[method-assign]
    return module


def _attribute(fullname: str, source: Any, key: str) -> Any:
    if key.startswith("__"):
        raise AttributeError(key)
    try:
        return getattr(source, key) if key not in OURS else importlib.import_module(f"{fullname}.{key}")
    except AttributeError:
        return _StandIn(f"{fullname}.{key}", (), {})


class _StandIn(type):
    """A class in place of whatever is taken of a package that is not there."""

    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any], **options: Any) -> Any:
        return super().__new__(cls, name.rpartition(".")[2] or name, bases, {"path": name, **names})

    def __init__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, names)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn(f"{cls.path}.{name}", (), {})

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and callable(args[0]) and not kwargs:
            return args[0]  # as a decorator
        raise InputError(
            f"the network's code uses {cls.path}, for which there is only a stand-in: install the package "
            "that has it, and leave out --stub-imports"
        )


class _StandIns(MetaPathFinder):
    """Finds packages that are not there."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self._packages = packages

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self._packages:
            return None
        module = ModuleType(fullname)
        module.__path__ = []
        module.__version__ = NEWEST  # type: ignore[attr-defined]
        module.__getattr__ = lambda key: _missing(fullname, key)  # type: ignore[method-assign]
        return ModuleSpec(fullname, _Made(module), is_package=True)


def _missing(fullname: str, key: str) -> Any:
    if key.startswith("__"):
        raise AttributeError(key)
    return _StandIn(f"{fullname}.{key}", (), {})
