"""model.onnx is a valid model, and onnxruntime counts the spikes that the folded program counts."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from neuroprune.errors import OutputError
from neuroprune.exchange.onnx import onnx_model, write_onnx
from neuroprune.graph.float_program import (
    FloatConnection,
    FloatConv,
    FloatDense,
    FloatInput,
    FloatLayer,
    FloatProgram,
    FloatSynapse,
)
from neuroprune.graph.nodes import Readout
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.simulation.floats import run_float

Array = npt.NDArray[np.float64]


def run_by_torch(program: FloatProgram, frames: Array) -> tuple[Array, Array]:
    """Output spikes, and the last voltages of the output, [samples, outputs], in double precision, step by step from
    the equations."""
    states: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    total = torch.zeros(())
    for step in range(program.steps):
        now = frames[:, step] if program.input.sequence else frames
        values = {"input": torch.from_numpy(np.ascontiguousarray(now))}
        for layer in program.layers:
            op, received = layer.neuron, torch.zeros(())
            assert isinstance(op, CubaLif)
            for each in layer.connections:
                x, synapse, weight = values[each.source], each.synapse, torch.tensor(each.synapse.weight)
                if isinstance(synapse, FloatConv):
                    received = received + F.conv2d(
                        x, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups
                    )
                else:
                    received = received + F.linear(x.flatten(1), weight)
            i, v = states.get(layer.name, (torch.zeros(()), torch.zeros(())))
            i = i * (1 - op.current_decay) + received
            h = v * (1 - op.decay) + i + torch.tensor(layer.bias).reshape(-1, *(1,) * (len(layer.shape) - 1))
            values[layer.name] = (h >= op.threshold).double()
            after = h - op.threshold if op.reset == "subtract" else torch.zeros(())
            states[layer.name] = i, torch.where(h >= op.threshold, after, h)
        last = program.layers[-1].name
        total = total + values[last].flatten(1)
    return total.numpy(), states[last][1].flatten(1).numpy()


def spikes_by_torch(program: FloatProgram, frames: Array) -> npt.NDArray[np.int64]:
    return run_by_torch(program, frames)[0].astype(np.int64)


def spikes_by_onnxruntime(model: bytes | str, frames: Array) -> npt.NDArray[np.int64]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (counts,) = session.run(["counts"], {"frames": frames.astype(np.float32)})
    assert counts.dtype == np.float32
    return counts.astype(np.int64)


def chain_of(in_shape: tuple[int, ...], layers: list[tuple[FloatSynapse, Array, CubaLif]], steps: int) -> FloatProgram:
    """Layers of synapses, bias and neurons; shapes as torch infers them. Names hold dots, as module paths do."""
    made: list[FloatLayer] = []
    source, shape = "input", in_shape
    for i, (synapse, bias, neuron) in enumerate(layers):
        zeros, weight = torch.zeros(1, *shape, dtype=torch.float64), torch.tensor(synapse.weight)
        if isinstance(synapse, FloatConv):
            out = F.conv2d(zeros, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
        else:
            out = F.linear(zeros.flatten(1), weight)
        connection = FloatConnection(f"layers.{i}.synapse", source, synapse, shape)
        source, shape = f"layers.{i}", tuple(out.shape[1:])
        made.append(FloatLayer(source, (connection,), neuron, bias, shape))
    return FloatProgram(FloatInput(in_shape), tuple(made), steps)


def quarters(rng: np.random.Generator, *shape: int) -> Array:
    """Numbers that float32 sums without rounding, so that single and double precision must agree spike for spike."""
    return rng.integers(-4, 6, shape) / 4


def everything(steps: int) -> FloatProgram:
    """A 5x3 kernel, stride (2, 1), groups, dilation and padding; LIF and IF; 3 samples' worth of shapes."""
    rng = np.random.default_rng(0)
    return chain_of(
        (2, 11, 9),
        [
            (FloatConv(quarters(rng, 6, 2, 5, 3), (2, 1), (2, 1)), quarters(rng, 6), CubaLif(0.5, 1.0)),
            (FloatConv(quarters(rng, 8, 3, 3, 3), (1, 1), (2, 0), (2, 1), 2), quarters(rng, 8), CubaLif(0.0, 2.0)),
            (FloatConv(quarters(rng, 8, 1, 2, 2), (2, 2), groups=8), quarters(rng, 8), CubaLif(0.0, 0.5)),
            (FloatDense(quarters(rng, 12, 8 * 3 * 3)), quarters(rng, 12), CubaLif(0.5, 1.5)),
            (FloatDense(quarters(rng, 5, 12)), quarters(rng, 5), CubaLif(0.0, 1.0)),
        ],
        steps,
    )


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("samples", [1, 16])
def test_onnxruntime_counts_the_same_spikes(tmp_path: Path, steps: int, samples: int) -> None:
    program = everything(steps)
    frames = quarters(np.random.default_rng(1), samples, 2, 11, 9)
    path = tmp_path / "model.onnx"
    write_onnx(program, path)
    expected = spikes_by_torch(program, frames)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(spikes_by_onnxruntime(str(path), frames), expected)


