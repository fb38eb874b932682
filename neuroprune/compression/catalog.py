"""What pruning offers by name: methods, and what a method is put together from. Without torch.

A method is a preset: an algorithm, the score that ranks, and what brings pruned structures back. The options of
`compress` change single parts of it, so that a method can be told from its parts.
"""

from dataclasses import dataclass
from typing import Literal

from neuroprune.choices import Choice, check_choice, names
from neuroprune.errors import InputError

Kind = Literal["structured", "unstructured"]
KINDS = (
    Choice("structured", "whole channels are removed"),
    Choice("unstructured", "single weights are held at zero"),
)

Score = Literal["gamma", "magnitude", "l1", "criticality", "activity", "gradient", "random"]
RankedBy = Literal[Score, "own"]
"""One of `SCORES`, or "own": what no other algorithm ranks by, or one of the user's that is told none."""

SCORES = (
    Choice("gamma", "|gamma|, the scale of a channel's BatchNorm", "Liu et al., ICCV 2017"),
    Choice("magnitude", "|w| of a weight"),
    Choice("l1", "mean |w| of the filters that make a channel", "Li et al., ICLR 2017"),
    Choice(
        "criticality", "how near the potentials of a channel's neurons come to the threshold", "Eq 6 of criticality"
    ),
    Choice("activity", "spikes and |potential| of a channel's neurons, mean", "Li et al., ICML 2024"),
    Choice("gradient", "|dL/dw| of a weight, |dL/dgamma| of a channel"),
    Choice("random", "a random number, the same for all weights of a channel"),
)

Regrowth = Literal["none", "criticality", "random", "grad", "magnitude"]
REGROWTHS = (
    Choice("none", "nothing comes back"),
    Choice("criticality", "those whose neurons are most critical", "Eq 6 of criticality"),
    Choice("random", "channels at random"),
    Choice("grad", "those of largest gradient"),
    Choice("magnitude", "the largest, as if nothing came back: a control"),
)

Aggregation = Literal["max", "mean"]
AGGREGATIONS = (
    Choice("max", "of a map, the most critical pixel"),
    Choice("mean", "of a map, the mean over its pixels"),
)

SurrogateOf = Literal["trained", "paper"]
SURROGATES = (
    Choice("trained", "the surrogate that the neurons were trained with, in units of their threshold"),
    Choice("paper", "ATan of alpha 2, whatever was trained with"),
)

Residual = Literal["gather", "coupled"]
RESIDUALS = (
    Choice("gather", "a residual stream keeps its channels, and each reader gathers those it needs"),
    Choice("coupled", "all layers of a residual stream share one mask, and the stream gets narrower"),
)

Start = Literal["trained", "initial"]
STARTS = (
    Choice("trained", "the weights of the run"),
    Choice("initial", "the weights that the run began with"),
)

Currency = Literal["flops", "params", "synops"]
CURRENCIES = (
    Choice("flops", "multiply-accumulates of convolutions and linear layers, two each"),
    Choice("params", "trained numbers"),
    Choice("synops", "synaptic operations, at the activity of the dense network"),
)

ChipLimit = Literal["cores", "kib", "step-time"]
LIMITS = (
    Choice("cores", "cores of the chip, as the mapper needs them"),
    Choice("kib", "KiB of memory that is taken on these cores"),
    Choice("step-time", "microseconds of a step by the chip's first time model, at the activity of the dense network"),
)
"""What a network may take of a chip at most."""

Algorithm = Literal[
    "one-shot", "greg1", "greg2", "sca", "gradual", "granet", "lottery", "early-bird", "grad-r", "deep-r", "own"
]
"""Each but the last is a module of `methods/`; the first four prune channels, the others weights."""

RHYTHMS: dict[Algorithm, str] = {
    "one-shot": "once",
    "greg1": "once, when the L2 has grown",
    "greg2": "once, when the L2 has grown",
    "sca": "an epoch",
    "gradual": "2000, or a 40th",
    "granet": "2000, or an 8th",
    "lottery": "a round",
    "early-bird": "once, when masks have settled",
    "grad-r": "1",
    "deep-r": "1",
}
"""What the documentation calls dT: how far prunings lie apart, in iterations where no other unit stands."""


@dataclass(frozen=True)
class Preset:
    """What a method is put together from.

    algorithm: when and how is pruned; score: what ranks; regenerate_by: what brings pruned structures back;
    regeneration: how much by default, None for r of the criticality paper; uniform: whether every layer keeps the same
    share. start: the weights that training begins with. parts: whether score, regrowth and floor may be changed one by
    one. prune_ratio: epochs of pruning for each epoch of fine-tuning, by default; 0 where pruning takes no training.
    one_schedule: whether both are one training, under one course of the learning rate. mask_momentum: whether the
    optimiser forgets what it holds for pruned weights.
    """

    algorithm: Algorithm
    score: RankedBy
    regenerate_by: Regrowth = "none"
    regeneration: float | None = None
    uniform: bool = False
    start: Start = "trained"
    parts: bool = False
    prune_ratio: float = 2 / 3
    one_schedule: bool = False
    mask_momentum: bool = False


@dataclass(frozen=True)
class MethodInfo:
    """A pruning method. title: what it is, in one line; source: where it was published; a preset for each kind."""

    name: str
    title: str
    source: str
    structured: Preset | None = None
    unstructured: Preset | None = None

    def preset(self, kind: str) -> Preset | None:
        """How it prunes channels or weights; None where it does not."""
        return self.structured if kind == "structured" else self.unstructured


