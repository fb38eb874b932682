"""References to networks of the user's, `source:name(arguments)`: what they say, before anything is executed."""

import ast
import re
from dataclasses import dataclass
from typing import Any

from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt

FORM = "file.py:Name or package.module:Name, and arguments as in file.py:Name(T=4)"

_PATTERN = re.compile(r"(?P<source>.+?):(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)(?:\((?P<arguments>.*)\))?", re.DOTALL)


@dataclass(frozen=True)
class ObjectName:
    """An argument that is an object of Python's, by its dotted name, such as neuron.LIFNode."""

    name: str


class Word(str):
    """An argument that was written without quotes: text, unless the code has a class or function of that name."""

    __slots__ = ()


@dataclass(frozen=True)
class NetworkReference:
    """Where the code is that makes a network, and what it is given.

    text: as it was written. source: the path of a Python file, or the dotted name of a module. name: of a class, a
    function or a network in it. written: its arguments as they were written; arguments: by keyword, numbers, strings,
    lists and the like, Word or ObjectName.
    """

    text: str
    source: str
    name: str
    written: str
    arguments: dict[str, Any]

    @property
    def is_file(self) -> bool:
        """Whether the source is a file rather than a module that can be imported."""
        is_dotted = all(part.isidentifier() for part in self.source.split("."))
        return self.source.endswith(".py") or not is_dotted

    @property
    def subject(self) -> str:
        """What sentences call it."""
        return f"model {capped(self.text)}"


def is_reference(model: str) -> bool:
    """Whether `model` is written file.py:Name; otherwise it is a recipe.

    >>> from neuroprune.networks.reference import is_reference
    >>> is_reference("my_network.py:Net"), is_reference("digits-conv")
    (True, False)
    """
    return ":" in model


def parse_reference(text: str) -> NetworkReference:
    """What `text`, "file.py:Name" or "package.module:Name" with or without "(arguments)", refers to.

    Arguments are written as in Python, by keyword; a word without quotes is a string, unless it is found to name an
    object when the network is made, and one with dots in it names an object. Raises InputError.

    >>> from neuroprune.networks.reference import parse_reference
    >>> parse_reference("my_network.py:Net(T=4, neuron=neuron.LIFNode, connect=ADD)").arguments
    {'T': 4, 'neuron': ObjectName(name='neuron.LIFNode'), 'connect': 'ADD'}
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise InputError(f"model {excerpt(text)} names no network: write {FORM}")
    written = match["arguments"] or ""
    return NetworkReference(text, match["source"], match["name"], written, _arguments(written, text))


def with_arguments(model: str, arguments: str | None) -> str:
    """The reference `model` with the arguments "T=4,classes=10" in it. Raises InputError where it has some already.

    >>> from neuroprune.networks.reference import with_arguments
    >>> with_arguments("my_network.py:Net", "T=4")
    'my_network.py:Net(T=4)'
    """
    if not arguments:
        return model  # of a recipe, too
    if parse_reference(model).arguments:
        raise InputError(f"model {excerpt(model)} has arguments, and --args others: give them in one place")
    return f"{model.removesuffix('()')}({arguments})"


def with_recorded(model: str, recorded: str) -> str:
    """`model`, and where it has no arguments those of `recorded`, the reference that a run says it was made by.

    Raises InputError where it has others, and where those of the run name objects, since nothing that a file says is
    executed.

    >>> from neuroprune.networks.reference import with_recorded
    >>> with_recorded("elsewhere/my_network.py:Net", "my_network.py:Net(T=4)")
    'elsewhere/my_network.py:Net(T=4)'
    """
    given, then = parse_reference(model), parse_reference(recorded)
    if given.arguments and given.arguments != then.arguments:
        made = f"with ({capped(then.written)})" if then.written else "without arguments"
        raise InputError(
            f"the network of this run was made {made}, not with ({capped(given.written)}): leave the arguments out, or "
            "train with those"
        )
    if given.arguments or not then.arguments:
        return model
    if any(_names_objects(value) for value in then.arguments.values()):
        raise InputError(
            f"the network of this run was made with ({capped(then.written)}), and objects are not taken from a file: "
            f"give --args {excerpt(then.written)} again"
        )
    return with_arguments(model, then.written)


def _names_objects(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_names_objects(each) for each in (*value, *value.values()))
    return any(map(_names_objects, value)) if isinstance(value, list | tuple) else isinstance(value, ObjectName)


def _arguments(written: str, text: str) -> dict[str, Any]:
    try:
        call = ast.parse(f"f({written})", mode="eval").body
        assert isinstance(call, ast.Call)
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError("not all of them are keyword=value")
        return {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError, AssertionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise InputError(
            f"model {excerpt(text)} has arguments that cannot be read ({capped(reason)}): write them as "
            "T=4,num_classes=10"
        ) from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=word):
            return Word(word)
        case ast.Attribute():
            return ObjectName(_dotted(node))
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Dict(keys=keys, values=values) if all(keys):
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key is not None}
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise ValueError(f"{ast.unparse(node)} is neither a value nor a name") from error


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=word):
            return word
        case ast.Attribute(value=owner, attr=word):
            return f"{_dotted(owner)}.{word}"
    raise ValueError("a name with dots has something else in it than names")
