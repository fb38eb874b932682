"""What a network costs with fewer channels, in several currencies at once, predicted for any choice of what is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch import nn

from neuroprune.arrays import FloatArray
from neuroprune.compression.catalog import Currency
from neuroprune.compression.channels import ChannelGroup, is_dense
from neuroprune.compression.cost import synapse_work
from neuroprune.compression.select import Mask
from neuroprune.graph.nodes import Graph


@dataclass(frozen=True, eq=False)
class Term:
    """A part of a cost that is proportional to the channels kept at the input and at the output of a layer.

    each: what every kept input channel costs for each kept output channel, float64 [channels of the group `reads`], or
    [1] where no group is read. reads, feeds: numbers of groups; where `feeds` is None, `each` is for all outputs.
    """

    each: FloatArray
    reads: int | None
    feeds: int | None


@dataclass(frozen=True, eq=False)
class CostModel:
    """The costs of a network as sums of `terms`, by currency, over the channels of `groups`."""

    groups: tuple[ChannelGroup, ...]
    terms: Mapping[Currency, tuple[Term, ...]]

    @property
    def layer(self) -> np.ndarray:
        """The number of its group for each channel, intp [channels of all groups]."""
        return np.repeat(np.arange(len(self.groups)), [group.channels for group in self.groups])

    def shares(self, masks: Mask) -> dict[Currency, FloatArray]:
        """The share of each currency that remains, for each of several selections, float64 [selections].

        masks: bool [selections, channels of all groups], True for those that are kept.
        """
        whole = np.ones((1, masks.shape[1]), dtype=np.bool_)
        return {
            currency: self._total(terms, masks) / (float(self._total(terms, whole)[0]) or 1.0)
            for currency, terms in self.terms.items()
        }

    def _total(self, terms: tuple[Term, ...], masks: Mask) -> FloatArray:
        """Costs of each selection; exact where they are integers, as products of channels are below 2**53."""
        kept = masks.astype(np.float64)
        ends = np.cumsum([0, *(group.channels for group in self.groups)])
        parts = [kept[:, start:end] for start, end in pairwise(ends)]
        counts = [part.sum(1) for part in parts]
        total = np.zeros(len(masks))
        for term in terms:
            inputs = float(term.each.sum()) if term.reads is None else parts[term.reads] @ term.each
            total += inputs if term.feeds is None else inputs * counts[term.feeds]
        return total


def cost_model(
    module: nn.Module,
    graph: Graph,
    groups: tuple[ChannelGroup, ...],
    synops: Mapping[str, FloatArray] | None = None,
) -> CostModel:
    """The costs of `module`, from which `graph` and `groups` were read.

    synops: synaptic operations from each input channel of each layer, as `SynopsCounter.by_input` measured them; the
    model then has that currency too, as an estimate: it takes kept neurons to fire as often as before.
    """
    layers = _Layers(groups)
    terms: dict[Currency, tuple[Term, ...]] = {
        "flops": tuple(layers.term(work.name, work.macs, is_dense(graph[work.name])) for work in synapse_work(graph)),
        "params": _parameters(module, graph, layers),
    }
    if synops is not None:
        terms["synops"] = tuple(layers.measured(path, each, is_dense(graph[path])) for path, each in synops.items())
    return CostModel(groups, terms)


class _Layers:
    """The groups that each layer reads and feeds, by its path."""

    def __init__(self, groups: tuple[ChannelGroup, ...]) -> None:
        self._groups = groups
        self.reads = {path: number for number, group in enumerate(groups) for path in group.consumers}
        self.feeds = {path: number for number, group in enumerate(groups) for path in (*group.producers, *group.norms)}

    def term(self, path: str, cost: int, dense: bool) -> Term:
        """The `cost` of a layer, the same for each output, and for each input too where it is `dense`."""
        reads, feeds = self.reads.get(path) if dense else None, self.feeds.get(path)
        inputs, outputs = self._channels(reads), self._channels(feeds)
        return Term(np.full(inputs, cost / (inputs * outputs)), reads, feeds)

    def measured(self, path: str, by_input: FloatArray, dense: bool) -> Term:
        """The cost of a layer, of which each of its input channels or features causes `by_input` at all outputs."""
        reads, feeds = (self.reads.get(path), self.feeds.get(path)) if dense else (self.feeds.get(path), None)
        return Term(by_input.reshape(self._channels(reads), -1).sum(1) / self._channels(feeds), reads, feeds)

    def _channels(self, number: int | None) -> int:
        return 1 if number is None else self._groups[number].channels


def _parameters(module: nn.Module, graph: Graph, layers: _Layers) -> tuple[Term, ...]:
    """Terms for all parameters of the layers of groups, and one for everything else."""
    terms = []
    rest = sum(parameter.numel() for parameter in module.parameters())
    for path in dict.fromkeys((*layers.feeds, *layers.reads)):
        for name, parameter in module.get_submodule(path).named_parameters(recurse=False):
            terms.append(layers.term(path, parameter.numel(), name == "weight" and is_dense(graph[path])))
            rest -= parameter.numel()
    return (*terms, Term(np.array([float(rest)]), None, None))
