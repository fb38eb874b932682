"""A neuron model of one's own, through `import neuroprune` alone, down the whole line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from own_network import FRAMES, NEURONS, NO_LAVA, STEPS, Network, network
from own_neuron import FloorIF, FloorNeuron, IntFloorNeuron, IntTrainedFloorNeuron

import neuroprune


@pytest.fixture(scope="module")
def floats() -> neuroprune.FloatProgram:
    return neuroprune.fold(neuroprune.trace(network(), torch.from_numpy(FRAMES[:1]), NEURONS))


@pytest.fixture(scope="module")
def program(floats: neuroprune.FloatProgram) -> neuroprune.IntProgram:
    return neuroprune.quantize(floats, FRAMES, neuroprune.load_chip("loihi-sim"))


def delivered(synapse: neuroprune.IntConv | neuroprune.IntDense, values: np.ndarray) -> list[int]:
    weight = synapse.weight.astype(np.int64)
    if isinstance(synapse, neuroprune.IntDense):
        return (weight @ values.reshape(-1)).tolist()
    (down, right), (top, left) = synapse.stride, synapse.padding
    padded = np.pad(values, ((0, 0), (top, top), (left, left)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(1, 2))[:, ::down, ::right]
    if synapse.groups > 1:
        return np.einsum("ckl,cyxkl->cyx", weight[:, 0], windows).ravel().tolist()
    return np.einsum("oikl,iyxkl->oyx", weight, windows).ravel().tolist()


def one_step(neurons: neuroprune.IntNeuron, v: int, arrived: int) -> tuple[int, bool, int]:
    """v after the step, whether it fired, and v before both the cut at 24 bits and the spike."""
    v = v + arrived
    if isinstance(neurons, IntFloorNeuron):
        v = max(v, neurons.floor)
    cut = min(v, 2**23 - 1)
    return (0, True, v) if cut > 64 * neurons.vth else (cut, False, v)


def by_hand(
    program: neuroprune.IntProgram, frames: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, int]]:
    """Spikes and last voltages of each layer, and the largest |v|, in Python's integers."""
    spikes = {each.name: np.zeros((len(frames), program.steps, *each.shape), bool) for each in program.layers}
    last = {each.name: np.zeros((len(frames), *each.shape), np.int64) for each in program.layers}
    peak = dict.fromkeys(spikes, 0)
    for sample, frame in enumerate(frames.astype(np.int64)):
        for step in range(program.steps):
            sent = {"input": frame}
            for each in program.layers:
                (connection,) = each.connections
                currents = delivered(connection.synapse, sent[connection.source])
                biases = np.repeat(each.bias.values, len(currents) // len(each.bias.values)).tolist()
                before = last[each.name][sample].ravel().tolist()
                after = [
                    one_step(each.neuron, v, 64 * current + bias)
                    for v, current, bias in zip(before, currents, biases, strict=True)
                ]
                last[each.name][sample] = np.reshape([v for v, _, _ in after], each.shape)
                spikes[each.name][sample, step] = np.reshape([fired for _, fired, _ in after], each.shape)
                peak[each.name] = max(peak[each.name], *(abs(v) for _, _, v in after))
                sent[each.name] = spikes[each.name][sample, step].astype(np.int64)
    return spikes, last, peak


def test_registers_narrower_than_a_model_knows_are_refused(floats: neuroprune.FloatProgram) -> None:
    chip = neuroprune.load_chip("loihi-sim")
    expected = (
        r"^layer body\.2 has IntFloorNeuron neurons with registers of 24 bits, but those of loihi-sim have 20: choose "
        r"a chip with such registers$"
    )
    with pytest.raises(neuroprune.InputError, match=expected):
        neuroprune.quantize(floats, FRAMES, replace(chip, rules=replace(chip.rules, state_bits=20)))


def test_a_neuron_of_ones_own_is_read_and_folded(floats: neuroprune.FloatProgram) -> None:
    found = {each.name: each.neuron for each in floats.layers}
    assert list(found) == ["body.2", "body.3", "body.6", "body.9", "body.11"]
    assert [type(each) for each in found.values()] == [FloorNeuron, *[neuroprune.CubaLif] * 2, *[FloorNeuron] * 2]
    assert vars(found["body.9"]) == {"threshold": 0.75, "floor": -0.5}
    assert not found["body.9"].integrates


def test_what_was_not_passed_or_cannot_be_mapped_is_said() -> None:
    frames = torch.from_numpy(FRAMES[:1])
    with pytest.raises(
        neuroprune.UnsupportedNetwork, match=r"layer body.2: FloorIF is no neuron of the chip, since of"
    ):
        neuroprune.trace(network(), frames)
    with pytest.raises(
        neuroprune.UnsupportedNetwork, match=r"layers body.2, body.9, body.11: floor 0.5 cannot be mapped; it must be"
    ):
        neuroprune.trace(network(0.5), frames, NEURONS)

    class Other(FloorIF):
        """A subclass may compute something else, so the reader of its base is not asked."""

    with pytest.raises(neuroprune.UnsupportedNetwork, match=r"layer body.2: Other is no neuron of the chip, since of"):
        neuroprune.trace(Network(first=Other()), frames, NEURONS)


def test_the_folded_network_fires_as_the_module_spike_for_spike(floats: neuroprune.FloatProgram) -> None:
    frames, module, seen = FRAMES.astype(np.float64), network(), {}
    for name in ("body.2", "body.3", "body.6", "body.9", "body.11"):
        module.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    with torch.no_grad():
        outputs = module(torch.from_numpy(frames))
    for firing in neuroprune.run_layers(floats, frames):
        assert 0.02 < firing.spikes.mean() < 0.98
        assert torch.equal(firing.spikes, seen[firing.name])
    np.testing.assert_array_equal(neuroprune.run_float(floats, frames).outputs, outputs.numpy() * STEPS)
    with torch.no_grad():
        assert not torch.equal(outputs, network(-1e9)(torch.from_numpy(frames))), "the floor decides nothing"


def test_the_integers_agree_with_a_loop_over_python_integers(program: neuroprune.IntProgram) -> None:
    frames, _ = neuroprune.quantize_input(program.input, FRAMES)
    spikes, last, peak = by_hand(program, frames)
    for each in neuroprune.record(program, frames).layers:
        np.testing.assert_array_equal(each.spikes, spikes[each.name])
        np.testing.assert_array_equal(each.voltages, last[each.name])
    trace = neuroprune.simulate(program, frames)
    np.testing.assert_array_equal(trace.outputs, spikes["body.11"].sum(1))
    assert [each.voltage_saturations for each in trace.layers] == [0] * 5
    floors = {each.name: each.neuron.floor for each in program.layers if isinstance(each.neuron, IntFloorNeuron)}
    assert any((last[name] == floor).any() for name, floor in floors.items())
    bounds = neuroprune.layer_bounds(program)
    assert all(peak[name] <= bounds[name].voltage for name in peak)


@pytest.mark.parametrize(("vth", "floor"), [(20, -700), (20, 0), (0, -100000), (131071, -8000)])
def test_bounds_hold_on_the_worst_inputs_and_a_floor_makes_them_closer(vth: int, floor: int) -> None:
    """All 2**9 patterns of 3 inputs in 3 steps."""
    bias = neuroprune.IntBias(np.array([-3], np.int32), 6)
    synapse = neuroprune.IntDense(np.array([[40, -256, -18]], np.int16))
    connections = (neuroprune.IntConnection("input", synapse, (3,)),)
    only = neuroprune.IntLayer("only", connections, IntFloorNeuron(vth, floor), bias, (1,), 1.0, "weight")
    program = neuroprune.IntProgram(neuroprune.IntInput((3,), 1.0, 0, True), (only,), 3)
    patterns = ((np.arange(2**9)[:, None] >> np.arange(9)) & 1).astype(np.int8).reshape(-1, 3, 3)
    found = neuroprune.record(program, patterns, every_step=True).layers[0]
    bound = neuroprune.layer_bounds(program)["only"]
    reached = 0
    for pattern in patterns.astype(np.int64):
        v = 0
        for now in pattern:
            v, _, before = one_step(only.neuron, v, 64 * delivered(synapse, now)[0] + int(bias.values[0]))
            reached = max(reached, abs(before))
    assert np.abs(found.v).max() <= reached <= bound.voltage < 1.02 * reached
    assert bound.safe and bound.current == 64 * (256 + 18)
    bottomless = replace(program, layers=(replace(only, neuron=IntFloorNeuron(vth, -neuroprune.LARGEST_STATE)),))
    assert (bound.voltage < neuroprune.layer_bounds(bottomless)["only"].voltage) == (floor > -50000)


def test_registers_lead_back_to_floats_and_say_how_far_they_are(
    floats: neuroprune.FloatProgram, program: neuroprune.IntProgram
) -> None:
    for exact, rounded in zip(floats.layers, neuroprune.dequantize(program).layers, strict=True):
        assert type(rounded.neuron) is type(exact.neuron)
        assert rounded.neuron.threshold == pytest.approx(exact.neuron.threshold, rel=1e-12)
        if isinstance(rounded.neuron, FloorNeuron):
            assert rounded.neuron.floor == pytest.approx(-0.5, abs=1e-3)
    errors = neuroprune.rounding_errors(floats, program)
    assert all(each.threshold < 1e-12 and each.decay_v == each.decay_u == 0.0 for each in errors.values())


def test_onnxruntime_counts_the_float_programs_spikes(floats: neuroprune.FloatProgram, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    integers = neuroprune.quantize(floats, FRAMES, neuroprune.load_chip("loihi-sim"))
    assert neuroprune.write_program(neuroprune.Programs(integers, floats), tmp_path / "model.onnx") == ()
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (counts,) = session.run(["counts"], {"frames": FRAMES})
    np.testing.assert_array_equal(counts, neuroprune.run_float(floats, FRAMES).outputs)


def test_a_deployment_writes_what_formats_hold_and_says_what_they_do_not(tmp_path: Path) -> None:
    done = neuroprune.deploy(network().float(), FRAMES, neurons=NEURONS, lava=NO_LAVA, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.json",
        "report.html",
        "cores.csv",
        "layers.csv",
        "model.onnx",
    }
    assert [(each.file, each.text) for each in done.report.exchange_remarks] == [
        (file, f"layer {name!r} has {text}: no file was written")
        for file, text in (
            ("program.net", "IntFloorNeuron neurons, but netx only CUBA ones"),
            ("network.nir", "FloorNeuron neurons, which NIR does not have"),
        )
        for name in ("body.2", "body.9", "body.11")
    ]
    assert neuroprune.load_report(tmp_path) == done.report
    first = done.report.layers[0]
    assert (first.vth, first.reset) == (done.program.layers[0].neuron.vth, "zero")
    assert first.bound is not None and first.changed is not None and first.changed.bit_accurate < 0.1


def test_lava_which_has_no_such_neurons_is_refused_in_a_sentence(program: neuroprune.IntProgram) -> None:
    expected = (
        "layer body.2 has IntFloorNeuron neurons, of which Lava has no process: leave Lava out with --lava-samples 0"
    )
    with pytest.raises(neuroprune.UnverifiedDeployment) as caught:
        neuroprune.deploy(network().float(), FRAMES, neurons=NEURONS, lava=neuroprune.LavaSettings(samples=1))
    assert (str(caught.value.__cause__), caught.value.exit_code) == (expected, 4)
    assert caught.value.deployment.report.lava.unverified == expected
    with pytest.raises(neuroprune.InputError) as unknown:
        neuroprune.run_reference(program, neuroprune.quantize_input(program.input, FRAMES)[0])
    assert str(unknown.value) == (
        "layer body.2 has IntFloorNeuron neurons, whose rules the reference does not know: compare it with a loop of "
        "your own"
    )


def test_fine_tuning_in_integers_asks_for_a_gradient(
    floats: neuroprune.FloatProgram, program: neuroprune.IntProgram
) -> None:
    labels = np.arange(len(FRAMES)) % 2
    rest = FRAMES.__getitem__, labels, neuroprune.load_chip("loihi-sim"), neuroprune.QatSettings(1, 10.0, batch=8)
    with pytest.raises(neuroprune.InputError) as caught:
        neuroprune.finetune_quantised(floats, program, *rest)
    assert str(caught.value) == "IntFloorNeuron neurons have no gradient for fine-tuning in integers: leave it out"
    trained = tuple(
        replace(each, neuron=IntTrainedFloorNeuron(**vars(each.neuron))) if "floor" in vars(each.neuron) else each
        for each in program.layers
    )
    tuned = neuroprune.finetune_quantised(floats, replace(program, layers=trained), *rest)
    for before, after in zip(program.layers, tuned.program.layers, strict=True):
        assert vars(after.neuron) == vars(before.neuron)
    weights = [each.connections[0].synapse.weight for each in (program.layers[0], tuned.program.layers[0])]
    assert not np.array_equal(*weights)


class Unproved(IntFloorNeuron):
    """Only what has no default."""

    interval_step = neuroprune.IntNeuron.interval_step


class WithoutOnnx(FloorNeuron):
    onnx = neuroprune.FloatNeuron.onnx

    def to_integers(self, scale: float, rules: neuroprune.IntegerRules) -> tuple[float, neuroprune.IntNeuron]:
        scale, made = super().to_integers(scale, rules)
        return scale, Unproved(**vars(made))


def test_what_a_model_leaves_out_is_said_or_counted_and_changes_no_number(tmp_path: Path) -> None:
    bare = neuroprune.NeuronModel("bare", {FloorIF: lambda name, module: WithoutOnnx(module.v_threshold, module.floor)})
    named = {f"{FloorIF.__module__}.{FloorIF.__qualname__}": bare.readers[FloorIF]}
    for model in (bare, replace(bare, readers=named)):
        neurons = (*neuroprune.neuron_models(), model)
        done = neuroprune.deploy(network().float(), FRAMES, neurons=neurons, lava=NO_LAVA, folder=tmp_path)
        full = neuroprune.deploy(network().float(), FRAMES, neurons=NEURONS, lava=NO_LAVA)
        np.testing.assert_array_equal(done.trace.outputs, full.trace.outputs)
        bounds = {each.name: each.bound.safe for each in done.report.layers if each.bound is not None}
        assert bounds == {"body.2": False, "body.3": True, "body.6": True, "body.9": False, "body.11": False}
        assert not (tmp_path / "model.onnx").exists()
        assert (
            "model.onnx",
            "layer 'body.2' has WithoutOnnx neurons, which have no step in ONNX: no file was written",
        ) in [(each.file, each.text) for each in done.report.exchange_remarks]