CRITICALITY = "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks"
METHODS = (
    MethodInfo(
        "criticality",
        "the largest, and a share of what stays for the criticality of its neurons",
        f"{CRITICALITY}, Algorithms 1 and 2",
        Preset("one-shot", "gamma", "criticality", parts=True, prune_ratio=0.0),
        Preset("gradual", "magnitude", "criticality", start="initial", parts=True, one_schedule=True),
    ),
    MethodInfo(
        "uniform",
        "the largest of each layer, every layer the same share: a control",
        "",
        Preset("one-shot", "gamma", uniform=True, parts=True, prune_ratio=0.0),
        Preset("gradual", "magnitude", uniform=True, start="initial", parts=True, one_schedule=True),
    ),
    MethodInfo(
        "slimming",
        "the largest of all layers",
        "Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV 2017",
        structured=Preset("one-shot", "gamma", parts=True, prune_ratio=0.0),
    ),
    MethodInfo(
        "greg1",
        "L2 that grows on the filters of least L1 norm until they can go",
        "Wang et al., Neural Pruning via Growing Regularization, ICLR 2021",
        structured=Preset("greg1", "l1", uniform=True, prune_ratio=1.0),
    ),
    MethodInfo(
        "greg2",
        "L2 that grows on all filters, which tells them apart, then as greg1",
        "Wang et al., Neural Pruning via Growing Regularization, ICLR 2021",
        structured=Preset("greg2", "l1", uniform=True, prune_ratio=1.0),
    ),
    MethodInfo(
        "sca",
        "the most active channels, chosen anew each epoch; some return for their gradient",
        "Li et al., Towards Efficient Deep Spiking Neural Networks Construction with Spiking Activity based Pruning, "
        "ICML 2024",
        structured=Preset("sca", "activity", "grad", 0.1, prune_ratio=1.0),
    ),
    MethodInfo(
        "gmp",
        "the largest, at a sparsity that grows while training",
        "Zhu and Gupta, To prune, or not to prune, 2017",
        unstructured=Preset("gradual", "magnitude", start="initial", parts=True, one_schedule=True),
    ),
    MethodInfo(
        "grad",
        "as gmp, and a share of what stays for its gradient",
        f"{CRITICALITY}, a comparator",
        unstructured=Preset("gradual", "magnitude", "grad", start="initial", parts=True, one_schedule=True),
    ),
    MethodInfo(
        "random",
        "as gmp, and a share of what stays at random",
        f"{CRITICALITY}, a comparator",
        unstructured=Preset("gradual", "magnitude", "random", start="initial", parts=True, one_schedule=True),
    ),
    MethodInfo(
        "granet",
        "as gmp, and in each layer the smallest are exchanged for those of largest gradient",
        "Liu et al., Sparse Training via Boosting Pruning Plasticity with Neuroregeneration, NeurIPS 2021",
        unstructured=Preset("granet", "magnitude", "grad", 0.5, start="initial", one_schedule=True, mask_momentum=True),
    ),
    MethodInfo(
        "lth",
        "rounds of training, each without a quarter of the weights, from the same early weights",
        "Kim et al., Exploring Lottery Ticket Hypothesis in Spiking Neural Networks, ECCV 2022",
        unstructured=Preset("lottery", "magnitude", start="initial", prune_ratio=1.0),
    ),
    MethodInfo(
        "early-bird",
        "the largest, once the choice no longer changes from epoch to epoch",
        "You et al., Drawing Early-Bird Tickets, ICLR 2020; for spikes Kim et al., ECCV 2022",
        unstructured=Preset("early-bird", "magnitude", start="initial", one_schedule=True),
    ),
    MethodInfo(
        "grad-r",
        "the gradient rewires: a connection lives while its parameter is above 0",
        "Chen et al., Pruning of Deep Spiking Neural Networks through Gradient Rewiring, IJCAI 2021",
        unstructured=Preset("grad-r", "own", start="initial", one_schedule=True),
    ),
    MethodInfo(
        "deep-r",
        "connections walk at random, and for each that dies another is born",
        "Bellec et al., Deep Rewiring, ICLR 2018",
        unstructured=Preset("deep-r", "own", start="initial", one_schedule=True),
    ),
)

OWN = MethodInfo(
    "own",
    "an algorithm of one's own, which is passed to `compress`",
    "",
    Preset("own", "own", parts=True, prune_ratio=0.0),
    Preset("own", "own", parts=True, one_schedule=True),
)
"""Not among `METHODS`, since an algorithm cannot be named by a string. Channels are chosen in a training where it is
told how many epochs that has."""


def find_method(name: str, kind: str) -> tuple[MethodInfo, Preset]:
    """The method called `name`, or `OWN`, and how it prunes.

    Raises InputError where there is none, or none of that kind.
    """
    if name != OWN.name:
        check_choice("pruning method", name, METHODS)
    method = next(each for each in (*METHODS, OWN) if each.name == name)
    preset = method.preset(kind)
    if preset is None:
        others = ", ".join(names(methods_of(kind)))
        what, not_what, target = (
            ("single weights", "channels", "a sparsity")
            if kind == "structured"
            else ("channels", "single weights", "a share that remains, such as flops")
        )
        raise InputError(f"method {name} prunes {what}, not {not_what}: choose one of {others}, or give {target}")
    return method, preset


def methods_of(kind: str) -> tuple[MethodInfo, ...]:
    """The methods that prune channels, or weights."""
    return tuple(method for method in METHODS if method.preset(kind) is not None)
