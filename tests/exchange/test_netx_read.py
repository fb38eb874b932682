"""Networks read from netx files: nothing lost on the way there and back, and all that cannot be held named at once."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from lava_dl import CUBA, conv_fields, dense_fields, sample_net, write_lava_dl
from programs import NEURON, conv, dense, joined, later, program_of, random_weights, with_bias

from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.exchange.format import ReadProgram
from neuroprune.exchange.netx.format import FORMAT
from neuroprune.exchange.netx.inputs import spikes_as_they_are, stated_steps
from neuroprune.exchange.netx.read import read_netx
from neuroprune.exchange.netx.write import write_netx
from neuroprune.graph.nodes import Readout
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntInput, IntLayer, IntProgram
from neuroprune.program.verify import verify_program
from neuroprune.simulation.reference import reference_record

RULES = load_chip("loihi-sim").rules
INPUT = {"type": "input", "shape": [4]}
ONE = dense_fields([[2, 4, 6, -8]])
MAPS = {"type": "input", "shape": [2, 4, 4]}
DRIVEN = {**INPUT, "neuron": CUBA}
DRIVEN_MAPS = {**MAPS, "neuron": CUBA}
KERNEL = np.full((3, 2, 2, 2), 2)
PLANE = conv_fields(KERNEL, [3, 3, 3])


def read(folder: Path, *layers: Mapping[str, Any], steps: int = 4, frames: IntInput | None = None) -> ReadProgram:
    found = read_netx(write_lava_dl(folder / "some.net", layers), RULES, steps, frames)
    verify_program(found.program, RULES)
    return found


def changed(fields: Mapping[str, Any], **neuron: Any) -> dict[str, Any]:
    """The layer with other fields of its neuron."""
    return {**fields, "neuron": {**CUBA, **neuron}}


def without(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def content(value: Any) -> Any:
    """Data types of a program as plain values, for comparison."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: content(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tolist()
    return [content(each) for each in value] if isinstance(value, tuple) else value


