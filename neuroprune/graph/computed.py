"""Potentials and spikes that the code of a network computes itself, element by element and step after step.

`mem = mem * 0.5 * (1 - spike) + self.conv(x)` and `spike = fire(mem - 1.0)` make a layer of neurons of no module. What
such code does to the output of a node is kept on a tape, which can be run on other numbers; so the neurons are
recognised by what they do, as those of a module are.
"""

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx

from neuroprune.graph.layout import FRAMES
from neuroprune.graph.nodes import Node
from neuroprune.graph.operation import Operation, is_whole
from neuroprune.graph.signals import Recorder, Signal, Symbol, TimeSum, signals_of
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.cuba_lif.identify import NotNeurons, differing_step, identify

ELEMENTWISE = frozenset(
    """add radd iadd sub rsub isub subtract mul rmul imul multiply div truediv rtruediv itruediv divide true_divide neg
    negative abs absolute pow rpow square sqrt exp sigmoid tanh relu sign floor ceil round lt le gt ge eq ne less
    less_equal greater greater_equal invert and or xor logical_and logical_or logical_not where clamp clip minimum
    maximum heaviside masked_fill hardtanh threshold float double half bool int long to type type_as clone detach data
    contiguous ones_like""".split()  # noqa: SIM905
)
"""Operations that do the same to each element, whatever lies beside it."""

SUMS = frozenset(("add", "radd", "iadd"))
SAME = frozenset(("clone", "detach", "data", "contiguous", "float", "double", "to", "type_as"))
PROBES = 16
"""Inputs that are tried at once."""

TOLERANCE = 1e-5
"""Of voltages for inputs of 1: what float32 roundings can add up to."""

PLACEHOLDER = CubaLif(0.0, 1.0)
"""Stands for such neurons until all their steps are known."""


@dataclass(frozen=True, eq=False)
class Computed(Symbol):
    """[N, ...]: numbers of one step that the code computed of the output of `node` up to then; `place` on its tape."""

    place: int = 0


@dataclass(frozen=True)
class _Input:
    """What the node gives at a step."""

    step: int


@dataclass(frozen=True)
class _Earlier:
    """What was computed at a place of the tape."""

    place: int


@dataclass(frozen=True, eq=False)
class _Entry:
    name: str
    function: Any
    args: Any
    kwargs: Any


@dataclass(frozen=True, eq=False)
class _Origin:
    """The operation that made a signal, and the step in which it did."""

    signal: Signal  # so that its id is not given to another
    operation: Operation
    step: int


class _Differs(Exception):
    """Neurons are not alike."""


