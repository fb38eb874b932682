"""Symbols for the tensors of a module's running code: the node that made each, and where its time axis lies.

Symbols stand in for tensors while the code runs. They have sizes as tensors do, and pass every operation to the
recorder that made them; code that depends on values (a branch, a number taken out) is an error.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import fx, nn

from neuroprune.graph.layout import FRAMES, Layout, steps_of
from neuroprune.graph.nodes import Node, Op, Shape

SIZES = frozenset(
    """shape size dim ndim ndimension numel nelement dtype device requires_grad is_cuda is_floating_point
    get_device is_sparse is_complex""".split()  # noqa: SIM905
)
"""Attributes of a tensor that do not depend on its values."""

RESHAPED_IN_PLACE = frozenset(("unsqueeze_", "squeeze_"))
"""Methods that give a tensor itself another shape."""

_OPERATORS = """
    add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv rfloordiv mod pow rpow matmul rmatmul
    neg pos abs invert and rand or ror xor rxor lt le gt ge eq ne getitem setitem
""".split()  # noqa: SIM905


class ValueNeeded(TypeError):
    """Code depends on the values of a tensor, which a symbol has none of."""


class Recorder(Protocol):
    """Receives each operation on symbols, and keeps the nodes by name.

    steps: T, None as long as it is not known. batch: samples of the frames that run. owners: the paths of the modules
    that parameters and buffers belong to, by the `id` of those.
    """

    nodes: dict[str, Node]
    steps: int | None
    batch: int
    owners: dict[int, str]
    canvases: Any
    no_counterpart: str

    def refused(self, name: str, reason: str, value: Any, symbols: list[Any]) -> Any:
        """A symbol for the result of an operation that is not understood, and the problem noted."""

    def node(self, name: str, what: Hashable, op: Op, inputs: tuple[str, ...], shape: Shape) -> str:
        """The name of the node that does `what` to `inputs`; `name` is what it would be called if it were new."""

    def scoped(self, kind: str) -> str:
        """A name for an operation of the module that is running."""

    def after_time(self, path: str, module: nn.Module, total: Any, value: torch.Tensor) -> Any:
        """What a linear layer makes of a sum over all steps, None for other layers."""

    def follows_time(self, name: str) -> bool:
        """Whether the output of `name` may differ from step to step."""

    def operation(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The symbols for what `function` gives; `name` is torch's own, without underscores."""


@dataclass(frozen=True, eq=False)
class Symbol:
    """A tensor of the running code that comes from `node`."""

    value: torch.Tensor
    recorder: Recorder
    node: str
    version: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", self.value._version)

    @property
    def is_stale(self) -> bool:
        """Whether the tensor was changed in place since it was made, so that the symbol no longer describes it."""
        return self.value._version != self.version

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        symbols = signals_of((args, kwargs or {}))
        return symbols[0].recorder.operation(func.__name__.strip("_"), func, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        attribute = getattr(self.value, name)
        if name in SIZES:
            return attribute
        if not callable(attribute):
            return self.recorder.operation(name, lambda value: getattr(value, name), (self,), {})
        if name in RESHAPED_IN_PLACE:
            return lambda *args: self._reshaped_in_place(name, args)
        function = getattr(torch.Tensor, name)
        return lambda *args, **kwargs: self.recorder.operation(name.strip("_"), function, (self, *args), kwargs)

    def _reshaped_in_place(self, name: str, args: Any) -> "Symbol":
        """What the same without the underscore gives; every other symbol of this tensor is stale from now on."""
        result = getattr(self, name.removesuffix("_"))(*args)
        getattr(self.value, name)(*args)
        vars(self).update(vars(replace(result, value=self.value)))
        return self

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self.value)))  # type: ignore[index]  # set below

    def __bool__(self) -> bool:
        raise ValueNeeded("a decision depends on the values of a tensor")

    def __index__(self) -> int:
        raise ValueNeeded("a number is taken out of a tensor")

    __int__ = __index__

    def __float__(self) -> float:
        raise ValueNeeded("a number is taken out of a tensor")

    def __array__(self, *_: Any) -> Any:
        raise ValueNeeded("a tensor is made an array")


def _operator(name: str) -> Callable[..., Any]:
    def apply(self: Symbol, *args: Any) -> Any:
        return self.recorder.operation(name, getattr(torch.Tensor, f"__{name}__"), (self, *args), {})

    return apply


for _name in _OPERATORS:
    setattr(Symbol, f"__{_name}__", _operator(_name))


@dataclass(frozen=True, eq=False)
class Signal(Symbol):
    """The output of `node` at all steps, or at one.

    layout: where steps and samples lie. at: the step of a tensor without steps, None where it is the same at every
    step. votes: above 1, the mean of as many neighbouring outputs was taken, or, where the last axis still holds them,
    is yet to be taken.
    """

    layout: Layout = FRAMES
    at: int | None = None
    votes: int = 1

    @property
    def is_constant(self) -> bool:
        """Whether it has no steps, and is the same at every one."""
        return self.at is None and not self.layout.has_steps

    @property
    def steps(self) -> int:
        """The steps that it holds; 1 where it is of one step, or the same at all."""
        return steps_of(self.layout, tuple(self.value.shape), self.recorder.batch)

    @property
    def channel_axis(self) -> int:
        """The first axis of a sample."""
        return self.layout.sample_axes(self.value.ndim)[0]

    @property
    def sample(self) -> Shape:
        """The shape without time and batch."""
        return self.layout.sample(tuple(self.value.shape))


@dataclass(frozen=True, eq=False)
class TimeSum(Symbol):
    """[N, ...]: `scale` times the sum over some steps of the output of `node`; or the last voltage of its neurons."""

    steps: frozenset[int] = frozenset()
    scale: float = 1.0
    votes: int = 1
    is_voltage: bool = False

    @property
    def sample(self) -> Shape:
        """The shape without the batch."""
        return tuple(self.value.shape[1:])


def values_of(tree: Any) -> Any:
    """The arguments of a call with plain tensors in place of symbols."""
    return fx.node.map_aggregate(tree, lambda leaf: leaf.value if isinstance(leaf, Symbol) else leaf)


def signals_of(tree: Any) -> list[Any]:
    """The symbols among the arguments of a call, in their order."""
    symbols: list[Any] = []
    fx.node.map_aggregate(tree, lambda leaf: symbols.append(leaf) if isinstance(leaf, Symbol) else None)
    return symbols
