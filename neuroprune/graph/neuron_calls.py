"""Layers of neurons as the running code calls them: what they are, and which step each call is for."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from torch import nn

from neuroprune.graph.layout import FRAMES, SEQUENCE, Layout
from neuroprune.graph.nodes import Seen
from neuroprune.graph.operation import is_whole
from neuroprune.graph.read import Readers, Reading
from neuroprune.graph.signals import Signal, Symbol
from neuroprune.graph.written_neurons import Taken, WrittenNeurons, may_be_neurons, written_neurons
from neuroprune.neurons.cuba_lif.identify import NotNeurons
from neuroprune.neurons.model import FloatNeuron


@dataclass(frozen=True)
class Turn:
    """A call. steps: how many are known of after it. at: the one it is for, None where it makes all of them."""

    steps: int
    at: int | None


class NeuronCalls:
    """The calls of layers with state so far, and what neurons that someone wrote were found to do."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._calls: dict[str, int] = {}
        self._reads: dict[str, str] = {}
        self._refused: set[str] = set()
        self._written: dict[Hashable, WrittenNeurons] = {}

    def are(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> bool:
        """Whether the module at `path`, which no reader knows, does as neurons do with what it is called with."""
        alone = len(args) == 1 and not kwargs and isinstance(args[0], Signal)
        return alone and not isinstance(self._found(path, module, args[0]).found, NotNeurons)

    def read(self, path: str, module: nn.Module, signal: Symbol) -> Reading:
        """The operation of a layer, or why it has none. Raises InputError for weights that are not finite."""
        if not self._readers.know(module) and isinstance(signal, Signal):
            found = self._found(path, module, signal).found
            if isinstance(found, FloatNeuron):
                return found, None
            if isinstance(found, str):
                return None, (
                    f"layer {path}: {type(module).__name__} is no neuron of the chip, since {found}; use LIFNode, "
                    "IFNode or ParametricLIFNode"
                )
        return self._readers.read(path, module, signal.recorder.nodes[signal.node].shape)

    def seen(self, path: str, layout: Layout) -> Seen:
        """Where the next call is seen in a run of the module."""
        return Seen(path, layout, self._calls.get(path, 0) if layout.has_steps else 0)

    def advance(self, path: str, module: nn.Module, signal: Signal) -> Turn | str:
        """Note a call; or the problem with it."""
        first = self._reads.setdefault(path, signal.node)
        call = self._calls.get(path, 0)
        self._calls[path] = call + 1
        is_written, has_steps = not self._readers.know(module), signal.layout.has_steps
        if is_written and has_steps and not self._found(path, module, signal).keeps_state:
            return Turn(signal.steps, None)
        if path in self._refused:  # once is enough
            return Turn(call + 1, None)
        if first != signal.node:
            self._refused.add(path)
            return (
                f"layer {path}: it is used on the output of {first} and again on that of {signal.node}, while neurons "
                "of the chip have a state of their own and the same synapses at every step; give each use a layer of "
                "its own, or all steps one layer before it (one BatchNorm)"
            )
        if getattr(module, "step_mode", "s") == "m" or (is_written and has_steps):
            if not is_written and signal.layout != SEQUENCE:
                return f"layer {path}: it is in step mode 'm' but reads no [T, N, ...]; set its step mode to 's'"
            if call:
                return f"layer {path}: it goes over the steps twice; call it once"
            return Turn(signal.steps, None)
        if signal.layout != FRAMES:
            return f"layer {path}: it is in step mode 's' but reads all steps at once; set its step mode to 'm'"
        if signal.at is not None and signal.at != call:
            return f"layer {path}: its call {call + 1} is for step {signal.at + 1}; call it once a step, in their order"
        return Turn(call + 1, call)

    def _found(self, path: str, module: nn.Module, signal: Signal) -> WrittenNeurons:
        """What the module at `path` was found to do with tensors like that of `signal`."""
        key = (path, signal.layout, signal.sample, signal.steps)
        if key not in self._written:
            nothing = WrittenNeurons(NotNeurons(), keeps_state=True)
            tried = is_whole(signal) and may_be_neurons(module, self._readers.know)
            taken = Taken(signal.value, signal.layout, signal.sample, signal.steps)
            self._written[key] = written_neurons(module, taken) if tried else nothing
        return self._written[key]
