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

    Input "frames": float32 [samples, *input shape], presented at every step, or [samples, steps, *input shape] where
    samples bring a frame for each step. Output "scores": float32 [samples, classes], what the network returns. Output
    "counts": float32 [samples, outputs], the spikes of each output over `graph.steps` steps; or "voltages", what each
    is left with, for a network that is read by its voltage. Only ops of ONNX's default domain are used. What reads
    frames that stay the same is computed once, outside the loop over steps.
    """
    model = onnx_model(graph)
    replace_file(path, lambda temporary: temporary.write_bytes(model.SerializeToString(deterministic=True)))


def onnx_model(graph: Graph) -> onnx.ModelProto:
    """The model that `write_onnx` writes.

    Each step of the loop, for each layer of neurons: i = i * (1 - current_decay) + the sum of its synapses,
    h = v * (1 - decay) + i + bias, spikes are 1 where h >= threshold, and v is 0 or h - threshold there, else h.
    Carried from step to step are every v, every i that is not forgotten, and the counts.
    """
    frames, *_ = graph.nodes
    assert isinstance(frames.op, Input)
    weights: list[Any] = [_constant("steps", graph.steps, np.int64)]
    once: list[Any] = []
    each_step: list[Any] = []
    if frames.op.sequence:
        axes = [1, 0, *range(2, 2 + len(frames.shape))]
        once.append(helper.make_node("Transpose", ["frames"], ["frames/steps"], perm=axes))
        each_step.append(helper.make_node("Gather", ["frames/steps", "step"], ["frames/now"], axis=0))
    states: list[tuple[str, Shape]] = []
    for node, synapses in graph.populations():
        for synapse in synapses:
            source = graph[synapse.inputs[0]]
            weights += _weights(synapse)
            fixed = source is frames and not frames.op.sequence
            spikes = f"{source.name}/spikes" if source is not frames else "frames" if fixed else "frames/now"
            (once if fixed else each_step).extend(_synapse(synapse, source.shape, spikes))
        weights += _parameters(node, synapses)
        each_step += _neurons(node, synapses)
        states += [(f"{node.name}/{state}", node.shape) for state in _states(node)]
    outputs = int(np.prod(graph.nodes[-1].shape))
    last = graph.nodes[-1].name
    if graph.readout.of == "spikes":
        states.append(("counts", (outputs,)))
        each_step += [
            helper.make_node("Flatten", [f"{last}/spikes"], ["counts/spikes"], axis=1),
            helper.make_node("Add", ["counts/before", "counts/spikes"], ["counts/after"]),
        ]
    for name, shape in states:
        weights.append(_constant(f"{name}/shape", shape, np.int64))
        once += _zeros(f"{name}/shape", f"{name}/rest")
    ends = ["counts" if name == "counts" else f"{name}/end" for name, _ in states]
    once.append(
        helper.make_node(
            "Loop", ["steps", "", *(f"{name}/rest" for name, _ in states)], ends, body=_step(each_step, states)
        )
    )
    scores, constants = _scores(graph, outputs)
    readout = graph.readout
    model = helper.make_model(
        helper.make_graph(
            [*once, *scores],
            "folded spiking network",
            [_values("frames", (graph.steps, *frames.shape) if frames.op.sequence else frames.shape)],
            [
                _values("scores", (outputs // readout.votes,)),
                _values("counts" if readout.of == "spikes" else "voltages", (outputs,)),
            ],
            initializer=weights + constants,
        ),
        producer_name="neuroprune",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    described = {"steps": graph.steps, "readout": readout.over_time, "of": readout.of, "votes": readout.votes}
    helper.set_model_props(model, {name: str(value) for name, value in described.items()})
    return model


def _step(nodes: list[Any], states: list[tuple[str, Shape]]) -> Any:
    """The body of the loop: all that is carried, before the step -> after it."""
    return helper.make_graph(
        [*nodes, helper.make_node("Identity", ["more"], ["more/after"])],
        "step",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            *(_values(f"{name}/before", shape) for name, shape in states),
        ],
        [
            helper.make_tensor_value_info("more/after", TensorProto.BOOL, []),
            *(_values(f"{name}/after", shape) for name, shape in states),
        ],
    )


def _scores(graph: Graph, outputs: int) -> tuple[list[Any], list[Any]]:
    """The nodes behind the loop that give "scores", and their constants."""
    readout, nodes, source = graph.readout, [], "counts"
    if readout.of == "voltage":
        nodes.append(helper.make_node("Flatten", [f"{graph.nodes[-1].name}/v/end"], ["voltages"], axis=1))
        source = "voltages"
    share = 1.0 / (readout.votes * (graph.steps if readout.over_time == "mean" else 1))
    nodes += [
        helper.make_node("Reshape", [source, "scores/groups"], ["scores/votes"]),
        helper.make_node("ReduceSum", ["scores/votes", "scores/axis"], ["scores/sums"], keepdims=0),
        helper.make_node("Mul", ["scores/sums", "scores/share"], ["scores"]),
    ]
    groups = [-1, outputs // readout.votes, readout.votes]
    constants = [
        _constant("scores/groups", groups, np.int64),
        _constant("scores/axis", [2], np.int64),
        _constant("scores/share", share),
    ]
    return nodes, constants


def _states(node: Node) -> tuple[str, ...]:
    """What a layer of neurons keeps from step to step."""
    assert isinstance(node.op, Neuron)
    return ("v",) if node.op.current_decay == 1.0 else ("v", "i")


def _weights(node: Node) -> list[Any]:
    assert isinstance(node.op, Conv | Linear), "a folded graph has synapses and neurons only"
    return [_constant(f"{node.name}/weight", node.op.weight)]


def _synapse(node: Node, source: Shape, spikes: str) -> list[Any]:
    """`spikes` -> "<name>/current"."""
    name, op = node.name, node.op
    current = [f"{name}/current"]
    if isinstance(op, Conv):
        return [
            helper.make_node(
                "Conv",
                [spikes, f"{name}/weight"],
                current,
                kernel_shape=list(op.weight.shape[2:]),
                strides=list(op.stride),
                pads=[*op.padding, *op.padding],
                dilations=list(op.dilation),
                group=op.groups,
            )
        ]
    if len(source) == 1:
        return [helper.make_node("Gemm", [spikes, f"{name}/weight"], current, transB=1)]
    return [
        helper.make_node("Flatten", [spikes], [f"{name}/flat"], axis=1),
        helper.make_node("Gemm", [f"{name}/flat", f"{name}/weight"], current, transB=1),
    ]


def _parameters(node: Node, synapses: tuple[Node, ...]) -> list[Any]:
    """The constants of a layer of neurons."""
    name, op = node.name, node.op
    assert isinstance(op, Neuron)
    assert op.gain == 1.0, "a folded graph has no gains"
    bias = sum(synapse.op.bias for synapse in synapses if isinstance(synapse.op, Conv | Linear))
    return [
        _constant(f"{name}/bias", np.reshape(bias, (-1,) + (1,) * (len(node.shape) - 1))),
        _constant(f"{name}/v/keep", 1.0 - op.decay),
        *([_constant(f"{name}/i/keep", 1.0 - op.current_decay)] if op.current_decay < 1.0 else []),
        _constant(f"{name}/threshold", op.threshold),
        _constant(f"{name}/zero", 0.0),
    ]


def _neurons(node: Node, synapses: tuple[Node, ...]) -> list[Any]:
    """What the synapses deliver and the states before the step -> "<name>/spikes" and the states after it."""
    name, op = node.name, node.op
    assert isinstance(op, Neuron)
    nodes = [helper.make_node("Sum", [f"{synapse.name}/current" for synapse in synapses], [f"{name}/received"])]
    current = f"{name}/received"
    if op.current_decay < 1.0:
        current = f"{name}/i/after"
        nodes += [
            helper.make_node("Mul", [f"{name}/i/before", f"{name}/i/keep"], [f"{name}/i/kept"]),
            helper.make_node("Add", [f"{name}/i/kept", f"{name}/received"], [current]),
        ]
    nodes += [
        helper.make_node("Mul", [f"{name}/v/before", f"{name}/v/keep"], [f"{name}/v/kept"]),
        helper.make_node("Add", [f"{name}/v/kept", current], [f"{name}/driven"]),
        helper.make_node("Add", [f"{name}/driven", f"{name}/bias"], [f"{name}/h"]),
        helper.make_node("GreaterOrEqual", [f"{name}/h", f"{name}/threshold"], [f"{name}/fires"]),
        helper.make_node("Cast", [f"{name}/fires"], [f"{name}/spikes"], to=TensorProto.FLOAT),
    ]
    rest = f"{name}/zero"
    if op.reset == "subtract":
        rest = f"{name}/beyond"
        nodes.append(helper.make_node("Sub", [f"{name}/h", f"{name}/threshold"], [rest]))
    nodes.append(helper.make_node("Where", [f"{name}/fires", rest, f"{name}/h"], [f"{name}/v/after"]))
    return nodes


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
