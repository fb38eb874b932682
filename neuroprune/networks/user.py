"""A user's own network: a class in a Python file."""

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

from torch import nn

from neuroprune.errors import InputError


def load_class(reference: str) -> nn.Module:
    """A network of the class that `reference`, "file.py:Class", names, made without arguments.

    The file is executed, as by `python file.py`, so name only one that you trust; it can import modules beside it.
    Raises InputError when the file or the class is missing, fails, or needs arguments.

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
    if not path.is_file():
        raise InputError(f"model {reference} names the file {path.resolve()}, which is not there: correct the path")
    module = _import(path, reference)
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
    try:
        return kind()
    except Exception as error:
        raise InputError(
            f"model {reference} fails when it is made ({type(error).__name__}: {error}): correct it"
        ) from error


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
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"model {reference} fails on import ({type(error).__name__}: {error}): correct it") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _is_own_network(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