def chain(seed: int) -> IntProgram:
    """A chain of all that the format holds, and of what its attributes keep beside it."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, 3).tolist())
    layers: list[IntLayer] = []
    for index in range(int(rng.integers(1, 4))):
        name, source = f"layers.{index}", layers[-1].name if layers else "input"
        in_shape = layers[-1].shape if layers else shape
        bits = int(rng.choice([8, 8, 4, 2]))
        if len(in_shape) == 3 and rng.random() < 0.6:
            groups = in_shape[0] if rng.random() < 0.5 else 1
            outputs = groups * int(rng.integers(1, 3))
            weight = random_weights(rng, (outputs, in_shape[0] // groups, 1, 1), 256) >> 9 - bits << 9 - bits
            stride, padding = (tuple(rng.integers(low, low + 2, 2).tolist()) for low in (1, 0))
            layer = conv(name, source, in_shape, weight, stride, padding, (2, 1), groups)
        else:
            weight = random_weights(rng, (int(rng.integers(1, 4)), int(np.prod(in_shape))), 256) >> 9 - bits << 9 - bits
            each = rng.integers(0, 3, weight.shape) * 30 * (rng.random() < 0.5)
            parts = [
                later(dense(name, source, in_shape, np.where(each == delay, weight, 0)), int(delay))
                for delay in np.unique(each)
                if np.where(each == delay, weight, 0).any()
            ] or [dense(name, source, in_shape, weight)]
            layer = joined(*parts)
        exponent = int(rng.choice([6, 7]))
        neuron = dataclasses.replace(
            NEURON,
            decay_u=int(rng.choice([4095, 0, 1023])),
            decay_v=int(rng.choice([0, 4095, 77])),
            vth=int(rng.choice([0, 131071, 640])),
            reset="subtract" if rng.random() < 0.3 else "zero",
        )
        registers, bias = with_bias(neuron, rng.integers(-2048, 2048, layer.shape[0]), exponent)
        layers.append(
            dataclasses.replace(
                layer,
                neuron=registers,
                bias=bias,
                scale=float(rng.random() + 0.1),
                limited_by="bias",
                weight_bits=bits,
            )
        )
    frames = IntInput(shape, 0.25, int(rng.choice([0, 8])), bool(rng.random() < 0.5))
    votes = Readout("voltage" if rng.random() < 0.3 else "spikes", "sum" if rng.random() < 0.5 else "mean", 1)
    return IntProgram(frames, tuple(layers), int(rng.integers(1, 9)), votes)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_was_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    program, path = chain(seed), tmp_path_factory.mktemp("there and back") / "program.net"
    write_netx(program, path)
    assert content(read_netx(path, RULES).program) == content(program)
    assert stated_steps(path) == program.steps


def test_groups_merged_for_lava_are_parted_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pool = conv("pool", "input", (256, 2, 2), random_weights(rng, (512, 1, 2, 2), 256), groups=256)
    write_netx(program_of(pool), tmp_path / "program.net")
    assert content(read_netx(tmp_path / "program.net", RULES).program) == content(program_of(pool))


def test_a_network_of_lava_dls_is_read_as_it_trained_it(tmp_path: Path) -> None:
    found = read_netx(sample_net(tmp_path / "some.net"), RULES, steps=8)
    first, second, third = found.program.layers
    assert [layer.name for layer in found.program.layers] == ["conv1", "dense3", "dense4"]
    assert (first.connections[0].synapse.stride, first.shape) == ((2, 2), (3, 3, 3))
    assert (first.neuron.decay_u, first.neuron.decay_v, first.neuron.vth) == (1023, 128, 80)
    assert [connection.delay for connection in second.connections] == [1, 2]
    assert third.bias.mantissa.any()
    assert (found.program.steps, found.program.input.sequence, found.program.input.bits) == (8, True, 0)
    assert found.remarks == (
        "the file does not say what its input is: spikes without a value, a frame for each step, are assumed",
        "layer 3 (dense) delays its input by up to 2 steps: spikes that would arrive after the last step of a sample "
        "are lost here, and reach the next sample in lava-dl",
    )
    assert stated_steps(tmp_path / "some.net") is None
    frames = np.ones((1, 8, 2, 6, 5), np.int8)
    assert reference_record(found.program, frames).layers[-1].spikes.any()


def delays_of(found: ReadProgram) -> Any:
    """Of each weight of the first layer, 0 where there is none."""
    return sum(
        connection.delay * (connection.synapse.weight != 0) for connection in found.program.layers[0].connections
    )


@pytest.mark.parametrize(
    ("weight", "delay", "expected"),
    [
        (np.full((2, 3), 2), [4, 9], [[4, 4, 4], [9, 9, 9]]),
        (np.full((2, 3), 2), [1, 2, 3], [[1, 2, 3], [1, 2, 3]]),
        (np.full((2, 2), 2), [1, 2], [[1, 1], [2, 2]]),
        (np.full((2, 2), 2), [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (np.full((2, 3), 2), [5], [[5, 5, 5], [5, 5, 5]]),
    ],
)
def test_delays_are_of_outputs_or_inputs_or_synapses(
    tmp_path: Path, weight: Any, delay: list[Any], expected: list[list[int]]
) -> None:
    """Of a square layer those of outputs, as in lava-dl's loader."""
    found = read(tmp_path, dense_fields(weight, delay=np.array(delay, np.float32)))
    assert delays_of(found).tolist() == expected


def test_delays_of_convolutions_are_kept_and_reported(tmp_path: Path) -> None:
    found = read(tmp_path, MAPS, {**PLANE, "delay": [0, 3, 1], "bias": [2, 0, 0]})
    assert delays_of(found)[:, 0, 0, 0].tolist() == [0, 3, 1]
    assert found.remarks[-2:] == (
        "layer 1 (conv) has delays, which lava-dl's loader drops: they are kept here, in the way of dense layers",
        "layer 1 (conv) has biases and delays: as in lava-dl's loader the input waits, where in training all that the "
        "layer sends did",
    )


def test_a_last_layer_that_cannot_fire_is_read_by_its_voltage(tmp_path: Path) -> None:
    for last in (*(changed(ONE, vThMant=size) for size in ((1 << 17) - 1, (1 << 18) - 1)), without(ONE, "neuron")):
        found = read(tmp_path, INPUT, last)
        assert found.program.readout.of == "voltage"
        assert found.remarks[-1] == "layer 1 (dense) never fires: its voltages after the last step are the scores"
    neuron = found.program.layers[0].neuron
    assert (neuron.decay_u, neuron.decay_v, neuron.vth) == (4095, 0, 131071)


