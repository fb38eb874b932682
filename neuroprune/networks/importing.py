"""Imports the file or module that makes a network of the user's, as where its author runs it."""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.networks.reference import NetworkReference
from neuroprune.reading import is_file

PREFIX = "neuroprune_user"
"""What the names of the user's modules begin with, so that they hide no other module."""

SHORT_SOURCES = {"spikingjelly": "spikingjelly.activation_based"}
"""Where the networks of a package are, in place of its top."""

INSTALLED = frozenset(("site-packages", "dist-packages"))
"""Folders of installed packages."""


@contextlib.contextmanager
def imported(reference: NetworkReference) -> Iterator[ModuleType]:
    """The module that `reference` is in, executed; within it, what lies beside that can be imported.

    A file may import what lies beside it, by its name or relatively, and packages that lie in the folders above it.
    They are forgotten in the end, so that the next file finds its own. Modules are sought in the working folder, too. A
    file that reads options finds none, as by `python file.py`, and takes its defaults.
    Raises InputError for a file that is not there, and whatever the code raises.
    """
    if not reference.is_file:
        with _importable_from([Path.cwd()]), _without_options(reference.source):
            yield importlib.import_module(SHORT_SOURCES.get(reference.source, reference.source))
        return
    path = Path(reference.source)
    if not is_file(path):
        raise InputError(
            f"{reference.subject} names the file {capped(path.absolute())}, which is not there: correct the path"
        )
    folders = [path.resolve().parent]
    with _importable_from(folders), _forgotten(folders), _without_options(str(path)):
        yield _executed(path, reference, folders)


def find_object(module: Any, name: str) -> Any:
    """What the dotted `name` leads to from `module`, through modules that are yet to be imported. AttributeError."""
    found = module
    for part in name.split("."):
        if not hasattr(found, part) and isinstance(found, ModuleType):
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return found


def _executed(path: Path, reference: NetworkReference, folders: list[Path]) -> ModuleType:
    """Execute `path`, and again each time that a folder above it has what it lacks, which then joins `folders`."""
    while True:
        try:
            return _execute(path, reference)
        except ModuleNotFoundError as error:
            above = _folder_above(folders[-1], error.name or "")
            if above is None:
                raise
            folders.append(above)
            sys.path.insert(1, str(above))
            top = (error.name or "").partition(".")[0]
            if getattr(sys.modules.get(top), "__file__", None) is None:  # a folder of that name elsewhere
                _forget(lambda name, top=top: name == top or name.startswith(f"{top}."))  # type: ignore[misc]


def _execute(path: Path, reference: NetworkReference) -> ModuleType:
    """Execute `path` as a module of the packages that its folder is in, of which no code is executed."""
    folders = [path.resolve().parent]
    while (folders[0] / "__init__.py").is_file() and folders[0] != folders[0].parent:
        folders.insert(0, folders[0].parent)
    top = f"{PREFIX}_{path.stem}"
    _forget(lambda name: name == top or name.startswith(f"{top}."))
    try:
        package = top
        for folder in folders:
            package = package if folder is folders[0] else f"{package}.{folder.name}"
            sys.modules[package] = _package(package, folder)
        name = f"{package}.{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise InputError(f"{reference.subject} names {path}, which is not a Python file: name one that ends in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except BaseException:
        _forget(lambda name: name == top or name.startswith(f"{top}."))
        raise
    return module


def _package(name: str, folder: Path) -> ModuleType:
    """A package without code of its own, in which the modules of `folder` are found."""
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    return package


def _folder_above(folder: Path, module: str) -> Path | None:
    """The nearest folder above that has the top package of `module` in it."""
    top = module.partition(".")[0]
    for above in folder.parents:
        if (above / f"{top}.py").is_file() or any((above / top).glob("*.py")):
            return above
    return None


@contextlib.contextmanager
def _importable_from(folders: list[Path]) -> Iterator[None]:
    """Within it, modules are sought in `folders` as well."""
    sys.path[:0] = [str(folder) for folder in folders]
    try:
        yield
    finally:
        for folder in folders:
            with contextlib.suppress(ValueError):  # the file may have changed the path itself
                sys.path.remove(str(folder))


@contextlib.contextmanager
def _without_options(source: str) -> Iterator[None]:
    """Within it, sys.argv is that of a program that is given nothing."""
    given, sys.argv = sys.argv, [source]
    try:
        yield
    finally:
        sys.argv = given


@contextlib.contextmanager
def _forgotten(folders: list[Path]) -> Iterator[None]:
    """At its end, modules of `folders` that were imported within it are no longer known by their names."""
    before = set(sys.modules)

    def is_beside(name: str) -> bool:
        if name in before or name.startswith(PREFIX):
            return False
        file = getattr(sys.modules[name], "__file__", None) or next(
            iter(getattr(sys.modules[name], "__path__", ())), None
        )
        places = Path(file).resolve().parents if file else ()
        return any(folder in places for folder in folders) and not INSTALLED & {place.name for place in places}

    try:
        yield
    finally:
        _forget(is_beside)


def _forget(is_meant: Callable[[str], bool]) -> None:
    for name in [name for name in sys.modules if is_meant(name)]:
        del sys.modules[name]
