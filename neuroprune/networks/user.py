"""A user's own network: what a class or function makes, or a network that is there, in Python code of the user's."""

import contextlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.networks.arguments import named_objects, text_parameters
from neuroprune.networks.importing import INSTALLED, find_object, imported
from neuroprune.networks.legacy import importing
from neuroprune.networks.legacy.imports import NEW, OLD
from neuroprune.networks.reference import NetworkReference, ObjectName, Word

FITS_TORCH = ("torchvision", "torchaudio")
"""Packages whose releases are each built for one release, and one build, of torch."""

MOVED = dict.fromkeys(OLD, NEW)
"""Modules that go by another name in the SpikingJelly that is installed."""


def load_code(named: NetworkReference) -> nn.Module:
    """The network of Python code that `named` refers to; see `load_network` of networks/build.py.

    The name is that of a torch.nn.Module, of a function or class that makes one, or leads to it by dots.
    Raises InputError when something is missing, fails in whatever way, or the arguments do not fit.
    """
    with importing(), contextlib.ExitStack() as stack:
        with _users_code(named, "on import"):
            module = stack.enter_context(imported(named))
        with _users_code(named, "when it is made"):
            return _made(named, module)


def _made(reference: NetworkReference, module: ModuleType) -> nn.Module:
    try:
        found = find_object(module, reference.name)
    except AttributeError:
        known = [name for name, value in vars(module).items() if _is_own_network(value, module)]
        has = f"its networks are {capped(', '.join(known))}: name one of them" if known else "it has none: name another"
        raise InputError(f"{reference.subject}: nothing there is called {reference.name}, and {has}") from None
    if isinstance(found, nn.Module):
        if reference.arguments:
            raise InputError(
                f"{reference.subject}: {reference.name} is a network already, which takes no arguments: leave them out"
            )
        return found
    if not callable(found):
        raise InputError(
            f"{reference.subject}: {reference.name} is a {type(found).__name__}, which is no torch.nn.Module "
            "and makes none: name a class, a function or a network"
        )
    objects = named_objects(found, module)
    texts = text_parameters(found)
    arguments = {
        name: _resolved(value, reference, module, {} if name in texts else objects)
        for name, value in reference.arguments.items()
    }
    _check_arguments(reference, found, arguments)
    made: object = found(**arguments)
    if not isinstance(made, nn.Module):
        raise InputError(
            f"{reference.subject} makes a {type(made).__name__}, which is no torch.nn.Module: name what makes one"
        )
    return made


def _check_arguments(reference: NetworkReference, makes: Any, arguments: dict[str, Any]) -> None:
    """Raise InputError where `makes` does not take `arguments`, or needs more."""
    try:
        signature = inspect.signature(makes)
    except (TypeError, ValueError):
        return  # of compiled code, which checks for itself
    shown = capped(f"{reference.name}{signature}", 300)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise InputError(
            f"{reference.subject} does not fit {shown} ({capped(error)}): give arguments as in --args "
            "T=4,num_classes=10"
        ) from error


def _resolved(value: Any, reference: NetworkReference, module: ModuleType, objects: Mapping[str, Any]) -> Any:
    """`value` with the objects that it names: by a word `objects`, by dots those of any module or of SpikingJelly."""
    if isinstance(value, list | tuple):
        return type(value)(_resolved(each, reference, module, objects) for each in value)
    if isinstance(value, dict):
        return {key: _resolved(each, reference, module, objects) for key, each in value.items()}
    if isinstance(value, Word):
        return objects.get(value, str(value))
    if not isinstance(value, ObjectName):
        return value
    top, _, rest = value.name.partition(".")
    for owner, name in ((module.__name__, value.name), (top, rest), ("spikingjelly.activation_based", value.name)):
        with contextlib.suppress(AttributeError, ModuleNotFoundError):
            return find_object(importlib.import_module(owner), name)
    raise InputError(
        f"{reference.subject} has the argument {value.name}, which is nothing that can be imported: correct "
        "it, or quote it if it is text"
    )


@contextlib.contextmanager
def _users_code(reference: NetworkReference, when: str) -> Iterator[None]:
    """Code that nobody vouches for: what it raises, Ctrl-C aside, becomes an InputError with a remedy."""
    try:
        yield
    except (KeyboardInterrupt, InputError):
        raise
    except ModuleNotFoundError as error:
        moved = next((old for old in MOVED if f"{error.name}.".startswith(f"{old}.")), None)
        if moved is not None:
            raise InputError(
                f"{reference.subject} needs {error.name}, a module of an earlier SpikingJelly: what it had is "
                f"now in {MOVED[moved]}, so import it from there, or add --legacy-imports"
            ) from error
        raise InputError(
            f"{reference.subject} needs the module {error.name}, which is neither installed for {sys.executable} nor "
            f"beside the file: {_install(error.name or '')}"
        ) from error
    except SystemExit as error:
        raise InputError(
            f"{reference.subject} ends the program {when} (sys.exit({_said(error)})): keep what only a program does "
            'below `if __name__ == "__main__":`'
        ) from error
    except BaseException as error:
        package = _package_that_failed(error)
        if package is not None:
            raise InputError(
                f"{reference.subject} needs the module {package}, which is installed but cannot be imported "
                f"({type(error).__name__}: {_said(error)}): {_install(package)}"
            ) from error
        raise InputError(
            f"{reference.subject} fails {when} ({type(error).__name__}: {_said(error)}): correct it"
        ) from error


def _install(module: str) -> str:
    package = module.partition(".")[0]
    build = f"the build of {package} that fits torch {torch.__version__}" if package in FITS_TORCH else "what has it"
    return f"install {build}, leave the import out, or add --stub-imports {package} if the network does not use it"


def _package_that_failed(error: BaseException) -> str | None:
    """The installed package that cannot be imported, the innermost where one imports another; None if none is."""
    failed = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if INSTALLED & set(Path(frame.f_code.co_filename).parts):
            if frame.f_code.co_name != "<module>":
                break
            failed = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return failed


def _said(error: BaseException) -> str:
    """What `error` says, short; a user's exception may fail even at that."""
    try:
        return capped(error)
    except Exception:  # noqa: BLE001
        return "it cannot say why"


def _is_own_network(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
