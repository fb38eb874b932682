"""The frameworks whose NIR files are read, and references to such files, without torch."""

from dataclasses import dataclass
from pathlib import Path

from neuroprune.networks.reference import NetworkReference

SUFFIX = ".nir"


@dataclass(frozen=True)
class FrameworkInfo:
    """A framework. signs: what its files are recognised by; reads: how its neurons are read. Both are Markdown."""

    name: str
    title: str
    signs: str
    reads: str


FRAMEWORKS = (
    FrameworkInfo(
        "nir",
        "the equations of NIR",
        "nothing; only by `--args framework=nir`",
        "forward Euler with `dt` of 1e-4; fires where v > threshold; reset to 0",
    ),
    FrameworkInfo("neuroprune", "neuroprune", "its metadata", "as they were deployed"),
    FrameworkInfo(
        "snntorch",
        "snnTorch",
        "r = tau / 1e-4 in float32",
        'beta = 1 - 1e-4 / tau; fires where v > threshold; reset to 0, as of `reset_mechanism="zero"`: the file does '
        'not say it, and `reset=subtract` is for "subtract" with `reset_delay=False`, which recurrent neurons need in '
        "either case",
    ),
    FrameworkInfo(
        "spikingjelly",
        "SpikingJelly",
        "float64 parameters with r = 1 or tau / dt, or 1 / dt of an IF",
        "tau / `dt` steps, `dt` of 1e-4; fires where v >= threshold; starts at v_reset, and resets to it",
    ),
    FrameworkInfo(
        "norse",
        "Norse",
        "r = 1, a tau below 0.5, w_in = 1",
        "forward Euler with `dt` of 1e-3; releases that write tau * dt for tau are repaired; the input of a LIFCell "
        "enters its current unscaled; fires where v > threshold; reset to 0",
    ),
    FrameworkInfo(
        "sinabs",
        "sinabs",
        "r = 1, a tau of at least 1, or an IF whose float32 parameters are given for each neuron",
        "exp(-1 / tau), tau in steps; input times 1 - exp(-1 / tau) unless `norm_input=False`; fires once a step where "
        "v >= threshold; reset by subtraction",
    ),
    FrameworkInfo(
        "spyx",
        "Spyx",
        "nodes called `layer_0`, `layer_1`, ...",
        "1 - 1 / tau; fires where v > threshold, a step earlier at each layer than in Spyx; reset by subtraction; its "
        "LIF, which subtracts the threshold after the leak, is refused",
    ),
    FrameworkInfo(
        "rockpool",
        "Rockpool",
        "nodes called `..._LIFTorch`, `..._LinearTorch`, ...",
        "exp(-dt / tau), dt being found in r; fires once a step where v >= threshold; reset by subtraction",
    ),
)


def framework_table() -> str:
    """The table of frameworks in Markdown, as the documentation shows it."""
    rows = (f"| `{info.name}` | {info.title} | {info.signs} | {info.reads} |" for info in FRAMEWORKS)
    return "\n".join(("| `framework` | of | recognised by | neurons are read as |", "|---|---|---|---|", *rows)) + "\n"


NETWORK = "network"
"""What a reference calls the network of a NIR file, which has no name of its own."""


def nir_reference(model: str) -> str:
    """`model` written as a reference where it names a NIR file, "net.nir" or "net.nir(dt=1e-3)"; else as it is.

    >>> from neuroprune.networks.nir.catalog import nir_reference
    >>> nir_reference("net.nir(framework=norse)"), nir_reference("my_network.py:Net")
    ('net.nir:network(framework=norse)', 'my_network.py:Net')
    """
    path, bracket, arguments = model.partition("(")
    return f"{path}:{NETWORK}{bracket}{arguments}" if path.endswith(SUFFIX) else model


def path_of(reference: NetworkReference) -> Path | None:
    """The NIR file that `reference` names; None where it names code."""
    return Path(reference.source) if reference.source.endswith(SUFFIX) and reference.name == NETWORK else None
