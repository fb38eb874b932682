"""The float program as a NIR graph, which snnTorch, Norse, sinabs, SpikingJelly and others read."""

import math
from pathlib import Path

import nir
import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.exchange.catalog import FORMATS
from neuroprune.exchange.format import ExchangeFormat, Programs
from neuroprune.files import replace_file
from neuroprune.graph.float_program import FloatConnection, FloatDense, FloatLayer, FloatProgram
from neuroprune.graph.nodes import Shape
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.version import __version__

DT = 1e-4
"""Seconds of a step: what most frameworks take for it, since NIR has no field that says it."""


def write_nir(program: FloatProgram, path: Path) -> tuple[str, ...]:
    """Write a float program to `path` atomically, and return a sentence for everything that NIR cannot hold.

    Nothing is written where a layer of neurons has no node in NIR. Each layer of neurons is a node, and each of its
    connections one of weights, behind a Flatten where maps become features. Time constants are such that forward Euler
    in steps of `DT` gives the decays. Biases are those of the first connection, or a v_leak beside a current. What NIR
    has no field for is metadata, which `read_nir` takes: reset by subtraction and votes. Neurons fire where v >=
    threshold, and NIR's where v > threshold. Raises OutputError.

    >>> import tempfile
    >>> import torch
    >>> from pathlib import Path
    >>> from neuroprune import build, fold, load_recipe, trace
    >>> from neuroprune.exchange.nir import write_nir
    >>> network = build(load_recipe("digits-conv"), input_shape=(1, 8, 8), classes=10)
    >>> floats = fold(trace(network, torch.zeros(1, 1, 8, 8)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_nir(floats, Path(folder, "network.nir"))
    ()
    """
    problems = tuple(problem for layer in program.layers if (problem := _problem(layer)) is not None)
    if problems:
        return problems
    graph = nir_graph(program)
    replace_file(path, lambda temporary: nir.write(temporary, graph))
    return tuple(_remarks(program))


def nir_graph(program: FloatProgram) -> nir.NIRGraph:
    """The graph that `write_nir` writes."""
    first, last = program.input, program.layers[-1]
    nodes: dict[str, nir.NIRNode] = {INPUT: nir.Input({"input": np.array(first.shape)})}
    edges: list[tuple[str, str]] = []
    for layer in program.layers:
        bias = None if _keeps_bias(layer) else layer.bias
        for connection in layer.connections:
            source = connection.source
            if isinstance(connection.synapse, FloatDense) and len(connection.in_shape) > 1:
                flat = f"{connection.name}.flatten"
                nodes[flat] = nir.Flatten({"input": np.array(connection.in_shape)}, 0, -1)
                edges.append((source, flat))
                source = flat
            nodes[connection.name] = _synapse(connection, bias)
            edges += [(source, connection.name), (connection.name, layer.name)]
            bias = None
        nodes[layer.name] = _neurons(layer)
    nodes[OUTPUT] = nir.Output({"output": np.array(last.shape)})
    edges.append((last.name, OUTPUT))
    metadata = {"framework": "neuroprune", "version": __version__, "votes": program.readout.votes}
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


INPUT, OUTPUT = "input", "output"


def _synapse(connection: FloatConnection, bias: FloatArray | None) -> nir.NIRNode:
    synapse = connection.synapse
    weight = synapse.weight.astype(np.float32)
    added = np.zeros(len(weight), np.float32) if bias is None else bias.astype(np.float32)
    if isinstance(synapse, FloatDense):
        return nir.Affine(weight, added) if np.any(added) else nir.Linear(weight)
    return nir.Conv2d(
        input_shape=connection.in_shape[1:],
        weight=weight,
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        groups=synapse.groups,
        bias=added,
    )


def _neurons(layer: FloatLayer) -> nir.NIRNode:
    """Neurons whose input enters unscaled in steps of DT."""
    neuron, shape = layer.neuron, layer.shape
    assert isinstance(neuron, CubaLif), "`_problem` says so"
    keeps = _keeps_bias(layer)
    leak = np.reshape(layer.bias / neuron.decay, (-1, *(1 for _ in shape[1:]))) if keeps else 0.0
    leaky = {} if neuron.decay == 0.0 else {"tau": _all(shape, DT / neuron.decay), "v_leak": _all(shape, leak)}
    fires = {} if math.isinf(neuron.threshold) else {"v_threshold": _all(shape, neuron.threshold)}
    if fires:
        fires["v_reset"] = _all(shape, 0.0)
    shared = {"r": _all(shape, 1.0 / (neuron.decay or DT)), **fires}
    metadata = {"reset": "subtract"} if neuron.reset == "subtract" else {}
    if neuron.filters_input:
        shared |= {"tau_syn": _all(shape, DT / neuron.current_decay), "w_in": _all(shape, 1.0 / neuron.current_decay)}
        shared |= {"tau_mem": leaky["tau"], "v_leak": leaky["v_leak"]}
        return (nir.CubaLIF if fires else nir.CubaLI)(**shared, metadata=metadata)
    if not leaky:
        return (nir.IF if fires else nir.I)(**shared, metadata=metadata)
    return (nir.LIF if fires else nir.LI)(**shared, **leaky, metadata=metadata)


def _keeps_bias(layer: FloatLayer) -> bool:
    """Whether its biases are a v_leak, since what its connections deliver decays."""
    return layer.neuron.filters_input and bool(np.any(layer.bias))


def _problem(layer: FloatLayer) -> str | None:
    """Why NIR has no node for a layer of neurons, if it has none."""
    neuron = layer.neuron
    if not isinstance(neuron, CubaLif):
        return f"layer {layer.name!r} has {type(neuron).__name__} neurons, which NIR does not have: no file was written"
    if neuron.filters_input and neuron.decay == 0.0:
        return (
            f"layer {layer.name!r} keeps its voltage and has a current that decays, which NIR does not have: no file "
            "was written"
        )
    return None


def _remarks(program: FloatProgram) -> list[str]:
    remarks = [
        f"layer {layer.name!r} resets by subtraction, which NIR cannot say and is in the node's metadata: other tools "
        "than neuroprune reset it to 0"
        for layer in program.layers
        if isinstance(layer.neuron, CubaLif)
        and layer.neuron.reset == "subtract"
        and math.isfinite(layer.neuron.threshold)
    ]
    if program.readout.votes > 1:
        remarks.append(
            f"{program.readout.votes} outputs vote for each class, which NIR cannot say and is in the file's metadata"
        )
    return remarks


def _all(shape: Shape, value: float | FloatArray) -> FloatArray:
    return np.broadcast_to(np.asarray(value, np.float64), shape).copy()


class Nir(ExchangeFormat):
    """The float program; a file is read as a network, by `read_nir`, not as a program."""

    info = next(info for info in FORMATS if info.name == "NIR")

    def write(self, programs: Programs, path: Path) -> tuple[str, ...]:
        """See `write_nir`."""
        assert programs.floats is not None, "`holds` says so"
        return write_nir(programs.floats, path)


FORMAT = Nir()
