"""model.onnx is a valid model, and onnxruntime counts the spikes that the folded graph counts."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from neuroprune.errors import OutputError
from neuroprune.graph.nodes import Conv, Graph, Input, Linear, Neuron, Node, Op, Synapse
from neuroprune.graph.onnx import onnx_model, write_onnx

Array = npt.NDArray[np.float64]


def spikes_by_torch(graph: Graph, frames: Array) -> npt.NDArray[np.int64]:
    """Output spikes [samples, outputs] in double precision, step by step from the equations of the nodes."""
    voltages: dict[str, torch.Tensor] = {}
    total = torch.zeros(())
    for _ in range(graph.steps):
        values = {graph.nodes[0].name: torch.from_numpy(frames)}
        for node in graph.nodes[1:]:
            x, op = values[node.inputs[0]], node.op
            if isinstance(op, Conv):
                weight, bias = torch.tensor(op.weight), torch.tensor(op.bias)
                values[node.name] = F.conv2d(x, weight, bias, op.stride, op.padding, op.dilation, op.groups)
            elif isinstance(op, Linear):
                values[node.name] = F.linear(x.flatten(1), torch.tensor(op.weight), torch.tensor(op.bias))
            elif isinstance(op, Neuron):
                h = voltages.get(node.name, torch.zeros(())) * (1 - op.decay) + x
                values[node.name] = (h >= op.threshold).double()
                voltages[node.name] = torch.where(h >= op.threshold, 0.0, h)
        total = total + values[graph.nodes[-1].name].flatten(1)
    return total.long().numpy()


def spikes_by_onnxruntime(model: bytes | str, frames: Array) -> npt.NDArray[np.int64]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (counts,) = session.run(["counts"], {"frames": frames.astype(np.float32)})
    assert counts.dtype == np.float32
    return counts.astype(np.int64)


def graph_of(in_shape: tuple[int, ...], pairs: list[tuple[Synapse, Neuron]], steps: int) -> Graph:
    """A folded graph; shapes as torch infers them. Names hold dots, as module paths do."""
    nodes = [Node("input", Input(), (), in_shape)]

    def append(name: str, op: Op, shape: tuple[int, ...]) -> None:
        nodes.append(Node(name, op, (nodes[-1].name,), shape))

    for i, (synapse, neuron) in enumerate(pairs):
        source = torch.zeros(1, *nodes[-1].shape, dtype=torch.float64)
        if isinstance(synapse, Conv):
            weight = torch.tensor(synapse.weight)
            out = F.conv2d(source, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
        else:
            out = F.linear(source.flatten(1), torch.tensor(synapse.weight))
        append(f"layers.{i}.synapse", synapse, tuple(out.shape[1:]))
        append(f"layers.{i}", neuron, tuple(out.shape[1:]))
    return Graph(tuple(nodes), steps)


def quarters(rng: np.random.Generator, *shape: int) -> Array:
    """Numbers that float32 sums without rounding, so that single and double precision must agree spike for spike."""
    return rng.integers(-4, 6, shape) / 4


def everything(steps: int) -> Graph:
    """A 5x3 kernel, stride (2, 1), groups, dilation and padding; LIF and IF; 3 samples' worth of shapes."""
    rng = np.random.default_rng(0)
    return graph_of(
        (2, 11, 9),
        [
            (Conv(quarters(rng, 6, 2, 5, 3), quarters(rng, 6), (2, 1), (2, 1)), Neuron(0.5, 1.0)),
            (Conv(quarters(rng, 8, 3, 3, 3), quarters(rng, 8), (1, 1), (2, 0), (2, 1), 2), Neuron(0.0, 2.0)),
            (Conv(quarters(rng, 8, 1, 2, 2), quarters(rng, 8), (2, 2), groups=8), Neuron(0.0, 0.5)),
            (Linear(quarters(rng, 12, 8 * 3 * 3), quarters(rng, 12)), Neuron(0.5, 1.5)),
            (Linear(quarters(rng, 5, 12), quarters(rng, 5)), Neuron(0.0, 1.0)),
        ],
        steps,
    )


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("samples", [1, 16])
def test_onnxruntime_counts_the_same_spikes(tmp_path: Path, steps: int, samples: int) -> None:
    graph = everything(steps)
    frames = quarters(np.random.default_rng(1), samples, 2, 11, 9)
    path = tmp_path / "model.onnx"
    write_onnx(graph, path)
    expected = spikes_by_torch(graph, frames)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(spikes_by_onnxruntime(str(path), frames), expected)


def test_a_neuron_fires_at_its_threshold_and_starts_again_from_zero() -> None:
    """IF of threshold 1 with 0.5 a step: v is 0.5, 1 -> spike and 0, 0.5, 1 -> spike."""
    graph = graph_of((1,), [(Linear(np.array([[0.5]]), np.array([0.0])), Neuron(0.0, 1.0))], 4)
    assert spikes_by_onnxruntime(onnx_model(graph).SerializeToString(), np.ones((1, 1))).tolist() == [[2]]
    leaky = graph_of((1,), [(Linear(np.array([[0.5]]), np.array([0.0])), Neuron(0.5, 0.875))], 4)
    assert spikes_by_onnxruntime(onnx_model(leaky).SerializeToString(), np.ones((1, 1))).tolist() == [[1]]


def test_an_output_layer_with_a_plane_is_counted_neuron_by_neuron() -> None:
    rng = np.random.default_rng(2)
    graph = graph_of((1, 3, 3), [(Conv(quarters(rng, 4, 1, 2, 2), quarters(rng, 4)), Neuron(0.0, 0.5))], 3)
    frames = quarters(rng, 5, 1, 3, 3)
    counts = spikes_by_onnxruntime(onnx_model(graph).SerializeToString(), frames)
    assert counts.shape == (5, 16)
    np.testing.assert_array_equal(counts, spikes_by_torch(graph, frames))


def test_the_model_is_valid_standard_onnx_and_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_onnx(everything(4), path)
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert {entry.key: entry.value for entry in model.metadata_props} == {"steps": "4", "readout": "mean"}
    (frames,), (counts,) = model.graph.input, model.graph.output
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