def test_a_program_of_neuroprunes_keeps_its_readout_whatever_its_threshold(tmp_path: Path) -> None:
    out = dense("out", "input", (1, 1, 2), np.array([[2, 4]]), dataclasses.replace(NEURON, vth=131071))
    write_netx(program_of(out), tmp_path / "program.net")
    found = read_netx(tmp_path / "program.net", RULES)
    assert (found.program.readout.of, found.remarks) == ("spikes", ())


def test_samples_drive_input_neurons_with_weight_and_bias(tmp_path: Path) -> None:
    """By what lava-dl adds to their voltage in every step, 64 times each value where the file states nothing else."""
    found = read(tmp_path, {**DRIVEN_MAPS, "weight": np.array([36.0]), "bias": [-34.0]}, PLANE)
    driven = found.program.layers[0]
    synapse = driven.connections[0].synapse
    assert (driven.name, driven.shape, driven.neuron.decay_u, driven.neuron.decay_v) == ("input0", (2, 4, 4), 4095, 128)
    assert (synapse.weight.tolist(), synapse.groups) == ([[[[36]]], [[[36]]]], 2)
    assert (driven.bias.mantissa.tolist(), driven.bias.exponent) == ([-34, -34], 6)
    assert found.program.layers[1].connections[0].source == "input0"
    assert found.remarks[1:] == (
        "layer 0 (input) has a current decay (iDecay) of 1024, which counts in training and not in lava-dl's loader, "
        "where samples are added to the voltage: here they are, too",
    )
    plain = read(tmp_path, {**DRIVEN, "neuron": {**CUBA, "iDecay": 4096}}, ONE, frames=IntInput((1, 2, 2), 1.0, 8))
    assert plain.remarks == ()
    assert plain.program.layers[0].connections[0].synapse.weight.tolist() == [[[[64]]]]
    assert not plain.program.layers[0].bias.mantissa.any()


@pytest.mark.parametrize("weight", [36, -200])
@pytest.mark.parametrize("largest", [0.02, 1.0, 30.5, 70.25])
def test_samples_of_any_numbers_are_rounded_as_finely_as_the_chip_can(
    tmp_path: Path, weight: int, largest: float
) -> None:
    """The drive of each is that of lava-dl to half a step; whole numbers are left alone, as spikes without a value."""
    path = write_lava_dl(tmp_path / "some.net", [{**DRIVEN, "weight": weight}, ONE])
    frames = np.linspace(-largest, largest, 40, dtype=np.float32).reshape(10, 1, 2, 2)
    found = FORMAT.read(path, RULES, 4, frames)
    spec, used = found.program.input, int(found.program.layers[0].connections[0].synapse.weight[0, 0, 0, 0])
    assert found.remarks[0].startswith(
        f"layer 0 (input) takes samples in steps of {spec.unit:.3g}, {abs(used)} of a weight each: lava-dl rounds"
    )
    integers, clipped = quantize_input(spec, frames)
    assert not clipped
    assert np.abs(integers.astype(int) * used - frames * weight).max() <= abs(used) / 2 * (1 + 1e-5)
    assert abs(used) == 2 or largest * abs(weight) / (abs(used) - 2) > 127
    spikes = (frames > 0).astype(np.float32)
    for whole, bits in ((spikes, 0), (spikes * 3, 8)):
        assert dataclasses.astuple(FORMAT.read(path, RULES, 4, whole).program.input) == ((1, 2, 2), 1.0, bits, False)


def test_frames_too_large_to_drive_input_neurons_are_refused(tmp_path: Path) -> None:
    path = write_lava_dl(tmp_path / "some.net", [{**DRIVEN, "weight": 200}, ONE])
    with pytest.raises(
        InputError,
        match=r"the frames reach 500.5, and times 200, the weight of the file's input neurons, no graded spike of 8 "
        r"bits carries it: scale the data to at most 161.29",
    ):
        FORMAT.read(path, RULES, 4, np.full((1, 1, 2, 2), 500.5, np.float32))


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (0, r"layer 0 \(input\) has a weight of 0, so that no sample reaches its neurons: train it anew"),
        (37, r"layer 0 \(input\) has a weight of 37, which 8 bits do not hold: they hold the multiples of 2 from -256"),
        (256, r"layer 0 \(input\) has a weight of 256, which 8 bits do not hold"),
    ],
)
def test_weights_of_input_neurons_that_no_chip_holds_are_refused(tmp_path: Path, weight: int, reason: str) -> None:
    path = write_lava_dl(tmp_path / "some.net", [{**DRIVEN, "weight": weight}, ONE])
    for frames in (None, np.full((1, 1, 2, 2), 1.5, np.float32), np.ones((1, 1, 2, 2), np.float32)):
        with pytest.raises(UnsupportedNetwork, match=reason):
            FORMAT.read(path, RULES, 4, frames)


