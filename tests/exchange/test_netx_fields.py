"""Untrusted files: damaged, invented, or meant to do harm. Each is refused in one sentence."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from lava_dl import dense_fields, sample_net, write_lava_dl
from programs import NEURON, dense, program_of, with_bias

from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.exchange.netx import parts
from neuroprune.exchange.netx.read import read_netx
from neuroprune.exchange.netx.write import write_netx
from neuroprune.neurons.cuba_lif import IntCubaLif

RULES = load_chip("loihi-sim").rules
WEIGHT = np.array([[2, 4], [6, 8]])


def refused(path: Path, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_netx(path, RULES, steps=4)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def refusal(path: Path) -> str | None:
    try:
        read_netx(path, RULES, steps=4)
    except InputError as error:
        return str(error)
    return None


def replaced(folder: Path, change: Callable[[h5py.Group], object], field: str = "weight") -> Path:
    """A file whose layer 0 has its `field` taken away, and `change` applied."""
    path = write_lava_dl(folder / "some.net", [dense_fields(WEIGHT)])
    with h5py.File(path, "r+") as file:
        del file[f"layer/0/{field}"]
        change(file["layer/0"])
    return path


def test_files_that_are_not_there_or_not_hdf5_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.net", r"cannot be read \(No such file or directory\): name an HDF5 file")
    refused(
        tmp_path, r"is not a whole netx file \(it is a folder\): name an HDF5 file that lava-dl or neuroprune wrote"
    )
    (tmp_path / "text.net").write_text("a text")
    refused(tmp_path / "text.net", r"is not a whole netx file \(.*file signature not found.*\): name an HDF5")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, share: float) -> None:
    path = sample_net(tmp_path / "some.net")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, r"is not a whole netx file \(")


def test_damaged_files_are_refused_or_read_but_nothing_else(tmp_path: Path) -> None:
    """Bytes changed at random, in the structure as well as in the numbers."""
    whole = sample_net(tmp_path / "some.net").read_bytes()
    refused = 0
    for seed in range(100):
        chance = random.Random(seed)
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 3, 20])):
            damaged[chance.randrange(len(damaged))] = chance.choice([0, 1, 127, 255])
        (tmp_path / "damaged.net").write_bytes(damaged)
        sentence = refusal(tmp_path / "damaged.net")
        assert sentence is None or "\n" not in sentence
        refused += sentence is not None
    assert 20 < refused < 100


def test_a_damaged_heap_of_strings_is_refused(tmp_path: Path) -> None:
    """The kind of the neurons lies there; HDF5 itself would look for it without end."""
    path = sample_net(tmp_path / "some.net")
    whole = path.read_bytes()
    place = whole.index(b"GCOL")
    for damaged in (
        whole.replace(b"GCOL", b"GONE"),
        whole[: place + 24] + bytes(8) + whole[place + 32 :],
        whole[: place + 8] + bytes(8) + whole[place + 16 :],
    ):
        path.write_bytes(damaged)
        refused(path, r"the neuron of layer 1 \(conv\) has a field 'type' that is no short text: export the network")


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (WEIGHT * np.nan, r"has 4 values in 'weight' that are not finite numbers: export the network again"),
        (WEIGHT + 0.5, r"has values in 'weight' that are no whole numbers, of which lava-dl drops the fraction: train"),
        (WEIGHT * 1e20, r"has values in 'weight' that no register holds: export the network again"),
        (WEIGHT.astype("S3"), r"has a field 'weight' that holds no numbers: export the network again"),
        (WEIGHT.astype(complex), r"has a field 'weight' that holds no numbers"),
        (WEIGHT[:0], r"has weights of shape \[0, 2\] for 2 outputs and 2 inputs"),
    ],
)
def test_values_that_are_no_integers_are_refused(tmp_path: Path, weight: Any, reason: str) -> None:
    refused(replaced(tmp_path, lambda group: group.create_dataset("weight", data=weight)), reason)


def test_objects_are_not_read(tmp_path: Path) -> None:
    """Neither references nor lists of variable length, nor what has no values at all."""
    path = replaced(tmp_path, lambda group: group.create_dataset("shape", data=h5py.Empty("f4")), "shape")
    refused(path, r"layer 0 \(dense\) has a field 'shape' that holds no numbers")
    for kind in (h5py.ref_dtype, h5py.vlen_dtype(np.int32)):
        path = replaced(tmp_path, lambda group, kind=kind: group.create_dataset("weight", (2, 2), kind))
        refused(path, r"layer 0 \(dense\) has a field 'weight' that holds no numbers")


def test_nothing_is_allocated_for_what_a_file_only_declares(tmp_path: Path) -> None:
    path = replaced(tmp_path, lambda group: group.create_dataset("weight", (1 << 20, 1 << 20), "f8"))
    refused(path, r"layer 0 \(dense\) has a field 'weight' that is larger than the whole file: export the network")
    path = replaced(tmp_path, lambda group: group.create_dataset("weight", (1 << 14, 1 << 14), "i1", compression=9))
    refused(path, r"has a field 'weight' that is compressed or lies elsewhere: copy the file with h5repack")


def test_the_same_bytes_are_not_read_for_ever(tmp_path: Path) -> None:
    path = write_lava_dl(tmp_path / "some.net", [dense_fields(np.full((64, 64), 2))])
    with h5py.File(path, "r+") as file:
        for number in range(1, 30):
            file[f"layer/{number}"] = file["layer/0"]
    refused(path, r"layer \d+ \(dense\) has a field 'weight' that is larger than the whole file")


def test_other_files_are_not_opened(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["weight"] = WEIGHT
    layout = h5py.VirtualLayout((2, 2), "i8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "weight", (2, 2))
    elsewhere = [(str(tmp_path / "other.h5"), 0, 32)]
    for link in (h5py.ExternalLink("other.h5", "/weight"), h5py.SoftLink("/layer/1/weight")):
        path = replaced(tmp_path, lambda group, link=link: group.__setitem__("weight", link))
        refused(path, r"layer 0 \(dense\) has a field 'weight' that only names another place or file: export")
    for change in (
        lambda group: group.create_virtual_dataset("weight", layout),
        lambda group: group.create_dataset("weight", (2, 2), "i8", external=elsewhere),
    ):
        refused(replaced(tmp_path, change), r"has a field 'weight' that is compressed or lies elsewhere: copy the file")


def test_fields_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    refused(
        replaced(tmp_path, lambda group: group.create_group("shape"), "shape"),
        r"layer 0 \(dense\) has a field 'shape' that is no array of numbers",
    )
    refused(
        replaced(tmp_path, lambda group: group.create_dataset("neuron", data=1), "neuron"),
        r"layer 0 \(dense\) has a field 'neuron' that is no group",
    )
    for kind in (b"den\xffse", b"a\nb", b"d" * 300):
        path = replaced(tmp_path, lambda group, kind=kind: group.create_dataset("type", data=np.bytes_(kind)), "type")
        refused(path, r"layer 0 has a field 'type' that is no short text")
    path = replaced(tmp_path, lambda group: group["neuron"].__setitem__("vDecay", [[]]), "neuron/vDecay")
    refused(path, r"the neuron of layer 0 \(dense\) has 0 different values in 'vDecay', and one is needed")


def test_layers_that_are_missing_or_too_many_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lava_dl(tmp_path / "some.net", [dense_fields(WEIGHT), dense_fields(WEIGHT)])
    with h5py.File(path, "r+") as file:
        file.move("layer/0", "layer/7")
    refused(path, r"the group of layers has no field '0'")
    with h5py.File(path, "w") as file:
        file.create_group("layer")
    refused(path, r"the group of layers holds 0 layers, and 1 to 1000 are read")
    with h5py.File(path, "w") as file:
        file.create_group("layers")
    refused(path, r"the file has no field 'layer'")
    with h5py.File(path, "w") as file:
        for number in range(5000):
            file.create_group(f"layer/{number}")
    refused(path, r"the group of layers holds 5000 layers, and 1 to 1000 are read: write one network to a file")
    monkeypatch.setattr(parts, "MOST_LAYERS", 5000)
    refused(path, r"layer 0 has no field 'type'")


def test_other_layouts_of_hdf5_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "some.net", "w", userblock_size=512) as file:
        file.create_group("layer")
    refused(tmp_path / "some.net", r"is laid out in a way that lava-dl does not write: copy it with h5repack")


@pytest.mark.parametrize(
    ("place", "name", "value", "reason"),
    [
        ("/", "steps", 0, r"the file states 0 steps, and at least 1 is needed"),
        ("/", "steps", "many", r"the file has an attribute 'steps' that is no int"),
        ("/", "steps", [4, 4], r"the file has an attribute 'steps' that is no int"),
        ("/", "input_bits", 16, r"the file states an input of 16 bits in units of 1.0"),
        ("/", "input_unit", np.nan, r"the file states an input of 8 bits in units of nan"),
        ("/", "readout_of", np.bytes_("mood"), r"states 'mood' as 'readout_of', not one of spikes, voltage"),
        ("/", "readout_over_time", np.bytes_("max"), r"states 'max' as 'readout_over_time', not one of mean, sum"),
        ("/", "readout_votes", 0, r"the file states 0 votes for a class, and at least 1 is needed"),
        ("layer/2", "name", np.bytes_("input"), r"layer 2 \(dense\) has the name 'input' of another layer"),
        ("layer/2", "name", np.bytes_("a\nb"), r"layer 2 \(dense\) has an attribute 'name' that is no str"),
        ("layer/2", "scale", -1.0, r"layer 2 \(dense\) states a scale of -1.0"),
        ("layer/2", "reset", np.bytes_("half"), r"states 'half' as 'reset', not one of zero, subtract"),
        ("layer/2", "weight_bits", 9, r"layer 2 \(dense\) states weights of 9 bits, not 2 to 8"),
        ("layer/2", "bias_exp", 8, r"layer 2 \(dense\) states a bias exponent of 8, not 0 to 7"),
        ("layer/2", "bias_exp", 7, r"layer 2 \(dense\) has biases that are no multiples of the unit 2\*\*7 it states"),
    ],
)
def test_attributes_of_ours_are_checked(tmp_path: Path, place: str, name: str, value: Any, reason: str) -> None:
    path = tmp_path / "program.net"
    write_netx(program_of(dense("out", "input", (1, 1, 2), WEIGHT, with_bias(NEURON, [1, 2]))), path)
    with h5py.File(path, "r+") as file:
        file[place].attrs[name] = value
    refused(path, reason)


def test_what_the_fields_of_another_chip_do_not_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.net"
    neurons = IntCubaLif(decay_u=4094, decay_v=2, vth=300)
    write_netx(program_of(dense("out", "input", (1, 1, 2), WEIGHT, neurons)), path)
    with pytest.raises(UnsupportedNetwork) as caught:
        read_netx(path, replace(RULES, chip="small", input_bits=7))
    assert caught.value.problems == (
        "the input has 8 bits, and graded spikes on small 7: deploy the network anew for it",
    )
    with pytest.raises(UnsupportedNetwork) as caught:
        read_netx(path, replace(RULES, decay_bits=10))
    assert caught.value.problems == (
        "layer 2 (dense) has a current decay (iDecay) of 4095, and the chip's field holds 4 to 4096 in steps of 4: "
        "train it within that",
        "layer 2 (dense) has a voltage decay (vDecay) of 2, and the chip's field holds 0 to 4092 in steps of 4: "
        "train it within that",
    )
    hidden = dense("hidden", "input", (1, 1, 2), WEIGHT, replace(neurons, vth=600))
    write_netx(program_of(hidden, dense("out", "hidden", (2,), WEIGHT, neurons)), path)
    with pytest.raises(
        UnsupportedNetwork, match=r"a threshold \(vThMant\) of 600, and the chip's field holds 0 to 511: "
    ):
        read_netx(path, replace(RULES, state_bits=16))


def test_groups_that_are_not_apart_are_refused(tmp_path: Path) -> None:
    for groups, reason in (
        (3, r"states 3 groups that its 1 cannot be split into"),
        (2, r"that its weights do not keep"),
    ):
        path = sample_net(tmp_path / "some.net", in_shape=(2, 6, 5))
        with h5py.File(path, "r+") as file:
            del file["layer/1/weight"], file["layer/1/shape"], file["layer/3"]
            file["layer/1/weight"], file["layer/1/shape"] = np.full((4, 2, 3, 3), 2), [4, 3, 3]
            file["layer/1"].attrs["groups_of_program"] = groups
            file.move("layer/4", "layer/3")
        refused(path, reason)


def test_delays_that_lava_dl_does_not_have_cost_no_more_than_others(tmp_path: Path) -> None:
    """A connection for each of a million delays would take terabytes."""
    weight = np.full((1000, 1000), 2)
    path = write_lava_dl(
        tmp_path / "some.net", [dense_fields(weight, delay=np.arange(weight.size).reshape(weight.shape))]
    )
    with pytest.raises(UnsupportedNetwork, match="has delays of 0 to 999999 steps, and lava-dl has 0 to 62: train it"):
        read_netx(path, RULES, steps=4)
