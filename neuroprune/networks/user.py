"""A user's own network: a class in a Python file."""

import contextlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import is_file

FITS_TORCH = ("torchvision", "torchaudio")
"""Packages whose releases are each built for one release, and one build, of torch."""


def load_class(reference: str) -> nn.Module:
    """A network of the class that `reference`, "file.py:Class", names, made without arguments.

    The file is executed, as by `python file.py`, so name only one that you trust; it can import modules beside it.
    Raises InputError when the file or the class is missing, fails in whatever way, or needs arguments.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import load_class
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "my_network.py")
    ...     characters = file.write_text("from torch import nn\\nclass Net(nn.Flatten): pass\\n")
    ...     load_class(f"{file}:Net")
    Net(start_dim=1, end_dim=-1)
    """
    file, colon, name = reference.rpartition(":")
    if not colon or not file or not name:
        raise InputError(f"model {reference!r} names no class: write file.py:Class")
    path = Path(file)
    if not is_file(path):
        raise InputError(
            f"model {capped(reference)} names the file {capped(path.absolute())}, which is not there: correct the path"
        )
    module = _import(path, reference)
    with _users_code(reference, "when it is made"):
        kind = getattr(module, name, None)
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            known = [key for key, value in vars(module).items() if _is_own_network(value, module)]
            raise InputError(
                f"model {reference}: {path.name} has no torch.nn.Module called {name}; it has "
                f"{', '.join(known) or 'none at all'}: name one of its classes"
            )
        needed = [
            parameter.name
            for parameter in inspect.signature(kind).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        if needed:
            raise InputError(
                f"model {reference} needs the arguments {', '.join(needed)} to be made, but is made without any: "
                "give them default values"
            )
        made: object = kind()
        if not isinstance(made, nn.Module):
            raise InputError(
                f"model {reference} makes a {type(made).__name__}, which is no torch.nn.Module: correct its __new__"
            )
        return made


def _import(path: Path, reference: str) -> ModuleType:
    """Execute `path` as a module of its own; its folder can be imported from meanwhile."""
    name = f"neuroprune_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"model {reference} names {path}, which is not a Python file: name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with _users_code(reference, "on import"):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    finally:
        with contextlib.suppress(ValueError):  # the file may have changed the path itself
            sys.path.remove(str(path.resolve().parent))
    return module


@contextlib.contextmanager
def _users_code(reference: str, when: str) -> Iterator[None]:
    """Code that nobody vouches for: what it raises, Ctrl-C aside, becomes an InputError with a remedy."""
    try:
        yield
    except (KeyboardInterrupt, InputError):
        raise
    except ModuleNotFoundError as error:
        raise InputError(
            f"model {reference} needs the module {error.name}, which is neither installed for {sys.executable} nor "
            f"beside the file: {_install(error.name or '')}"
        ) from error
    except SystemExit as error:
        raise InputError(
            f"model {reference} ends the program {when} (sys.exit({_said(error)})): keep what only a program does "
            'below `if __name__ == "__main__":`'
        ) from error
    except BaseException as error:
        package = _package_that_failed(error)
        if package is not None:
            raise InputError(
                f"model {reference} needs the module {package}, which is installed but cannot be imported "
                f"({type(error).__name__}: {_said(error)}): {_install(package)}"
            ) from error
        raise InputError(
            f"model {reference} fails {when} ({type(error).__name__}: {_said(error)}): correct it"
        ) from error


def _install(module: str) -> str:
    package = module.partition(".")[0]
    build = f"the build of {package} that fits torch {torch.__version__}" if package in FITS_TORCH else "what has it"
    return f"install {build}, or leave the import out"


def _package_that_failed(error: BaseException) -> str | None:
    """The first installed package in whose import `error` was raised; None where it was not while one is imported."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if {"site-packages", "dist-packages"} & set(Path(frame.f_code.co_filename).parts):
            name = str(frame.f_globals.get("__name__", ""))
            return name.partition(".")[0] if frame.f_code.co_name == "<module>" else None
    return None


def _said(error: BaseException) -> str:
    """What `error` says, short; a user's exception may fail even at that."""
    try:
        return capped(error)
    except Exception:  # noqa: BLE001
        return "it cannot say why"


def _is_own_network(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
