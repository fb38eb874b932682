"""The number of bits of each layer's weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from neuroprune.errors import InputError
from neuroprune.fixed_point import IntegerRules
from neuroprune.graph.float_program import FloatProgram

FEWEST = 2
"""Fewest bits of a weight: with one, a mixed-sign weight would have no positive value."""

EXAMPLE = "write for example conv1=8,default=4"


@dataclass(frozen=True)
class Bits:
    """default: bits of a weight in layers that are not named, None for the widest that the chip has.

    layers: those of single layers, named by their neurons or by the module that holds their weights; `conv1` will do
    for `stem.conv1` where no other name ends so.
    """

    default: int | None = None
    layers: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


def parse_bits(text: str) -> Bits:
    """The bits that a text gives: `conv1=8,default=4`, or `4` for all layers. Raises InputError.

    >>> from neuroprune import parse_bits
    >>> bits = parse_bits("conv1=8,default=4")
    >>> bits.default, dict(bits.layers)
    (4, {'conv1': 8})
    """
    widths: dict[str, int] = {}
    for entry in text.split(","):
        name, separator, width = (part.strip() for part in entry.rpartition("="))
        name = name if separator else "default"
        if not name or not width.isascii() or not width.isdecimal():
            raise InputError(f"the bits {entry.strip()!r} are not a layer and a number: {EXAMPLE}")
        if name in widths:
            raise InputError(f"the bits of {name!r} are given twice: name each layer once")
        widths[name] = int(width)
    default = widths.pop("default", None)
    return Bits(default, MappingProxyType(widths))


def bits_of_layers(bits: Bits, program: FloatProgram, rules: IntegerRules) -> dict[str, int]:
    """The width of each layer of a float program, by the name of the neurons.

    Raises InputError for names that the program does not have or has more than once, widths that the target does not
    have, and names of the same layer that contradict each other.
    """
    requested = {"default": bits.default or rules.weight_bits, **bits.layers}
    offered = [width for width in rules.weight_bits_offered if FEWEST <= width <= rules.weight_bits]
    for name, width in requested.items():
        if width not in offered:
            raise InputError(
                f"{name}={width} is not a width that {rules.chip} stores weights in: choose one of "
                f"{', '.join(map(str, offered))} bits"
            )
    neuron_of = {
        name: layer.name
        for layer in program.layers
        for name in (*(each.name for each in layer.connections), layer.name)
    }
    matches = {name: _matching(name, list(neuron_of)) for name in bits.layers}
    unknown = sorted(name for name, matching in matches.items() if not matching)
    if unknown:
        known = ", ".join(dict.fromkeys(map(_module, neuron_of)))
        raise InputError(f"bits are given for {', '.join(unknown)}, but the layers are {known}: name one of these")
    named: dict[str, tuple[str, int]] = {}
    for name, matching in matches.items():
        for neuron in {neuron_of[each] for each in matching}:
            other, width = named.setdefault(neuron, (name, bits.layers[name]))
            if width != bits.layers[name]:
                raise InputError(
                    f"{other}={width} and {name}={bits.layers[name]} name weights of the same neurons, {neuron}: give "
                    "them one width"
                )
    return {neuron: named.get(neuron, ("", requested["default"]))[1] for neuron in neuron_of.values()}


def _matching(name: str, known: Sequence[str]) -> list[str]:
    """The synapses or neurons of that name; else all of the module of that name, or of the one whose name ends so."""
    if name in known:
        return [name]
    modules = dict.fromkeys(map(_module, known))
    ending = [name] if name in modules else [each for each in modules if each.endswith(f".{name}")]
    if len(ending) > 1:
        raise InputError(f"bits are given for {name}, which may be {' or '.join(ending)}: name one of these")
    return [each for each in known if _module(each) in ending]


def _module(name: str) -> str:
    """Folding makes several synapses of a module that reads a sum, or that several layers read: `conv@source`."""
    return name.partition("@")[0]
