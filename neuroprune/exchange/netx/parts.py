"""The layers of a netx file by their kind, and which of their properties the chip does not have."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from neuroprune.exchange.netx.fields import Fields

KINDS = ("input", "flatten", "dense", "dense_rec", "conv", "pool")
REMEDIES = {
    "convT": "use a convolution in its place",
    "unpool": "use a convolution in its place",
    "average": "leave it out, and average the spikes of each class where they are read",
    "concat": "a netx file is read as a chain, so deploy the network itself in place of its file",
    "dense_comp": "complex synapses have no place on the chip, so use a dense block",
}
READ_FIELDS = {
    *("type", "shape", "weight", "weight_rec", "bias", "delay", "neuron", "stride", "padding", "dilation", "groups"),
    *("inChannels", "outChannels", "kernelSize", "inFeatures", "outFeatures"),
}
"""Fields that are understood; those of the second line only repeat the shape of the weights."""


@dataclass
class Notes:
    """What reading finds: with problems the network is refused, remarks are returned with it."""

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Part:
    """A layer of the file, by its number there."""

    number: int
    kind: str
    fields: Fields

    @property
    def place(self) -> str:
        return f"layer {self.number} ({self.kind})"

    @property
    def is_driven(self) -> bool:
        """Whether it is of input neurons."""
        return self.kind == "input" and self.fields.has("neuron")

    @property
    def is_dense(self) -> bool:
        """Whether it reads features."""
        return self.kind in ("dense", "dense_rec")

    @property
    def computes(self) -> bool:
        return self.is_driven or self.kind not in ("input", "flatten")

    def neuron(self) -> Fields | None:
        """None for a layer without neurons; lava-dl gives integrators to a dense one. Raises InputError."""
        if not self.fields.has("neuron"):
            return None
        return self.fields.group("neuron", f"the neuron of {self.place}")


def read_parts(file: Fields) -> tuple[Part, ...]:
    """Layers are groups named by their number. Raises InputError where one is missing or has no kind."""
    layers = file.group("layer", "the group of layers")
    count = layers.count()
    if not 1 <= count <= MOST_LAYERS:
        raise layers.error(f"holds {count} layers, and 1 to {MOST_LAYERS} are read: write one network to a file")
    numbered = [layers.group(str(number), f"layer {number}") for number in range(count)]
    return tuple(
        Part(number, kind, fields.named(f"layer {number} ({kind})"))
        for number, fields in enumerate(numbered)
        for kind in [fields.text("type")]
    )


def note_unsupported(parts: Sequence[Part], notes: Notes) -> None:
    """Note the problems that show before any weight is read. Raises InputError for damaged fields."""
    last = max((part.number for part in parts if part.computes), default=0)
    for part in parts:
        if part.kind in REMEDIES:
            notes.problems.append(f"{part.place} has no counterpart in what is read: {REMEDIES[part.kind]}")
        elif part.kind not in KINDS:
            notes.problems.append(
                f"{part.place} is of an unknown kind, which lava-dl would skip silently: the kinds that are read "
                f"are {', '.join(KINDS)}"
            )
        elif part.computes and not part.fields.has("neuron") and (part.kind != "dense" or part.number < last):
            notes.problems.append(
                f"{part.place} has no neurons, which only a dense layer at the end may lack: use a block with neurons, "
                "or multiply its weights into those of the next layer"
            )
        elif part.computes:
            _note_unsupported_layer(part, notes)


def _note_unsupported_layer(part: Part, notes: Notes) -> None:
    if part.fields.has_group("weight"):
        notes.problems.append(f"{part.place} has complex weights: use a block of CUBA neurons")
    unread = sorted(set(part.fields.names()) - READ_FIELDS)
    if unread:
        notes.remarks.append(
            f"{part.place} has fields that are not read: {', '.join(repr(name[:40]) for name in unread[:5])}"
        )
    neuron = part.neuron()
    if neuron is None:
        return
    kind = neuron.text("type")
    if kind not in ("CUBA", "LOIHI"):
        notes.problems.append(f"{part.place} has {kind} neurons: train it with CUBA neurons")
        return
    for name, needed, meaning in (
        ("refDelay", 1, "a refractory delay of {}, which lava-dl's loader ignores"),
        ("gradedSpike", 0, "graded output spikes, which lava-dl's loader ignores"),
        ("messageBits", 0, "output spikes of {} message bits, which these neurons do not send"),
        ("weight_exp", 0, "a weight exponent of {} from its normalisation, which lava-dl's loader ignores"),
        ("wgtExp", 0, "a weight exponent of {}, which lava-dl's loader ignores"),
    ):
        if neuron.has(name) and (value := neuron.integer(name)) != needed:
            notes.problems.append(f"{part.place} has {meaning.format(value)}: train it so that {name} is {needed}")
    for name in ("iDecay", "vDecay", "vThMant"):
        if len(np.unique(neuron.integers(name))) > 1:
            notes.problems.append(
                f"{part.place} has different values of {name} among its neurons, and a layer has one for all: train it "
                "with shared_param"
            )


MOST_LAYERS = 1000
"""A choice: deeper than any published spiking network, and read within seconds."""
