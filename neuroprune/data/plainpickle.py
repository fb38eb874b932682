"""A reader for the pickles of CIFAR's python batches, of protocol 2, that never executes anything.

A pickle is a program; `pickle.load` executes it. Here its opcodes are listed by `pickletools` and only those that build
plain values are followed: numbers, text, lists, tuples, dictionaries. What would call a function (numpy's
array constructor, in these files) becomes a `Call` that holds the function's name and arguments, and is never called.
"""

import pickletools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroprune.reading import check_spread, read_bytes, reading

MOST_VALUES = 1_000_000
"""Six times those of CIFAR-100: 50,000 images with two labels and a name each."""
MOST_OPCODES = 3 * MOST_VALUES
"""A value takes an opcode, and perhaps others that mark and keep it."""


@dataclass
class Call:
    """What the pickle asks for: to call `function` ("module name") with `arguments`, then to set `state`."""

    function: Any
    arguments: Any
    state: Any = None


_MARK = object()

_VALUES = {
    "BININT",
    "BININT1",
    "BININT2",
    "BINSTRING",
    "BINUNICODE",
    "GLOBAL",
    "INT",
    "LONG",
    "LONG1",
    "SHORT_BINSTRING",
    "STRING",
    "UNICODE",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}


def read_plain_pickle(path: Path, largest: int) -> Any:
    """The value pickled in `path`; byte strings of Python 2 come back as text in Latin-1, one character a byte.

    Raises InputError when the file is cut short, holds more than `largest` bytes or MOST_VALUES values, is no pickle,
    or uses an opcode that plain data does not need.
    """
    with reading(path, "a whole pickle of plain data", "fetch it again"):
        value = _follow(read_bytes(path, largest))
        check_spread(value, _parts, MOST_VALUES)
        return value


def _parts(value: Any) -> Iterable[Any]:
    match value:
        case list() | tuple():
            return value
        case dict():
            return value.values()
        case Call():
            return (value.function, value.arguments, value.state)
    return ()


def _follow(content: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[Any, Any] = {}

    def pop_marked() -> list[Any]:
        start = len(stack) - 1 - next(i for i, value in enumerate(reversed(stack)) if value is _MARK)
        values = stack[start + 1 :]
        del stack[start:]
        return values

    for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if number > MOST_OPCODES:
            raise ValueError(f"it has more than the {MOST_OPCODES} opcodes that are read")
        name = opcode.name
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in ("APPEND", "APPENDS"):
            values = pop_marked() if name == "APPENDS" else [stack.pop()]
            stack[-1].extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = pop_marked() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            if not all(isinstance(key, str) for key in values[::2]):
                raise ValueError("it has a key that is no text")
            stack[-1].update(zip(values[::2], values[1::2], strict=True))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            length = int(name[-1])
            stack[-length:] = [tuple(stack[-length:])]
        elif name == "TUPLE":
            stack.append(tuple(pop_marked()))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(Call(stack.pop(), arguments))
        elif name == "BUILD":
            state = stack.pop()
            stack[-1].state = state
        elif name == "STOP":
            return stack.pop()
        elif name != "PROTO":
            raise ValueError(f"it uses the opcode {name}")
    raise ValueError("it has no end")