def test_a_file_is_neuroprunes_or_has_input_neurons(tmp_path: Path) -> None:
    path = write_lava_dl(tmp_path / "some.net", [DRIVEN, ONE])
    with h5py.File(path, "a") as file:
        file.attrs["steps"] = 4
    with pytest.raises(InputError, match=r"the file states its steps as neuroprune's files do, but has input neurons"):
        read_netx(path, RULES)


def test_weights_that_lava_dl_would_change_are_reported(tmp_path: Path) -> None:
    remark = read(tmp_path, INPUT, dense_fields([[-64, -2, -2, -2]])).remarks[-1]
    assert remark.startswith("layer 1 (dense) has no positive weight and -64 as its least: lava-dl 0.6 stores")
    assert remark.endswith("; here they are as the file has them")


def test_fields_that_are_not_read_are_reported(tmp_path: Path) -> None:
    assert "layer 0 (dense) has fields that are not read: 'sparsity'" in read(tmp_path, {**ONE, "sparsity": 1}).remarks


def test_frames_may_have_another_shape_where_a_dense_layer_reads_them(tmp_path: Path) -> None:
    frames = IntInput((1, 2, 2), 1.0, 0)
    assert read(tmp_path, INPUT, ONE, frames=frames).program.input.shape == (1, 2, 2)
    assert read(tmp_path, ONE, frames=frames).program.input.shape == (1, 2, 2)
    assert read(tmp_path, ONE).program.input.shape == (4, 1, 1)
    assert read(tmp_path, {"type": "input", "shape": [2, 2]}, ONE).program.input.shape == (1, 2, 2)
    assert read(tmp_path, PLANE, frames=IntInput((2, 4, 4), 1.0, 8)).program.input.bits == 8


def test_frames_of_whole_numbers_are_taken_as_they_are() -> None:
    events = np.zeros((2, 5, 1, 3, 3), np.float32)
    events[0, 0] = 1
    assert dataclasses.astuple(spikes_as_they_are(events, True, RULES)) == ((1, 3, 3), 1.0, 0, True)
    counts = spikes_as_they_are(events[:, 0] * 3, False, RULES)
    assert dataclasses.astuple(counts) == ((1, 3, 3), 1.0, RULES.input_bits, False)
    with pytest.raises(InputError, match=r"9 of the 18 values of the frames are no whole numbers, and a netx file of"):
        spikes_as_they_are(events[:, 0] / 2, False, RULES)


@pytest.mark.parametrize("kind", ["convT", "unpool", "average", "concat", "dense_comp"])
def test_layers_without_a_counterpart_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UnsupportedNetwork, match=rf"layer 1 \({kind}\) has no counterpart in what is read: \w+"):
        read(tmp_path, INPUT, {"type": kind, "shape": [4]})


def test_recurrent_blocks_of_other_sizes_or_with_delays_are_refused(tmp_path: Path) -> None:
    block = {**dense_fields(np.full((3, 4), 4)), "type": "dense_rec", "weight_rec": np.full((3, 3), 2, np.float32)}
    with pytest.raises(
        InputError, match=r"layer 1 \(dense_rec\) has recurrent weights of shape \[2, 2\] for 3 neurons: "
    ):
        read(tmp_path, INPUT, {**block, "weight_rec": np.full((2, 2), 2, np.float32)})
    with pytest.raises(InputError, match="gives to its recurrent synapses, too, and here those take one step: train"):
        read(tmp_path, INPUT, {**block, "delay": [1]})
    found = read(tmp_path, INPUT, block).program.layers[0]
    assert [(each.source, each.delay) for each in found.connections] == [("input", 0), ("dense_rec1", 1)]


