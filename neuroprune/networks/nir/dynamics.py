"""From the parameters of a node of neurons to their dynamics in steps, as the framework computes them that wrote it.

NIR states time constants of differential equations, and each framework has its own way from these to steps, and back:
what it writes is not what the equations say. The sources are its export and the step of its neurons:
snnTorch 1.0 (export_nir.py, _neurons/leaky.py, synaptic.py), SpikingJelly 2.0 (nir_exchange), Norse 1.1
(utils/export_nir.py, functional/lif_box.py, lif.py, iaf.py), sinabs 3.1 (nir.py, layers/functional/lif.py), Spyx 1.0
(nir.py, nn.py), Rockpool 3.1 (nn/modules/torch/nir.py, lif_torch.py, lif_neuron_torch.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from neuroprune.networks.nir.file import NirNode

Values = npt.NDArray[np.float64]
Reset = Literal["zero", "subtract"]

NEURONS = ("I", "LI", "CubaLI", "IF", "LIF", "CubaLIF")
CUBA = ("CubaLI", "CubaLIF")
EULER_DT = 1e-4
"""Seconds; what snnTorch and SpikingJelly take for a step, and what NIR's paper does (arXiv:2311.14641)."""
NORSE_DT = 1e-3


@dataclass(frozen=True)
class Settings:
    """What a file does not say.

    dt: seconds of a step, None for the framework's own. reset: in place of the framework's.
    norm_input: whether sinabs' LIF multiplies its input by 1 - exp(-1 / tau).
    """

    dt: float | None = None
    reset: Reset | None = None
    norm_input: bool = True


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Neurons in steps: i = i * (1 - current_decay) + gain * x; v = v * (1 - decay) + i + bias; a spike where v passes.

    Arrays of any shape that broadcasts over the neurons. threshold: None for integrators. strict: a spike needs v >
    threshold, not v >= threshold. reset: to 0, or by subtraction of the threshold; v and i start at 0.
    problem: why they cannot be carried, if they cannot. remarks: what was repaired.
    """

    decay: Values
    gain: Values
    bias: Values
    threshold: Values | None
    current_decay: Values = field(default_factory=lambda: np.ones(()))
    strict: bool = True
    reset: Reset = "zero"
    problem: str | None = None
    remarks: tuple[str, ...] = ()


Read = Callable[[NirNode, Settings], Dynamics]


def parameters(node: NirNode) -> dict[str, Values]:
    """The arrays of a node of neurons as float64, w_in and v_reset with NIR's defaults of 1 and 0."""
    given = {name: values.astype(np.float64) for name, values in node.arrays.items()}
    return {"w_in": np.ones(()), "v_leak": np.zeros(()), "v_reset": np.zeros(()), **given}


def euler(node: NirNode, dt: float) -> Dynamics:
    """Forward Euler of NIR's equations, in steps of `dt` seconds, the current being updated before the voltage."""
    values = parameters(node)
    tau = values["tau_mem"] if node.kind in CUBA else values.get("tau")
    decay = np.zeros(()) if tau is None else dt / tau
    gain = values["r"] * dt if tau is None else values["r"] * decay
    current_decay = np.ones(())
    if node.kind in CUBA:
        current_decay = dt / values["tau_syn"]
        gain = gain * values["w_in"] * current_decay
    bias = decay * values["v_leak"]
    return Dynamics(decay, gain, bias, values.get("v_threshold"), current_decay, problem=_reset_problem(values))


def _nir(node: NirNode, settings: Settings) -> Dynamics:
    return euler(node, settings.dt or EULER_DT)


def _neuroprune(node: NirNode, settings: Settings) -> Dynamics:
    reset: Reset = "subtract" if node.texts.get("metadata/reset") == "subtract" else "zero"
    return replace(euler(node, settings.dt or EULER_DT), strict=False, reset=reset)


def _spikingjelly(node: NirNode, settings: Settings) -> Dynamics:
    """Its v starts at v_reset and returns there, so that only distances from v_reset matter."""
    values = parameters(node)
    found = euler(node, settings.dt or EULER_DT)
    rest = values["v_reset"]
    threshold = None if found.threshold is None else found.threshold - rest
    return replace(found, threshold=threshold, bias=found.bias - found.decay * rest, strict=False, problem=None)