def test_a_neuron_fires_at_its_threshold_and_starts_again_from_zero() -> None:
    """IF of threshold 1 with 0.5 a step: v is 0.5, 1 -> spike and 0, 0.5, 1 -> spike."""
    program = chain_of((1,), [(FloatDense(np.array([[0.5]])), np.array([0.0]), CubaLif(0.0, 1.0))], 4)
    assert spikes_by_onnxruntime(onnx_model(program).SerializeToString(), np.ones((1, 1))).tolist() == [[2]]
    leaky = chain_of((1,), [(FloatDense(np.array([[0.5]])), np.array([0.0]), CubaLif(0.5, 0.875))], 4)
    assert spikes_by_onnxruntime(onnx_model(leaky).SerializeToString(), np.ones((1, 1))).tolist() == [[1]]


def test_an_output_layer_with_a_plane_is_counted_neuron_by_neuron() -> None:
    rng = np.random.default_rng(2)
    program = chain_of((1, 3, 3), [(FloatConv(quarters(rng, 4, 1, 2, 2)), quarters(rng, 4), CubaLif(0.0, 0.5))], 3)
    frames = quarters(rng, 5, 1, 3, 3)
    counts = spikes_by_onnxruntime(onnx_model(program).SerializeToString(), frames)
    assert counts.shape == (5, 16)
    np.testing.assert_array_equal(counts, spikes_by_torch(program, frames))


def branching(readout: Readout, sequence: bool) -> FloatProgram:
    """Two layers of neurons read the input, one of them and the output read both; currents, soft reset, biases."""
    rng = np.random.default_rng(3)
    threshold = math.inf if readout.of == "voltage" else 1.25
    frames, shape = (2, 6, 6), (4, 6, 6)
    around, one = quarters(rng, 4, 2, 3, 3), quarters(rng, 4)
    behind, two = quarters(rng, 4, 4, 3, 3), quarters(rng, 4)
    beside, three = quarters(rng, 4, 1, 1, 1), quarters(rng, 4)
    end, four = quarters(rng, 6, 144), quarters(rng, 6)
    other, five = quarters(rng, 6, 144), quarters(rng, 6)
    a = FloatConnection("a.conv", "input", FloatConv(around, padding=(1, 1)), frames)
    b = FloatConnection("b.conv@a", "a", FloatConv(behind, padding=(1, 1)), shape)
    b_too = FloatConnection("b.conv@in", "input", FloatConv(beside, groups=2), frames)
    out = FloatConnection("fc@b", "b", FloatDense(end), shape)
    out_too = FloatConnection("fc@a", "a", FloatDense(other), shape)
    layers = (
        FloatLayer("a", (a,), CubaLif(0.5, 1.0, reset="subtract"), one, shape),
        FloatLayer("b", (b, b_too), CubaLif(0.25, 1.5, current_decay=0.5), two + three, shape),
        FloatLayer("out", (out, out_too), CubaLif(0.0, threshold, reset="subtract"), four + five, (6,)),
    )
    return FloatProgram(FloatInput(frames, sequence), layers, 4, readout)


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("readout", [Readout(), Readout("spikes", "sum", 3), Readout("voltage", "mean", 2)])
def test_branches_currents_and_every_readout_are_computed_alike(readout: Readout, sequence: bool) -> None:
    program = branching(readout, sequence)
    frames = quarters(np.random.default_rng(4), 8, *((4,) if sequence else ()), 2, 6, 6)
    model = onnx_model(program)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    scores, outputs = session.run(None, {"frames": frames.astype(np.float32)})
    counts, voltages = run_by_torch(program, frames)
    expected = voltages if readout.of == "voltage" else counts
    assert [output.name for output in session.get_outputs()][1] == ("voltages" if readout.of == "voltage" else "counts")
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(outputs, expected)
    voted = expected.reshape(8, -1, readout.votes).mean(-1) / (4 if readout.over_time == "mean" else 1)
    np.testing.assert_allclose(scores, voted, rtol=1e-6)
    np.testing.assert_array_equal(run_float(program, frames.astype(np.float32)).outputs, expected)


def test_the_model_is_valid_standard_onnx_and_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_onnx(everything(4), path)
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "steps": "4", "readout": "mean", "of": "spikes", "votes": "1",
    }  # fmt: skip
    (frames,), (scores, counts) = model.graph.input, model.graph.output
    dimensions = [dim.dim_param or dim.dim_value for dim in scores.type.tensor_type.shape.dim]
    assert (scores.name, dimensions) == ("scores", ["samples", 5])
    dimensions = [dim.dim_param or dim.dim_value for dim in frames.type.tensor_type.shape.dim]
    assert (frames.name, dimensions) == ("frames", ["samples", 2, 11, 9])
    dimensions = [dim.dim_param or dim.dim_value for dim in counts.type.tensor_type.shape.dim]
    assert (counts.name, dimensions) == ("counts", ["samples", 5])


def test_the_first_synapse_is_computed_once() -> None:
    model = onnx_model(everything(4))
    (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
    (body,) = [attribute.g for attribute in loop.attribute if attribute.name == "body"]
    assert [node.op_type for node in model.graph.node].count("Conv") == 1
    assert [node.op_type for node in body.node].count("Conv") == 2


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_onnx(everything(4), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(OutputError, match=r"model\.onnx could not be written \(.*\); nothing was changed there: free"):
        write_onnx(everything(1), tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
