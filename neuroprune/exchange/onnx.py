"""The float program as a standard ONNX model, for any runtime: time is a Loop, neurons are elementwise ops."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from neuroprune.exchange.catalog import FORMATS
from neuroprune.exchange.format import ExchangeFormat, Programs
from neuroprune.files import replace_file
from neuroprune.graph.float_program import FloatConnection, FloatConv, FloatLayer, FloatProgram
from neuroprune.graph.nodes import INPUT, Shape
from neuroprune.neurons.model import OnnxStep
from neuroprune.version import __version__

OPSET = 18
IR_VERSION = 8  # the first one made for OPSET, so that runtimes of its time read the file too


def write_onnx(program: FloatProgram, path: Path) -> tuple[str, ...]:
    """Write a float program to `path` atomically, and return a sentence for each layer that has no step in ONNX.

    Nothing is written where a sentence says so. Raises OutputError.

    Input "frames": float32 [samples, *input shape], presented at every step, or [samples, steps, *input shape] where
    samples bring a frame for each step. Output "scores": float32 [samples, classes], what the network returns. Output
    "counts": float32 [samples, outputs], the spikes of each output over `program.steps` steps; or "voltages", the
    last one of each, for a network that is read by its voltage. Only ops of ONNX's default domain are used. Synapses
    that read frames that stay the same are computed once, outside the loop over steps.
    """
    others = tuple(
        f"layer {layer.name!r} has {type(layer.neuron).__name__} neurons, which have no step in ONNX: no file was "
        "written"
        for layer in program.layers
        if layer.neuron.onnx() is None
    )
    if others:
        return others
    model = onnx_model(program)
    replace_file(path, lambda temporary: temporary.write_bytes(model.SerializeToString(deterministic=True)))
    return ()


def onnx_model(program: FloatProgram) -> onnx.ModelProto:
    """The model that `write_onnx` writes.

    In each step of the loop every layer of neurons adds up its synapses and takes one step of its model. Carried from
    step to step are the states of the neurons, what those fired that read themselves, and the counts.
    """
    presented, sequence = program.input.shape, program.input.sequence
    weights: list[Any] = [_constant("steps", program.steps, np.int64)]
    once: list[Any] = []
    each_step: list[Any] = []
    if sequence:
        axes = [1, 0, *range(2, 2 + len(presented))]
        once.append(helper.make_node("Transpose", ["frames"], ["frames/steps"], perm=axes))
        each_step.append(helper.make_node("Gather", ["frames/steps", "step"], ["frames/now"], axis=0))
    states: list[tuple[str, Shape]] = []
    for layer in program.layers:
        for connection in layer.connections:
            reads_frames = connection.source == INPUT
            fixed = reads_frames and not sequence
            spikes = f"{connection.source}/spikes" if not reads_frames else "frames" if fixed else "frames/now"
            if connection.delay:
                spikes = f"{connection.source}/fired/before"
            weights.append(_constant(f"{connection.name}/weight", connection.synapse.weight))
            (once if fixed else each_step).extend(_synapse(connection, spikes))
        step = layer.neuron.onnx()
        assert step is not None, "`write_onnx` says so"
        weights += _parameters(layer, step)
        each_step += _neurons(layer, step)
        states += [(f"{layer.name}/{state}", layer.shape) for state in step.states]
        if layer.is_recurrent:
            each_step.append(helper.make_node("Identity", [f"{layer.name}/spikes"], [f"{layer.name}/fired/after"]))
            states.append((f"{layer.name}/fired", layer.shape))
    last = program.layers[-1]
    outputs = int(np.prod(last.shape))
    if program.readout.of == "spikes":
        states.append(("counts", (outputs,)))
        each_step += [
            helper.make_node("Flatten", [f"{last.name}/spikes"], ["counts/spikes"], axis=1),
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
    scores, constants = _scores(program, outputs)
    readout = program.readout
    model = helper.make_model(
        helper.make_graph(
            [*once, *scores],
            "folded spiking network",
            [_values("frames", (program.steps, *presented) if sequence else presented)],
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
    described = {"steps": program.steps, "readout": readout.over_time, "of": readout.of, "votes": readout.votes}
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


def _scores(program: FloatProgram, outputs: int) -> tuple[list[Any], list[Any]]:
    """The nodes after the loop that give "scores", and their constants."""
    readout, nodes, source = program.readout, [], "counts"
    if readout.of == "voltage":
        nodes.append(helper.make_node("Flatten", [f"{program.layers[-1].name}/v/end"], ["voltages"], axis=1))
        source = "voltages"
    share = 1.0 / (readout.votes * (program.steps if readout.over_time == "mean" else 1))
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


def _synapse(connection: FloatConnection, spikes: str) -> list[Any]:
    """`spikes` -> "<name>/current"."""
    name, synapse = connection.name, connection.synapse
    current = [f"{name}/current"]
    if isinstance(synapse, FloatConv):
        return [
            helper.make_node(
                "Conv",
                [spikes, f"{name}/weight"],
                current,
                kernel_shape=list(synapse.weight.shape[2:]),
                strides=list(synapse.stride),
                pads=[*synapse.padding, *synapse.padding],
                dilations=list(synapse.dilation),
                group=synapse.groups,
            )
        ]
    if len(connection.in_shape) == 1:
        return [helper.make_node("Gemm", [spikes, f"{name}/weight"], current, transB=1)]
    return [
        helper.make_node("Flatten", [spikes], [f"{name}/flat"], axis=1),
        helper.make_node("Gemm", [f"{name}/flat", f"{name}/weight"], current, transB=1),
    ]


def _parameters(layer: FloatLayer, step: OnnxStep) -> list[Any]:
    """The constants of a layer of neurons."""
    bias = np.reshape(layer.bias, (-1,) + (1,) * (len(layer.shape) - 1))
    named = {name.replace("*", layer.name): value for name, value in step.constants.items()}
    return [_constant(f"{layer.name}/bias", bias), *(_constant(name, value) for name, value in named.items())]


def _neurons(layer: FloatLayer, step: OnnxStep) -> list[Any]:
    """What the synapses deliver and the states before the step -> "<name>/spikes" and the states after it."""
    arriving = [f"{connection.name}/current" for connection in layer.connections]
    nodes = [helper.make_node("Sum", arriving, [f"{layer.name}/received"])]
    for operator, inputs, output, attributes in step.nodes:
        named = [name.replace("*", layer.name) for name in (*inputs, output)]
        nodes.append(helper.make_node(operator, named[:-1], named[-1:], **attributes))
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


class Onnx(ExchangeFormat):
    """The float program; only written."""

    info = next(info for info in FORMATS if info.name == "ONNX")

    def write(self, programs: Programs, path: Path) -> tuple[str, ...]:
        """See `write_onnx`."""
        assert programs.floats is not None, "`holds` says so"
        return write_onnx(programs.floats, path)


FORMAT = Onnx()
