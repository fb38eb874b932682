"""What words without quotes stand for among the arguments of a network of the user's."""

import contextlib
import inspect
import sys
from collections.abc import Callable
from inspect import Parameter
from types import FunctionType, ModuleType
from typing import Any, Literal, get_args, get_origin

from torch import nn


def named_objects(makes: Callable[..., Any], module: ModuleType) -> dict[str, Any]:
    """The classes and functions that a word may name as an argument of `makes`, which was found in `module`.

    They are those that this module, or the one that `makes` was written in, defines, and layers that it imports.
    No others are: a checkpoint says with which words its network was made, and words of a file must not reach what the
    code merely imports, such as a function of the operating system.
    """
    found: dict[str, Any] = {}
    for owner in (module, sys.modules.get(getattr(makes, "__module__", ""), module)):
        for name, value in vars(owner).items():
            is_own = isinstance(value, type | FunctionType) and value.__module__ == owner.__name__
            if is_own or (isinstance(value, type) and issubclass(value, nn.Module)):
                found[name] = value
    return found


def text_parameters(makes: Callable[..., Any]) -> frozenset[str]:
    """The parameters of `makes` that take text, by what is annotated or by their defaults: there a word is one."""
    parameters: tuple[Parameter, ...] = ()
    with contextlib.suppress(Exception):  # compiled code has no signature, and annotations may name what is not there
        parameters = tuple(inspect.signature(makes).parameters.values())
        parameters = tuple(inspect.signature(makes, eval_str=True).parameters.values())
    return frozenset(each.name for each in parameters if _takes_text(each))


def _takes_text(parameter: Parameter) -> bool:
    kind = parameter.annotation
    return isinstance(parameter.default, str) or str in (kind, *get_args(kind)) or get_origin(kind) is Literal