class Computing:
    """What the running code has computed of each node's output."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tapes: dict[str, list[_Entry]] = {}
        self._origins: dict[int, _Origin] = {}
        self._neurons: dict[tuple[str, str], list[int]] = {}
        self._settled: dict[tuple[str, int], Signal] = {}
        self._calls: dict[str, int] = {}
        self.by_the_way: set[str] = set()
        """Nodes that code made between layers, which a network need not use."""

    def called(self, node: str) -> None:
        """Note that the code has called the layer `node` once more, as it does in each step."""
        self._calls[node] = self._calls.get(node, 0) + 1

    def note(self, operation: Operation, result: Any) -> None:
        """Keep how a signal of one step was made, which may turn out to be a part of what neurons compute."""
        operation = _plain_cast(operation)
        if operation.name in ELEMENTWISE and isinstance(result, Signal) and not result.layout.has_steps:
            if all(result.node != symbol.node for symbol in operation.symbols):
                self.by_the_way.add(result.node)
            leaf = self._leaf(operation.symbols)
            if leaf is not None:
                self._origins[id(result)] = _Origin(result, operation, self._step(leaf))

    def follow(self, operation: Operation) -> Computed | None:
        """The symbol for what an operation gives of one node's output; None where it is of no such kind."""
        operation = _plain_cast(operation)
        leaf = self._leaf(operation.symbols) if operation.name in ELEMENTWISE else None
        if leaf is None or not isinstance(operation.value, torch.Tensor):
            return None
        if operation.value.shape != operation.symbols[0].value.shape:
            return None
        try:
            place = self._add(leaf, operation, self._step(leaf))
        except _Differs:
            return None
        return Computed(operation.value, self._recorder, leaf, place)

    def settled(self, tree: Any) -> Any:
        """`tree` with signals in place of what was computed: it is read as a layer of neurons reads it, or as a sum."""
        return fx.node.map_aggregate(tree, lambda leaf: self._settle(leaf) if isinstance(leaf, Computed) else leaf)

    def returned(self, output: Any) -> Any:
        """What the network returned, as signals: a leaky sum over time as the voltage of neurons that never fire."""
        voltage = self._voltage(output) if isinstance(output, Computed) else None
        return self.settled(output) if voltage is None else voltage

    def resolve(self, nodes: dict[str, Node]) -> list[tuple[str, str]]:
        """Put the neurons that were found into `nodes`, and return what is wrong with the others, by node."""
        problems = []
        for (leaf, kind), places in self._neurons.items():
            name = self._settled[leaf, places[0]].node
            if name not in nodes:
                continue
            found = self._identified(leaf, places)
            if isinstance(found, CubaLif):
                nodes[name] = replace(nodes[name], op=found)
            elif isinstance(found, NotNeurons):
                problems.append((f"operation {kind} on the output of {leaf}: {self._recorder.no_counterpart}", name))
            else:
                problems.append(
                    (
                        f"layer {name}: what the code computes of the output of {leaf} is no neuron of the chip, since "
                        f"{found}; use LIFNode, IFNode or ParametricLIFNode",
                        name,
                    )
                )
        return problems

    def _step(self, leaf: str) -> int:
        """The step that the code is in, as far as `leaf` shows."""
        first = next((places for (each, _), places in self._neurons.items() if each == leaf), [])
        return max(len(first), self._calls.get(leaf, 1) - 1)

    def _leaf(self, symbols: list[Any]) -> str | None:
        """The node of whose output alone the symbols were computed, if there is one."""
        leaves = {self._leaf_of(symbol) for symbol in symbols}
        return leaves.pop() if len(leaves) == 1 else None

    def _leaf_of(self, symbol: Any) -> str | None:
        if isinstance(symbol, Computed):
            return symbol.node
        if not isinstance(symbol, Signal) or symbol.layout != FRAMES or not is_whole(symbol):
            return None
        origin = self._origins.get(id(symbol))
        found = None if origin is None else self._leaf(origin.operation.symbols)
        return symbol.node if found is None else found

    def _add(self, leaf: str, operation: Operation, step: int) -> int:
        """The place of an operation on the tape of `leaf`, with those that made its operands before it."""

        def operand(value: Any) -> Any:
            if isinstance(value, Computed):
                return _Earlier(value.place)
            if isinstance(value, Signal):
                origin = self._origins.get(id(value))
                if origin is not None and self._leaf(origin.operation.symbols) == leaf:
                    return _Earlier(self._add(leaf, origin.operation, origin.step))
                return _Input(step if value.at is None else value.at)
            if isinstance(value, torch.Tensor) and value.ndim:
                if not bool((value == value.flatten()[0]).all()):
                    raise _Differs
                return value.flatten()[0].clone()
            return value.clone() if isinstance(value, torch.Tensor) else value

        args, kwargs = fx.node.map_aggregate((operation.args, operation.kwargs), operand)
        tape = self._tapes.setdefault(leaf, [])
        tape.append(_Entry(operation.name, operation.function, args, kwargs))
        return len(tape) - 1

    def _settle(self, computed: Computed) -> Symbol:
        terms = self._terms(computed.node, computed.place)
        if len(terms) > 1 and len(set(terms.values())) == 1:
            signals = [self._signal(computed, place) for place in sorted(terms)]
            scale = next(iter(terms.values()))
            steps = frozenset(signal.at for signal in signals if signal.at is not None)
            if len({signal.node for signal in signals}) == 1 and len(steps) == len(signals):
                return TimeSum(computed.value, self._recorder, signals[0].node, steps, scale)
        return self._signal(computed, computed.place)

    def _signal(self, computed: Computed, place: int) -> Signal:
        """The spikes at `place`, as the next step of a layer of neurons."""
        leaf, recorder = computed.node, self._recorder
        if (leaf, place) not in self._settled:
            kind = self._tapes[leaf][place].name
            places = self._neurons.setdefault((leaf, kind), [])
            shape = recorder.nodes[leaf].shape
            name = recorder.node(f"{leaf}.neurons", ("computed", leaf, kind), PLACEHOLDER, (leaf,), shape)
            self.by_the_way.add(name)
            at = len(places)
            places.append(place)
            recorder.steps = max(at + 1, recorder.steps or 0)
            self._settled[leaf, place] = Signal(computed.value, recorder, name, FRAMES, at)
        return replace(self._settled[leaf, place], value=computed.value)

    def _voltage(self, computed: Computed) -> TimeSum | None:
        """The last voltage of neurons that decay, where that is what was computed."""
        recorder, leaf = self._recorder, computed.node
        entries = self._tapes[leaf][: computed.place + 1]
        steps = 1 + max((each.step for entry in entries for each in entry.args if isinstance(each, _Input)), default=0)
        try:
            impulses = self._run(leaf, [computed.place] * steps, torch.eye(steps, dtype=torch.float64))[0].tolist()
            drive = torch.randn(steps, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
            given = self._run(leaf, [computed.place] * steps, drive)[0]
        except Exception:  # noqa: BLE001  # of code that was made for tensors of other shapes
            return None
        gain = impulses[-1]
        kept = impulses[-2] / gain if steps > 1 and gain else 0.0
        kept = round(kept, 7)
        expected = sum(gain * kept ** (steps - 1 - step) * drive[step] for step in range(steps))
        if not 0.0 < kept < 1.0 or gain <= 0.0 or not torch.allclose(given, expected, atol=TOLERANCE):
            return None
        op = CubaLif(1.0 - kept, math.inf, round(gain, 7))
        name = recorder.node(f"{leaf}.voltage", ("voltage", leaf, kept), op, (leaf,), recorder.nodes[leaf].shape)
        recorder.steps = max(steps, recorder.steps or 0)
        return TimeSum(computed.value, recorder, name, frozenset(range(recorder.steps)), is_voltage=True)

    def _terms(self, leaf: str, place: int) -> dict[int, float]:
        """The places whose sum, each times its factor, was computed at `place`."""
        terms: dict[int, float] = {}
        open_ends = [(place, 1.0)]
        while open_ends:
            at, factor = open_ends.pop()
            entry = self._tapes[leaf][at]
            earlier = [each.place for each in entry.args if isinstance(each, _Earlier)]
            others = [float(each) for each in entry.args if isinstance(each, int | float | torch.Tensor)]
            whole = len(earlier) + len(others) == len(entry.args) and not entry.kwargs
            if entry.name in SUMS and whole and earlier and not any(others):
                open_ends += [(each, factor) for each in earlier]
            elif entry.name in ("mul", "rmul", "imul") and whole and len(earlier) == len(others) == 1:
                open_ends.append((earlier[0], factor * others[0]))
            elif entry.name in ("div", "truediv", "itruediv") and whole and isinstance(entry.args[0], _Earlier):
                if len(others) != 1 or others[0] == 0:
                    return {place: 1.0}
                open_ends.append((earlier[0], factor / others[0]))
            else:
                terms[at] = terms.get(at, 0.0) + factor
        return terms

    def _identified(self, leaf: str, places: list[int]) -> CubaLif | NotNeurons | str:
        fire = functools.partial(self._run, leaf, places)
        try:
            numbers = fire(torch.randn(len(places), 64, generator=torch.Generator().manual_seed(0)))
            if not bool(((numbers == 0.0) | (numbers == 1.0)).all()):
                return NotNeurons()
            found = identify(fire, len(places), PROBES)
            if isinstance(found, NotNeurons):
                return "it does not fire in the step in which it receives much, and only then"
            if isinstance(found, str):
                return found
            drive = torch.randn(len(places), 64, generator=torch.Generator().manual_seed(1)) * found.threshold
            step = differing_step(found, drive.double(), fire(drive).double())
        except Exception:  # noqa: BLE001  # of code that was made for tensors of other shapes
            return NotNeurons()
        return found if step is None else f"in step {step + 1} of a random input it gives other spikes"

    def _run(self, leaf: str, places: list[int], drive: torch.Tensor) -> torch.Tensor:
        """What the tape gives at `places`, one for each step, for the inputs [steps, probes]."""
        values: list[torch.Tensor] = []

        def known(operand: Any) -> Any:
            if isinstance(operand, _Input):
                return drive[min(operand.step, len(drive) - 1)].clone()
            return values[operand.place].clone() if isinstance(operand, _Earlier) else operand

        for entry in self._tapes[leaf][: max(places) + 1]:
            args, kwargs = fx.node.map_aggregate((entry.args, entry.kwargs), known)
            values.append(entry.function(*args, **kwargs))
        return torch.stack([values[place].to(drive).expand_as(drive[0]) for place in places])


def _plain_cast(operation: Operation) -> Operation:
    """A cast to the type of another tensor, whose numbers do not matter, as one to that type."""
    if operation.name not in ("to", "type_as") or not isinstance(operation.args[0], Symbol):
        return operation
    first = operation.args[0]
    return replace(operation, function=torch.Tensor.to, args=(first, operation.value.dtype), kwargs={}, symbols=[first])


def has_computed(tree: Any) -> bool:
    """Whether something computed is among the arguments of a call."""
    return any(isinstance(symbol, Computed) for symbol in signals_of(tree))
