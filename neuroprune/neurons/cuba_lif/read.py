"""Reads the parameters of such neurons from modules of SpikingJelly and lava-dl."""

from typing import Any

import numpy as np

from neuroprune.finite import finite_array
from neuroprune.neurons.catalog import CUBA_LIF
from neuroprune.neurons.cuba_lif.neurons import CubaLif
from neuroprune.neurons.model import FloatNeuron, NeuronModel, Reset


def _read_lif(name: str, module: Any) -> FloatNeuron | str:
    """LIFNode, IFNode and ParametricLIFNode: 1 / tau is fixed, 0, or the sigmoid of the learned w."""
    if module.v_reset is not None and float(module.v_reset) != 0.0:
        return f"layer {name}: hard reset to {module.v_reset} cannot be mapped; use v_reset=0.0 or None"
    if hasattr(module, "w"):
        decay = float(finite_array(name, "w", module.w.sigmoid()))
    else:
        decay = 1.0 / float(module.tau) if hasattr(module, "tau") else 0.0
    gain = decay if getattr(module, "decay_input", False) else 1.0
    reset: Reset = "zero" if module.v_reset is not None else "subtract"
    return _checked(name, CubaLif(decay, float(module.v_threshold), gain, reset=reset))


def _read_cuba(name: str, module: Any) -> FloatNeuron | str:
    """CubaLIFNode computes in steps of 1 / s_scale, which is not done here; otherwise the equations are the same.

    It rounds the decays to 4096ths, as here, and cuts what it receives, and what the decays leave of current and
    voltage, to steps of 1 / s_scale towards zero. It fires from v_threshold + 0.01 / s_scale on, which is the first of
    its steps beyond v_threshold.
    """
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
    return _checked(name, CubaLif(decays[1], threshold, current_decay=decays[0]))


def _checked(name: str, found: CubaLif) -> FloatNeuron | str:
    if not found.threshold > 0.0:
        return f"layer {name}: threshold {found.threshold} cannot be mapped; it must be above 0"
    if not 0.0 <= found.decay < 1.0:
        return f"layer {name}: voltage decay {found.decay:g} cannot be mapped; it must be at least 0 and below 1"
    return found


# By name, since the module of CubaLIFNode imports lava-dl; exact classes, since a subclass may have other dynamics.
MODEL = NeuronModel(
    CUBA_LIF.name, {**dict.fromkeys(CUBA_LIF.classes[:-1], _read_lif), CUBA_LIF.classes[-1]: _read_cuba}
)
