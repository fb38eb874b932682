"""What `check` finds, as plain data: the schema of `neuroprune check --json`. Units are as in a report."""

from typing import Literal

from neuroprune.mapping.effort import EffortName
from neuroprune.records import Record
from neuroprune.report.bound_schema import Advice
from neuroprune.report.chip_schema import ChipLimits, Count, ResourceAmount, ResourceUse


class CheckedPart(Record):
    """A layer or an operation of the network's code.

    kind: "convolution", "batch norm" and so on. becomes: what the chip has in its place. readers: the layers of neurons
    whose synapses it is part of; of neurons, themselves.
    """

    name: str
    kind: str
    becomes: str
    readers: tuple[str, ...]


ChipLayerKind = Literal["neurons", "maximum pool", "product of spikes", "coincidence", "relay"]


class CheckedLayer(Record):
    """A layer of neurons on the chip, and the synapses that feed it.

    kind: "neurons" of the network; "maximum pool", neurons that fire if any of their sources does; "product of spikes",
    where both of two do; "coincidence", where so many as its name says of the spikes do that a maximum pool takes the
    sum of; "relay", neurons that pass spikes on a step later, so that paths of different length meet.
    sources: what the synapses read. weights: those that are stored, each of a kernel counted once. cores: that hold
    some of it; resources: what its tiles take of them; fullest: the resource of which one of them takes the largest
    share of a core. Without a mapping these are 0, empty and None.
    """

    name: str
    kind: ChipLayerKind
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    neurons: Count
    synapses: Count
    weights: Count
    weight_bits: Count
    cores: Count = 0
    resources: tuple[ResourceAmount, ...] = ()
    fullest: ResourceUse | None = None

    @property
    def weight_memory_bits(self) -> int:
        """Of the weights alone, without what a chip stores beside them."""
        return self.weights * self.weight_bits


class LayerKind(Record):
    """The layers of one class in the network's code. maps: whether layers of this class have a counterpart on chips."""

    name: str
    count: Count
    maps: bool


class Binding(Record):
    """A resource, and the number of cores on which no other is as full: what decides how many cores there are."""

    name: str
    cores: Count


class Check(Record):
    """What a network becomes on a chip, or why it does not.

    network: its name. takes: how samples are presented to it, in words, where that is known. shape: of a sample:
    (channels, height, width), after T in sequences. steps: T; None where the network cannot be followed.
    problems: a sentence for each part that cannot be mapped. kinds: classes of its layers. parts: its layers and
    operations; layers: those of neurons on the chip, in order. Both are empty where there are problems before them.
    cores, chips, resources: what all layers take together, of what these cores have; 0 and empty without a mapping.
    parameters: numbers that the network's code has, None where there is a finished program alone; weights: those that
    the synapses of all layers store, pools folded in.
    binds: the resources that are the fullest of a core, that of the most cores first.
    cannot_hold: why the chip cannot hold it.
    advice: changes that save cores, or let it fit, each as the mapper found it, best first; none where none helps.
    provisional: whether the scales of the integers were set without data, on random frames. Weights that round to zero
    depend on scales, and cores hardly.
    """

    schema_version: Literal[1] = 1
    network: str
    takes: str | None
    target: ChipLimits
    shape: tuple[int, ...]
    steps: Count | None = None
    problems: tuple[str, ...] = ()
    kinds: tuple[LayerKind, ...] = ()
    parts: tuple[CheckedPart, ...] = ()
    layers: tuple[CheckedLayer, ...] = ()
    parameters: Count | None = None
    neurons: Count = 0
    synapses: Count = 0
    weights: Count = 0
    cores: Count = 0
    chips: Count = 0
    effort: EffortName = "layers"
    resources: tuple[ResourceUse, ...] = ()
    binds: tuple[Binding, ...] = ()
    cannot_hold: str | None = None
    advice: tuple[Advice, ...] = ()
    provisional: bool = True

    @property
    def fits(self) -> bool:
        """Whether all of it maps, and the chip holds it."""
        return not self.problems and self.cannot_hold is None