def test_all_that_is_not_supported_is_refused_at_once(tmp_path: Path) -> None:
    layers = [
        {**INPUT, "neuron": {**CUBA, "wgtExp": -1}},
        {"type": "resonate", "shape": [4]},
        changed(ONE, type="SDNN"),
        changed(ONE, refDelay=3, gradedSpike=True, messageBits=8),
        changed(ONE, weight_exp=np.array([-2.0]), iDecay=[5, 6]),
        {**without(ONE, "weight"), "weight": {"real": [[2]], "imag": [[2]]}},
        without(PLANE, "neuron"),
        without(ONE, "neuron"),
        ONE,
    ]
    with pytest.raises(UnsupportedNetwork) as caught:
        read(tmp_path, *layers)
    assert caught.value.exit_code == 2
    assert caught.value.problems == (
        "layer 0 (input) has a weight exponent of -1, which lava-dl's loader ignores: train it so that wgtExp is 0",
        "layer 1 (resonate) is of an unknown kind, which lava-dl would skip silently: the kinds that are read "
        "are input, flatten, dense, dense_rec, conv, pool",
        "layer 2 (dense) has SDNN neurons: train it with CUBA neurons",
        "layer 3 (dense) has a refractory delay of 3, which lava-dl's loader ignores: train it so that refDelay is 1",
        "layer 3 (dense) has graded output spikes, which lava-dl's loader ignores: train it so that gradedSpike is 0",
        "layer 3 (dense) has output spikes of 8 message bits, which these neurons do not send: train it so that "
        "messageBits is 0",
        "layer 4 (dense) has a weight exponent of -2 from its normalisation, which lava-dl's loader ignores: train it "
        "so that weight_exp is 0",
        "layer 4 (dense) has different values of iDecay among its neurons, and a layer has one for all: train it with "
        "shared_param",
        "layer 5 (dense) has complex weights: use a block of CUBA neurons",
        "layer 6 (conv) has no neurons, which only a dense layer at the end may lack: use a block with neurons, or "
        "multiply its weights into those of the next layer",
        "layer 7 (dense) has no neurons, which only a dense layer at the end may lack: use a block with neurons, or "
        "multiply its weights into those of the next layer",
    )


def test_what_the_chips_fields_do_not_hold_is_refused_at_once(tmp_path: Path) -> None:
    layers = [
        changed(dense_fields(np.full((4, 4), 3)), iDecay=0, vDecay=4096, vThMant=131072),
        {**dense_fields([[256, -258, 254, -256]] * 2), "bias": [5000, 2], "delay": [0, 63]},
        {**without(dense_fields([[2, 2]]), "neuron"), "bias": [2]},
    ]
    with pytest.raises(UnsupportedNetwork) as caught:
        read(tmp_path, *layers)
    assert caught.value.problems == (
        "layer 0 (dense) has 16 weights that 8 bits do not hold, which are the multiples of 2 from -256 to 254: train "
        "it with lava-dl's 8-bit quantisation",
        "layer 0 (dense) has a current decay (iDecay) of 0, and the chip's field holds 1 to 4096: train it within that",
        "layer 0 (dense) has a voltage decay (vDecay) of 4096, and the chip's field holds 0 to 4095: train it within "
        "that",
        "layer 0 (dense) has a threshold (vThMant) of 131072, and the chip's field holds 0 to 131071: train it within "
        "that",
        "layer 1 (dense) has 4 weights that 8 bits do not hold, which are the multiples of 2 from -256 to 254: train "
        "it with lava-dl's 8-bit quantisation",
        "layer 1 (dense) has delays of 0 to 63 steps, and lava-dl has 0 to 62: train it within that",
        "layer 1 (dense) has 1 biases outside of -4096 to 4095, which is what the chip's field holds: train it within "
        "that",
        "layer 2 (dense) has biases but no neurons, so that lava-dl adds them once in place of every step: give it "
        "neurons",
    )


