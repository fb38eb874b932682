"""Which resource keeps a layer or a core from being smaller."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from neuroprune.report.chip_schema import ChipLimits, CoreReport, ResourceUse
from neuroprune.report.layer_schema import LayerReport


class Binding(NamedTuple):
    """The resource that binds. share: used of it, of what the cores concerned have."""

    name: str
    share: float


def cores_worth(layer: LayerReport, target: ChipLimits) -> tuple[float, ...]:
    """How many whole cores' worth of each resource a layer takes, in the order of `target`; empty where not known."""
    return tuple(used.used / each.limit for used, each in zip(layer.resources, target.resources, strict=False))


def layer_binding(layer: LayerReport, target: ChipLimits) -> Binding | None:
    """The resource that the layer takes the largest share of, on the cores that hold it; None where not known."""
    worth = cores_worth(layer, target)
    if not worth or not layer.cores:
        return None
    most = max(range(len(worth)), key=worth.__getitem__)
    return Binding(target.resources[most].name, worth[most] / layer.cores)


def core_binding(core: CoreReport) -> ResourceUse | None:
    """The resource that comes closest to its limit on a core; None on a chip without resources."""
    return max(core.resources, key=lambda use: use.percent, default=None)


def cores_bound_by(cores: Sequence[CoreReport]) -> tuple[tuple[str, int], ...]:
    """For each resource that comes closest to its limit on any core, on how many; the most frequent first."""
    binding = Counter(use.name for use in map(core_binding, cores) if use is not None)
    return tuple(sorted(binding.items(), key=lambda each: (-each[1], each[0])))


def worst_first(cores: Sequence[CoreReport]) -> list[CoreReport]:
    """By SynOps a step, which decide how long a step takes; then by their place in the pipeline."""
    return sorted(cores, key=lambda core: (-core.synops_per_step, core.index))
