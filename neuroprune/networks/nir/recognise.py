"""Which framework wrote a file: NIR has no field for it, but each leaves signs in the parameters of its neurons."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from neuroprune.errors import InputError
from neuroprune.networks.nir.catalog import FRAMEWORKS
from neuroprune.networks.nir.dynamics import EULER_DT, NEURONS, Values, euler, parameters
from neuroprune.networks.nir.file import NirFile, NirNode

LARGEST_NORSE_TAU = 0.5
"""Seconds; a choice: longer time constants are those of sinabs, which counts in steps."""


def recognise(file: NirFile, path: Path) -> str:
    """The name of the framework whose signs all neurons bear. Raises InputError where none is, or more than one."""
    if file.metadata.get("framework") == "neuroprune":
        return "neuroprune"
    neurons = [node for node in file.nodes.values() if node.kind in NEURONS]
    found = [name for name, bears in _SIGNS.items() if bears(neurons, tuple(file.nodes))]
    if len(found) == 1 and neurons:
        return found[0]
    known = ", ".join(info.name for info in FRAMEWORKS)
    may_be = f"both {' and '.join(found)} write such" if found else "none is known to write such"
    raise InputError(
        f"{path} does not say which framework wrote it, and {may_be} neurons: name one of {known} "
        f"(--args framework={(found or ['nir'])[0]})"
    )


def _is_snntorch(neurons: Sequence[NirNode], names: Sequence[str]) -> bool:
    def fits(node: NirNode) -> bool:
        is_recurrent = f"{node.name.removesuffix('.lif')}.w_rec" in names  # whose values are of double precision
        single = node.arrays["r"].dtype == np.float32
        return node.kind in ("LIF", "CubaLIF") and (single or is_recurrent) and _gains_nothing(node, EULER_DT)

    return all(map(fits, neurons))


def _is_spikingjelly(neurons: Sequence[NirNode], names: Sequence[str]) -> bool:
    def fits(node: NirNode) -> bool:
        values = parameters(node)
        is_double = all(array.dtype == np.float64 for array in node.arrays.values())
        rests = "v_reset" in node.arrays and (node.kind != "LIF" or np.array_equal(values["v_leak"], values["v_reset"]))
        scaled = node.kind == "LIF" and _is_one(values["r"])
        return is_double and rests and (scaled or _gains_nothing(node, EULER_DT))

    is_snntorch = any(name.endswith(".w_rec") for name in names)
    return not is_snntorch and all(node.kind in ("IF", "LIF", "CubaLIF") and fits(node) for node in neurons)


def _is_norse(neurons: Sequence[NirNode], names: Sequence[str]) -> bool:
    def fits(node: NirNode) -> bool:
        values = parameters(node)
        taus = [values[name] for name in ("tau", "tau_mem", "tau_syn") if name in values]
        short = all(np.all(tau < LARGEST_NORSE_TAU) for tau in taus)
        return _is_one(values["r"]) and _is_one(values["w_in"]) and short and (bool(taus) or values["r"].size == 1)

    return not _is_named_as_spyx(names) and _is_single_precision(neurons) and all(map(fits, neurons))


def _is_sinabs(neurons: Sequence[NirNode], names: Sequence[str]) -> bool:
    def fits(node: NirNode) -> bool:
        values = parameters(node)
        if node.kind == "IF":
            return _is_one(values["r"]) and values["r"].size > 1
        return node.kind in ("LIF", "LI") and _is_one(values["r"]) and bool(np.all(values["tau"] >= 1.0))

    return not _is_named_as_spyx(names) and _is_single_precision(neurons) and all(map(fits, neurons))


def _is_spyx(neurons: Sequence[NirNode], names: Sequence[str]) -> bool:
    return _is_named_as_spyx(names)


def _is_rockpool(neurons: Sequence[NirNode], names: Sequence[str]) -> bool:
    return any(re.fullmatch(r"(\d+_)?(Linear|LIF|LIFNeuron|ExpSyn)Torch.*", name) for name in names)


_SIGNS: dict[str, Callable[[Sequence[NirNode], Sequence[str]], bool]] = {
    "snntorch": _is_snntorch,
    "spikingjelly": _is_spikingjelly,
    "norse": _is_norse,
    "sinabs": _is_sinabs,
    "spyx": _is_spyx,
    "rockpool": _is_rockpool,
}


def _gains_nothing(node: NirNode, dt: float) -> bool:
    """Whether its input enters unscaled in forward Euler of steps of `dt`."""
    return _is_one(euler(node, dt).gain)


def _is_one(values: Values) -> bool:
    return bool(np.allclose(values, 1.0, rtol=0.0, atol=1e-4))


def _is_single_precision(neurons: Sequence[NirNode]) -> bool:
    return all(node.arrays["r"].dtype == np.float32 for node in neurons)


def _is_named_as_spyx(names: Sequence[str]) -> bool:
    return any(re.fullmatch(r"layer_\d+(_threshold)?", name) for name in names)
