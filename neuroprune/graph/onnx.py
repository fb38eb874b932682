"""The folded float program as a standard ONNX model, for any runtime: time is a Loop, neurons are elementwise ops."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from neuroprune import __version__
from neuroprune.files import replace_file
from neuroprune.graph.nodes import Conv, Graph, Input, Linear, Neuron, Node, Shape

OPSET = 18
IR_VERSION = 8  # the first one made for OPSET, so that runtimes of its time read the file too


def write_onnx(graph: Graph, path: Path) -> None:
    """Write a folded `graph` to `path` atomically. Raises OutputError.

    Input "frames": float32 [samples, *input shape], presented at every step. Output "counts": float32 [samples,
    outputs], the spikes of each output over `graph.steps` steps; the metadata names the network's own readout.
    Only ops of ONNX's default domain are used. What reads the frames is computed once, outside the loop over steps.
    """
    model = onnx_model(graph)
    replace_file(path, lambda temporary: temporary.write_bytes(model.SerializeToString(deterministic=True)))


def onnx_model(graph: Graph) -> onnx.ModelProto:
    """The model that `write_onnx` writes.

    Each step of the loop, for each pair of a synapse and a neuron: h = v * (1 - decay) + synapse(spikes), spikes are
    1 where h >= threshold, and v is 0 there, else h. Carried from step to step are every v and the counts.
    """
    frames, *nodes = graph.nodes
    assert isinstance(frames.op, Input)
    weights: list[Any] = []
    once: list[Any] = []
    each_step: list[Any] = []
    neurons: list[Node] = []
    current = {frames.name: "frames"}  # name of the value that each node puts out, by node
    for node in nodes:
        source = graph[node.inputs[0]]
        if isinstance(node.op, Neuron):
            assert node.op.gain == 1.0, "a folded graph has no gains"
            each_step += _neuron(node, current[source.name])
            neurons.append(node)
            current[node.name] = f"{node.name}/spikes"
        else:
            assert isinstance(node.op, Conv | Linear), "a folded graph has synapses and neurons only"
            weights += [_constant(f"{node.name}/weight", node.op.weight), _constant(f"{node.name}/bias", node.op.bias)]
            (once if source is frames else each_step).extend(_synapse(node, source.shape, current[source.name]))
            current[node.name] = f"{node.name}/current"
    outputs = int(np.prod(neurons[-1].shape))
    weights.append(_constant("steps", graph.steps, np.int64))
    for node in neurons:
        weights.append(_constant(f"{node.name}/shape", node.shape, np.int64))
        once += _zeros(f"{node.name}/shape", f"{node.name}/rest")
    weights.append(_constant("counts/shape", [outputs], np.int64))
    once += _zeros("counts/shape", "counts/none")
    once.append(
        helper.make_node(
            "Loop",
            ["steps", "", "counts/none", *(f"{node.name}/rest" for node in neurons)],
            ["counts", *(f"{node.name}/end" for node in neurons)],
            body=_step(each_step, neurons, outputs),
        )
    )
    model = helper.make_model(
        helper.make_graph(
            once,
            "folded spiking network",
            [_values("frames", frames.shape)],
            [_values("counts", (outputs,))],
            initializer=weights,
        ),
        producer_name="neuroprune",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, {"steps": str(graph.steps), "readout": graph.readout.over_time})
    return model


def _step(nodes: list[Any], neurons: list[Node], outputs: int) -> Any:
    """The body of the loop: counts and every v before the step -> after it."""
    last = neurons[-1].name
    counted = [
        helper.make_node("Flatten", [f"{last}/spikes"], ["counts/spikes"], axis=1),
        helper.make_node("Add", ["counts/before", "counts/spikes"], ["counts/after"]),
        helper.make_node("Identity", ["more"], ["more/after"]),
    ]
    before = [_values(f"{node.name}/before", node.shape) for node in neurons]
    after = [_values(f"{node.name}/after", node.shape) for node in neurons]
    return helper.make_graph(
        [*nodes, *counted],
        "step",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            _values("counts/before", (outputs,)),
            *before,
        ],
        [
            helper.make_tensor_value_info("more/after", TensorProto.BOOL, []),
            _values("counts/after", (outputs,)),
            *after,
        ],
        initializer=[
            constant
            for node in neurons
            if isinstance(node.op, Neuron)
            for constant in (
                _constant(f"{node.name}/keep", 1.0 - node.op.decay),
                _constant(f"{node.name}/threshold", node.op.threshold),
                _constant(f"{node.name}/reset", 0.0),
            )
        ],
    )


def _synapse(node: Node, source: Shape, spikes: str) -> list[Any]:
    """`spikes` -> "<name>/current"."""
    name, op = node.name, node.op
    parameters, current = [f"{name}/weight", f"{name}/bias"], [f"{name}/current"]
    if isinstance(op, Conv):
        return [
            helper.make_node(
                "Conv",
                [spikes, *parameters],
                current,
                kernel_shape=list(op.weight.shape[2:]),
                strides=list(op.stride),
                pads=[*op.padding, *op.padding],
                dilations=list(op.dilation),
                group=op.groups,
            )
        ]
    if len(source) == 1:
        return [helper.make_node("Gemm", [spikes, *parameters], current, transB=1)]
    return [
        helper.make_node("Flatten", [spikes], [f"{name}/flat"], axis=1),
        helper.make_node("Gemm", [f"{name}/flat", *parameters], current, transB=1),
    ]


def _neuron(node: Node, current: str) -> list[Any]:
    """`current` and "<name>/before" -> "<name>/spikes" and "<name>/after"."""
    name = node.name
    return [
        helper.make_node("Mul", [f"{name}/before", f"{name}/keep"], [f"{name}/kept"]),
        helper.make_node("Add", [f"{name}/kept", current], [f"{name}/h"]),
        helper.make_node("GreaterOrEqual", [f"{name}/h", f"{name}/threshold"], [f"{name}/fires"]),
        helper.make_node("Cast", [f"{name}/fires"], [f"{name}/spikes"], to=TensorProto.FLOAT),
        helper.make_node("Where", [f"{name}/fires", f"{name}/reset", f"{name}/h"], [f"{name}/after"]),
    ]


def _zeros(shape: str, name: str) -> list[Any]:
    """Zeros of [samples, *shape], where `shape` is the name of a constant."""
    return [
        helper.make_node("Shape", ["frames"], [f"{name}/samples"], start=0, end=1),
        helper.make_node("Concat", [f"{name}/samples", shape], [f"{name}/size"], axis=0),
        helper.make_node("ConstantOfShape", [f"{name}/size"], [name]),
    ]


def _constant(name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Any:
    return numpy_helper.from_array(np.asarray(value, dtype=dtype), name)


def _values(name: str, shape: Shape) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["samples", *shape])
