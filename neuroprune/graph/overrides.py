"""Finds what a user's class, or a change to one of its layers, puts in place of methods that a layer is known by."""

from torch import nn

HARMLESS = frozenset(
    """__init__ __new__ __module__ __doc__ __annotations__ __dict__ __weakref__ __slots__ __qualname__ __orig_bases__
    __parameters__ __firstlineno__ __static_attributes__ __init_subclass__ __class_getitem__ __constants__ _version
    __repr__ __str__ __dir__ __getstate__ __setstate__ __deepcopy__ __copy__ __reduce__ __reduce_ex__ __hash__ __eq__
    train eval extra_repr _get_name reset_parameters _check_input_dim _save_to_state_dict
    _load_from_state_dict""".split()  # noqa: SIM905
)
"""Attributes of a class that play no part in what its layers compute once they are made."""


def overridden(module: nn.Module, kind: type[nn.Module]) -> tuple[str, ...]:
    """The attributes of `kind`, a base class of the module's, that its class or a class between replaces.

    What is merely new, such as the weight that torch's parametrisations compute, replaces nothing.
    """
    return tuple(name for name in added(module, kind) if hasattr(kind, name))


def added(module: nn.Module, kind: type[nn.Module]) -> tuple[str, ...]:
    """The attributes that the module's class, or one between it and its base class `kind`, defines."""
    names = (name for each in type(module).__mro__ if each not in kind.__mro__ for name in vars(each))
    return tuple(dict.fromkeys(name for name in names if name not in HARMLESS))


def patched_methods(module: nn.Module) -> tuple[str, ...]:
    """The methods of its class that were replaced in `module` itself."""
    kind = type(module)
    return tuple(name for name in vars(module) if name not in HARMLESS and callable(getattr(kind, name, None)))