def _norse(node: NirNode, settings: Settings) -> Dynamics:
    """to_nir divides dt by the inverse of tau, so that it writes tau * dt; earlier releases wrote tau."""
    dt = settings.dt or NORSE_DT
    values = parameters(node)
    names = [name for name in ("tau", "tau_mem", "tau_syn") if name in values]
    written_times_dt = [name for name in names if np.all(values[name] < dt)]
    shares = {name: dt / (values[name] / dt if name in written_times_dt else values[name]) for name in names}
    decay = shares.get("tau", shares.get("tau_mem", np.zeros(())))
    gain = decay if names else np.ones(())
    starts_at_leak = bool(np.any(values["v_leak"] != 0.0))
    problem = "it has a v_leak other than 0, where Norse's neurons start" if starts_at_leak else _reset_problem(values)
    remarks = (f"{' and '.join(written_times_dt)} is tau * dt, as Norse writes it",) if written_times_dt else ()
    return Dynamics(
        decay,
        gain,
        np.zeros(()),
        values.get("v_threshold"),
        shares.get("tau_syn", np.ones(())),
        problem=problem,
        remarks=remarks,
    )


def _sinabs(node: NirNode, settings: Settings) -> Dynamics:
    """tau is in steps. Its LIF with a tau_syn loses it when written, and minimum voltages are lost too."""
    values = parameters(node)
    if "tau" not in values:
        return Dynamics(
            np.zeros(()), np.ones(()), np.zeros(()), values.get("v_threshold"), strict=False, reset="subtract"
        )
    decay = -np.expm1(-1.0 / values["tau"])
    scaled = settings.norm_input and node.kind == "LIF"
    gain = decay if scaled else np.ones(())
    return Dynamics(decay, gain, np.zeros(()), values.get("v_threshold"), strict=False, reset="subtract")


def _spyx(node: NirNode, settings: Settings) -> Dynamics:
    """Times are in steps, of dt = 1 as a rule; r is beta, by which nothing is multiplied."""
    dt = settings.dt or 1.0
    values = parameters(node)
    tau = values.get("tau_mem", values.get("tau"))
    decay = np.zeros(()) if tau is None else dt / tau
    current_decay = dt / values["tau_syn"] if "tau_syn" in values else np.ones(())
    problem = None
    if node.kind == "LIF" and np.any(decay != 0.0):
        problem = (
            "Spyx subtracts the threshold of its LIF after the leak, and the chip before it; use its CuBaLIF or IF"
        )
    return Dynamics(
        decay, np.ones(()), np.zeros(()), values.get("v_threshold"), current_decay, reset="subtract", problem=problem
    )


def _rockpool(node: NirNode, settings: Settings) -> Dynamics:
    """r is exp(-dt / tau) * tau / dt, from which dt is found. Its biases are not written."""
    values = parameters(node)
    tau = values["tau_mem"] if node.kind in CUBA else values["tau"]
    share = _share_of_tau(values["r"])
    decay, current_decay, gain = -np.expm1(-share), np.ones(()), np.ones(())
    if node.kind in CUBA:
        gain = np.exp(-share * tau / values["tau_syn"])
        current_decay = 1.0 - gain
    elif node.kind == "LI":
        gain = np.exp(-share)
    return Dynamics(decay, gain, np.zeros(()), values.get("v_threshold"), current_decay, strict=False, reset="subtract")


def _share_of_tau(r: Values) -> Values:
    """dt / tau where r = exp(-dt / tau) / (dt / tau), by Newton's method on its logarithm, which is concave."""
    share = 1.0 / (1.0 + r)
    for _ in range(50):
        share = share - (np.log(share) + share + np.log(r)) / (1.0 / share + 1.0)
    return share


def _reset_problem(values: Mapping[str, Values]) -> str | None:
    if np.any(values["v_reset"] != 0.0):
        return "it resets to a v_reset other than 0, where its neurons do not start; use v_reset = 0"
    return None


READ: dict[str, Read] = {
    "nir": _nir,
    "neuroprune": _neuroprune,
    "snntorch": _nir,
    "spikingjelly": _spikingjelly,
    "norse": _norse,
    "sinabs": _sinabs,
    "spyx": _spyx,
    "rockpool": _rockpool,
}
"""How the neurons of each framework of the catalogue are read."""


def uniform(values: Any) -> float | None:
    """The one value of all neurons, None where they differ by more than rounding."""
    flat = np.asarray(values, np.float64).reshape(-1)
    return float(flat[0]) if np.allclose(flat, flat[0], rtol=1e-7, atol=0.0) else None
