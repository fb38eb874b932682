"""Graphs of NIR for tests, written by the library nir itself, and neurons computed from NIR's equations."""

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np

from neuroprune import load_network

DT = 1e-4


def chain(*nodes, shape=(4,), outputs=(3,)):
    """A graph of nodes one after the other, called n0, n1, ..."""
    named = {f"n{index}": node for index, node in enumerate(nodes)}
    names = ["input", *named, "output"]
    return graph_of(named, list(pairwise(names)), shape, outputs)


def graph_of(nodes, edges, shape=(4,), outputs=(3,)):
    ends = {"input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": np.array(outputs)})}
    return nir.NIRGraph({**ends, **nodes}, edges, type_check=False)


def linear(outputs=3, inputs=4, bias=None, seed=0):
    weight = np.random.default_rng(seed).normal(0, 1, (outputs, inputs)).astype(np.float32)
    return nir.Linear(weight) if bias is None else nir.Affine(weight, np.full(outputs, bias, np.float32))


def conv(outputs, inputs, *, kernel=3, stride=1, padding=0, kind=nir.Conv2d, seed=0, input_shape=None, groups=1):
    axes = 1 if kind is nir.Conv1d else 2
    weight = np.random.default_rng(seed).normal(0, 0.5, (outputs, inputs // groups, *(kernel,) * axes))
    bias = np.zeros(outputs, np.float32)
    return kind(input_shape, weight.astype(np.float32), stride, padding, 1, groups, bias)


def lif(*shape, tau=5e-4, gain=1.0, v_leak=0.0, threshold=1.0, v_reset=0.0):
    """Neurons that forward Euler in steps of DT gives the gain `gain`, however it may differ between them."""
    whole = {
        "tau": tau,
        "r": np.asarray(gain) * tau / DT,
        "v_leak": v_leak,
        "v_threshold": threshold,
        "v_reset": v_reset,
    }
    return nir.LIF(**{name: np.broadcast_to(value, shape).astype(np.float32) for name, value in whole.items()})


def written(folder: Path, graph) -> Path:
    path = folder / "net.nir"
    nir.write(path, graph, compression=None)  # which arrays without axes cannot be
    return path


def read(folder: Path, graph, arguments="framework=nir"):
    """The network that neuroprune reads from a graph."""
    return load_network(f"{written(folder, graph)}({arguments})")


def euler(node, current):
    """Spikes [T, N, *neurons], and voltages, of a LIF on currents of that shape, from NIR's equations in float64."""
    v, spikes, voltages = np.zeros(current.shape[1:]), [], []
    values = {
        name: np.asarray(getattr(node, name, np.inf), np.float64) for name in ("tau", "r", "v_leak", "v_threshold")
    }
    for received in current.astype(np.float64):
        v = v + DT / values["tau"] * (values["v_leak"] - v + values["r"] * received)
        fired = v > values["v_threshold"]
        v = np.where(fired, 0.0, v)
        spikes.append(fired)
        voltages.append(v)
    return np.array(spikes, np.float64), np.array(voltages)
