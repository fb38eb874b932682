"""Layers of neurons as they are recorded: which calls of a module are theirs, and what the neurons are by now.

Training changes neurons: the time constant of a ParametricLIF, and whatever a class of the user's learns. So those of
the known classes are read from the module anew, and those that were found by what they do are found anew when a
parameter or buffer of theirs has changed.
"""

import copy
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.nodes import Graph
from neuroprune.graph.read import Readers
from neuroprune.graph.written_neurons import Taken, fired_from_rest, written_neurons
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.model import FloatNeuron


class NeuronLayer:
    """The layer of neurons `name` of the traced `graph` in `root`, from which it was traced.

    module: what computes it, perhaps other layers too. seen: where in its calls. is_known: whether it is of a class
    that `readers` know. shape: of a sample and step.
    """

    def __init__(self, root: nn.Module, graph: Graph, name: str, readers: Readers) -> None:
        node = graph[name]
        assert isinstance(node.op, FloatNeuron) and node.seen is not None, f"{name} is no layer of neurons"
        self.name, self.seen, self.shape = name, node.seen, node.shape
        self.module = root.get_submodule(node.seen.path)
        self.is_known = readers.know(self.module)
        self._root, self._readers, self._steps = root, readers, graph.steps
        self._found = None if self.is_known or self._learned() else node.op
        self._found_with: list[torch.Tensor] = []

    def by_steps(self, tensor: torch.Tensor) -> torch.Tensor:
        """What the module takes or gives in a call as [steps, N, *shape]; steps is 1 where it makes one a call."""
        layout = self.seen.layout
        return layout.steps_first(tensor, tensor.shape[layout.batch] // (self._steps if layout.merged else 1))

    def neurons(self) -> FloatNeuron:
        """The neurons as they are now. Raises UnsupportedNetwork where they are none of the chip's any more.

        Those of a class that no reader knows have thresholds of 1, whatever the module's own unit of the potential is:
        it is not seen in spikes.
        """
        if self.is_known:
            with torch.no_grad():
                found, problem = self._readers.read(self.name, self.module, ())
            if problem is not None:
                raise UnsupportedNetwork([problem])
            assert isinstance(found, FloatNeuron)
            return found
        learned = self._learned()
        if self._found is None or not _all_equal(learned, self._found_with):
            self._found, self._found_with = self._find(), [each.clone() for each in learned]
        assert isinstance(self._found, CubaLif)
        return replace(self._found, threshold=1.0, gain=1.0 / self._found.threshold)

    def response(self) -> "Response":
        """How the neurons, of a class that no reader knows, respond to inputs as they are now."""
        return Response(_copy(self.module).eval(), self._taken(), self.neurons())

    def _taken(self) -> Taken:
        like = next(self._root.parameters(), torch.zeros(())).detach()
        return Taken(like, self.seen.layout, self.shape, self._steps if self.seen.layout.has_steps else 1)

    def _learned(self) -> list[torch.Tensor]:
        return [each.detach() for each in (*self.module.parameters(), *self.module.buffers())]

    def _find(self) -> CubaLif:
        with torch.no_grad():
            found = written_neurons(_copy(self.module), self._taken()).found
        if not isinstance(found, CubaLif):
            reason = found if isinstance(found, str) else "it gives something else than spikes"
            raise UnsupportedNetwork(
                [
                    f"layer {self.name}: with what it has learned, {type(self.module).__name__} is no neuron of the "
                    f"chip any more, since {reason}; hold what it learns within what the chip has"
                ]
            )
        return found


class Response:
    """What neurons at rest give in their first step, with a gradient of their own."""

    def __init__(self, module: nn.Module, taken: Taken, neurons: FloatNeuron) -> None:
        self._module, self._taken, self._neurons = module, taken, neurons

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """The output [N, *shape] for inputs that bring the potential to 1 + u thresholds."""
        drive = (
            (1.0 + u) * torch.tensor(self._neurons.threshold / self._neurons.gain, dtype=u.dtype, device=u.device)
        ).to(self._taken.like)
        rest = drive.new_zeros(self._taken.steps - 1, *drive.shape)
        return fired_from_rest(self._module, self._taken, torch.cat([drive[None], rest]))[0].to(u)

    def at_threshold(self) -> torch.Tensor:
        """u of one sample at the threshold."""
        return self._taken.like.new_zeros(1, *self._taken.sample)


def _all_equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def _copy(module: nn.Module) -> nn.Module:
    """A copy without hooks, as recorders have them, and without the graphs of states, which cannot be copied."""
    memo: dict[int, object] = {id(module._forward_hooks): OrderedDict()}

    def detach(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and not leaf.is_leaf:
            memo[id(leaf)] = leaf.detach().clone()
        return leaf

    for each in module.modules():
        fx.node.map_aggregate(tuple(vars(each).values()), detach)
    return copy.deepcopy(module, memo)
