"""Reads the parameters of such neurons from modules of SpikingJelly and lava-dl."""

import math
from typing import Any

import numpy as np
import torch

from neuroprune.finite import finite_array
from neuroprune.neurons.catalog import CUBA_LIF
from neuroprune.neurons.cuba_lif.neurons import CubaLif
from neuroprune.neurons.model import FloatNeuron, NeuronModel, Reset

_DISTANCES = (0.0, *(sign * size for size in (1e-6, 1e-3, 0.03, 0.3, 0.49, 0.51, 1.0, 3.0, 30.0) for sign in (1, -1)))
"""Distances of a potential from the threshold at which surrogate functions are tried."""


def _firing_problem(name: str, function: Any) -> str | None:
    """What is wrong with a surrogate function that does not give 1 from the threshold on, and 0 below."""
    owner = getattr(function, "__self__", function)  # of the `apply` of a torch.autograd.Function
    kind = owner.__name__ if hasattr(owner, "__name__") else type(owner).__name__
    try:
        with torch.no_grad():
            given = function(torch.tensor(_DISTANCES).reshape(-1, 1, 1, 1)).flatten().tolist()  # as of maps
    except Exception as error:  # noqa: BLE001  # a function of the user's may raise anything
        return f"layer {name}: its surrogate function {kind} cannot be tried ({error}); use one of SpikingJelly's"
    for distance, value in zip(_DISTANCES, given, strict=True):
        if value != (distance >= 0.0):
            return (
                f"layer {name}: its surrogate function {kind} gives {value:g} for a potential of threshold "
                f"{distance:+g}, but neurons of the chip give 1 from the threshold on and 0 below; use one of "
                "SpikingJelly's, with spiking=True"
            )
    return None


def _read_lif(name: str, module: Any) -> FloatNeuron | str:
    """LIFNode, IFNode and ParametricLIFNode: 1 / tau is fixed, 0, or the sigmoid of the learned w.

    Potentials begin at v_reset, leak to it and return there, so that only distances from it matter.
    """
    if problem := _firing_problem(name, module.surrogate_function):
        return problem
    rest, threshold = float(module.v_reset or 0.0), float(module.v_threshold)
    start = float(getattr(module, "_memories_rv", {}).get("v", rest))
    if rest not in (0.0, start):
        return (
            f"layer {name}: hard reset to {rest:g} cannot be mapped, since its potential begins at {start:g}; use one "
            "for both, as v_reset=0.0, or v_reset=None"
        )
    if rest != 0.0 and not rest < threshold < math.inf:
        return (
            f"layer {name}: a threshold of {threshold:g} with a hard reset to {rest:g} cannot be mapped; use a finite "
            "threshold above v_reset"
        )
    if hasattr(module, "w"):
        shares = finite_array(name, "w", module.w.sigmoid())
        decay = float(shares.flat[0])
        if np.any(shares != decay):
            return (
                f"layer {name}: its {shares.size} time constants differ, and the neurons of a layer of the chip all "
                "have one decay; use one w for all"
            )
    else:
        decay = 1.0 / float(module.tau) if hasattr(module, "tau") else 0.0
    gain = decay if getattr(module, "decay_input", False) else 1.0
    reset: Reset = "zero" if module.v_reset is not None else "subtract"
    return _checked(name, CubaLif(decay, threshold - rest, gain, reset=reset))


def _read_current(name: str, module: Any) -> FloatNeuron | str:
    """CUBALIFNode, in floats: its decays are the shares that current and voltage keep."""
    if problem := _firing_problem(name, module.surrogate_function):
        return problem
    if module.v_reset is not None and float(module.v_reset) != 0.0:
        return f"layer {name}: hard reset to {module.v_reset} cannot be mapped; use v_reset=0.0 or None"
    if not 0.0 <= module.c_decay < 1.0:
        return f"layer {name}: c_decay {module.c_decay:g} cannot be mapped; it must be at least 0 and below 1"
    reset: Reset = "zero" if module.v_reset is not None else "subtract"
    found = CubaLif(
        1.0 - float(module.v_decay), float(module.v_threshold), current_decay=1.0 - float(module.c_decay), reset=reset
    )
    return _checked(name, found)


def _read_cuba(name: str, module: Any) -> FloatNeuron | str:
    """CubaLIFNode computes in steps of 1 / s_scale, which is not done here; otherwise the equations are the same.

    It rounds the decays to 4096ths, as here, and cuts what it receives, and what the decays leave of current and
    voltage, to steps of 1 / s_scale towards zero. It fires from v_threshold + 0.01 / s_scale on, which is the first of
    its steps beyond v_threshold.
    """
    if problem := _firing_problem(name, module.surrogate_function):
        return problem
    if module.norm is not None:
        return f"layer {name}: normalisation inside the neuron cannot be mapped; use norm=None"
    decays = []
    for kind in ("current_decay", "voltage_decay"):
        values = finite_array(name, kind, getattr(module, kind)).reshape(-1)
        if values.size != 1:
            return f"layer {name}: its {values.size} values of {kind} cannot be mapped; use one for all"
        decays.append(float(np.clip(np.rint(values[0]), 0, module.p_scale)) / module.p_scale)
    if decays[0] == 0.0:
        return f"layer {name}: a current that never decays cannot be mapped; use current_decay above 0"
    threshold = float(module.v_threshold) + module.v_threshold_eps
    return _checked(name, CubaLif(decays[1], threshold, current_decay=decays[0], resolution=1.0 / module.s_scale))


def _checked(name: str, found: CubaLif) -> FloatNeuron | str:
    if not found.threshold > 0.0:
        return f"layer {name}: threshold {found.threshold} cannot be mapped; it must be above 0"
    if not 0.0 <= found.decay < 1.0:
        return f"layer {name}: voltage decay {found.decay:g} cannot be mapped; it must be at least 0 and below 1"
    return found


# By name, since the module of CubaLIFNode imports lava-dl; exact classes, since a subclass may have other dynamics.
MODEL = NeuronModel(
    CUBA_LIF.name,
    {
        **dict.fromkeys(CUBA_LIF.classes[:-2], _read_lif),
        CUBA_LIF.classes[-2]: _read_current,
        CUBA_LIF.classes[-1]: _read_cuba,
    },
)