def test_pooling_that_leaves_pixels_over_is_refused(tmp_path: Path) -> None:
    pool = {**conv_fields(np.full((1, 1, 3, 3), 4), [2, 2, 2], stride=[3, 3]), "type": "pool"}
    with pytest.raises(
        UnsupportedNetwork, match=r"layer 1 \(pool\) pools 4 x 4 pixels by a kernel of 3 x 3 at a strid"
    ):
        read(tmp_path, MAPS, pool)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([INPUT], r"the file has no layer of neurons"),
        ([ONE, INPUT], r"layer 1 \(input\) is not the first"),
        ([{**INPUT, "shape": [0]}, ONE], r"the file has an input of shape \[0\], not 1 to 16777216 values in 1 to 3"),
        (
            [{**INPUT, "shape": [1 << 20] * 3}, ONE],
            r"the file has an input of shape \[1048576, 1048576, 1048576\], not",
        ),
        ([PLANE], r"the file does not say the shape of its input, which a convolution reads: name data with --data"),
        ([MAPS, PLANE, dense_fields(np.full((1, 27), 2))], r"layer 2 \(dense\) reads channels without a flatten layer"),
        ([INPUT, ONE, PLANE], r"layer 2 \(conv\) reads a dense layer, which has no channels, height and width"),
        ([{**INPUT, "shape": [5]}, ONE], r"layer 1 \(dense\) has weights of shape \[1, 4\] for 1 outputs and 5 inputs"),
        ([{**ONE, "shape": [3]}], r"layer 0 \(dense\) has weights of shape \[1, 4\] for 3 outputs and 4 inputs"),
        ([{**ONE, "bias": [1, 2]}], r"layer 0 \(dense\) has 2 biases for 1 channels or features"),
        ([{**ONE, "delay": [1, 2]}], r"layer 0 \(dense\) has delays of shape \[2\] for weights of shape \[1, 4\]"),
        (
            [without(ONE, "weight")],
            r"layer 0 \(dense\) has no field 'weight': export the network again with export_hdf5",
        ),
        ([DRIVEN], r"the file has no layer of neurons behind its input"),
        ([ONE, DRIVEN], r"layer 1 \(input\) is not the first"),
        ([DRIVEN_MAPS, dense_fields(np.full((1, 32), 2))], r"layer 1 \(dense\) reads channels without a flatten layer"),
        ([MAPS, {**PLANE, "groups": 0}], r"layer 1 \(conv\) has 0 groups, and at least 1 is needed"),
        (
            [MAPS, {**PLANE, "groups": 2}],
            r"layer 1 \(conv\) has weights of shape \[3, 2, 2, 2\] in 2 groups for 2 input",
        ),
        (
            [MAPS, {**PLANE, "stride": [0, 1]}],
            r"layer 1 \(conv\) has a stride of \[0, 1\], not one or two numbers of at",
        ),
        ([MAPS, {**PLANE, "padding": [1, 1, 1]}], r"layer 1 \(conv\) has a padding of \[1, 1, 1\], not one or two"),
        ([MAPS, {**PLANE, "dilation": 4}], r"layer 1 \(conv\) makes a map of \[3, 0, 0\], not 1 to 16777216 neurons"),
        ([MAPS, {**PLANE, "padding": 1 << 20}], r"layer 1 \(conv\) makes a map of \[3, 2097155, 2097155\], not 1 to"),
        ([MAPS, {**PLANE, "shape": [3, 4, 4]}], r"states a shape of \[3, 4, 4\], but its weights make \[3, 3, 3\]"),
    ],
)
def test_files_that_contradict_themselves_are_refused(
    tmp_path: Path, layers: list[Mapping[str, Any]], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read(tmp_path, *layers)
    assert str(caught.value).startswith(str(tmp_path / "some.net"))
    assert "\n" not in str(caught.value)


def test_steps_that_nobody_states_or_that_differ_are_refused(tmp_path: Path) -> None:
    path = write_lava_dl(tmp_path / "some.net", [ONE])
    with pytest.raises(InputError, match=r"does not say how many steps a sample runs, as no file of lava-dl's does: g"):
        read_netx(path, RULES)
    with pytest.raises(InputError, match=r"cannot run for 0 steps, at least 1 is needed: give --steps"):
        read_netx(path, RULES, steps=0)
    write_netx(program_of(dense("out", "input", (1, 1, 2), np.array([[2, 4]])), steps=4), path)
    assert read_netx(path, RULES, steps=4).program.steps == 4
    with pytest.raises(InputError, match=r"was compiled for 4 steps, not 5: leave out --steps, or deploy the network"):
        read_netx(path, RULES, steps=5)


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    reason = r"the file reads frames of \(4, 1, 1\) \(channels, height, width\), but those given are \(1, 3, 3\): name"
    with pytest.raises(InputError, match=reason):
        read(tmp_path, INPUT, ONE, frames=IntInput((1, 3, 3), 1.0, 0))
