"""Weights of others: whatever a file calls them, they reach their places whole, or a sentence says why not."""

import argparse
import contextlib
import datetime
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from spikingjelly.activation_based import layer, neuron
from torch import nn

from neuroprune.errors import InputError
from neuroprune.training.weights import load_weights

RAN = "ran"
"""A file that appears where code of a file of weights is run."""
Tensors = dict[str, torch.Tensor]


class Net(nn.Module):
    """A convolution in a container, BatchNorm, neurons with a parameter, and a linear layer."""

    def __init__(self, classes: int = 10, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = layer.SeqToANNContainer(nn.Conv2d(1, 4, 3))
        self.norm = layer.BatchNorm2d(4)
        self.spikes = neuron.ParametricLIFNode(init_tau=2.0 + seed)
        self.fc = nn.Linear(4, classes)
        self.norm.running_mean.uniform_()


class Within(nn.Module):
    """The same as the only part of another."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.net = Net(seed=seed)


OTHER = Net(seed=1)
"""Trained, as far as these tests know."""


def trained() -> Tensors:
    return {name: tensor.clone() for name, tensor in OTHER.state_dict().items()}


def renamed(rename: Callable[[str], str]) -> Tensors:
    return {rename(name): tensor for name, tensor in trained().items()}


def saved(folder: Path, content: object, name: str = "w.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def holds_those_of(found: nn.Module, expected: nn.Module = OTHER) -> bool:
    pairs = zip(found.state_dict().values(), expected.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


FORMS: dict[str, Callable[[], object]] = {
    "as it is": trained,
    "in parallel": lambda: renamed(lambda name: f"module.{name}"),
    "compiled": lambda: renamed(lambda name: f"_orig_mod.{name}"),
    "compiled, in parallel": lambda: renamed(lambda name: f"_orig_mod.module.{name}"),
    "a layer compiled": lambda: renamed(lambda name: name.replace("fc.", "fc._orig_mod.")),
    "part of another": lambda: renamed(lambda name: f"backbone.net.{name}"),
    "part of another, in parallel": lambda: renamed(lambda name: f"model.module.{name}"),
    "of clock_driven, one layer": lambda: renamed(lambda name: name.replace("conv.0", "conv.module")),
    "of clock_driven, several": lambda: renamed(lambda name: name.replace("conv.0", "conv.module.0")),
    "under net": lambda: {"epoch": 3, "net": trained(), "acc": 0.9},
    "deep, in a list": lambda: {"all": [{"fold": ({"any name": trained()},)}]},
    "beside an optimiser": lambda: {"optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}, "state_dict": trained()},
    "beside smaller ones": lambda: {"head": {"fc.weight": torch.ones(10, 4)}, "model": trained()},
    "beside another's": lambda: {"teacher": Net(classes=100).state_dict(), "student": trained()},
    "twice": lambda: {"net": trained(), "ema": Net(seed=5).state_dict()},
    "beside options": lambda: {"args": argparse.Namespace(lr=0.1, out=Path("x")), "model": trained()},
    "beside numpy's": lambda: {"best": np.float64(0.9), "cm": np.eye(2), "i": np.int64(3), "model": trained()},
    "beside a date": lambda: {"at": datetime.datetime(2024, 1, 1), "model": trained()},
    "in double": lambda: {
        name: each.double() if each.is_floating_point() else each for name, each in trained().items()
    },
    "as parameters": lambda: {
        name: nn.Parameter(each) if each.is_floating_point() else each for name, each in trained().items()
    },
    "with counts of thop": lambda: {**trained(), "total_ops": torch.zeros(1), "fc.total_params": torch.zeros(1)},
    "with what neurons remember": lambda: {**trained(), "spikes.v": torch.ones(2, 4, 3, 3)},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("archive", [True, False], ids=["zip", "pickle"])
def test_weights_are_found_whatever_stands_around_them(form: str, archive: bool, tmp_path: Path) -> None:
    network, path = Net(), tmp_path / "w.pth"
    torch.save(FORMS[form](), path, _use_new_zipfile_serialization=archive)
    loaded = load_weights(network, path)
    assert holds_those_of(network)
    assert loaded.tensors == len(trained())


@pytest.mark.parametrize("form", ["as it is", "in parallel", "part of another, in parallel"])
def test_a_network_that_is_part_of_another_takes_its_weights(form: str, tmp_path: Path) -> None:
    network = Within()
    load_weights(network, saved(tmp_path, FORMS[form]()))
    assert holds_those_of(network)


def test_what_was_taken_is_said(tmp_path: Path) -> None:
    tensors = {**renamed(lambda name: f"model.{name}"), "model.fc.total_ops": torch.zeros(1)}
    loaded = load_weights(Net(), saved(tmp_path, {"epoch": 3, "state_dict": tensors}, "best.ckpt"))
    assert loaded.title == (
        "10 tensors of best.ckpt under state_dict, named without model.; model.fc.total_ops left out, on which no "
        "output depends"
    )
    assert (loaded.part, loaded.prefix, loaded.unused) == (("state_dict",), "model.", ("model.fc.total_ops",))
    assert len(loaded.sha256) == 64 and loaded.facts.file == "best.ckpt"


def test_safetensors_are_read(tmp_path: Path) -> None:
    network = Net()
    save_file(renamed(lambda name: f"module.{name}"), tmp_path / "w.safetensors")
    load_weights(network, tmp_path / "w.safetensors")
    assert holds_those_of(network)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_become_the_networks_own_type(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = {name: each.to(dtype) if each.is_floating_point() else each for name, each in trained().items()}
    network = Net()
    load_weights(network, saved(tmp_path, tensors))
    assert network.fc.weight.dtype == torch.float32
    assert torch.equal(network.fc.weight, OTHER.fc.weight.to(dtype).float())


def test_parameters_stay_those_that_an_optimiser_holds(tmp_path: Path) -> None:
    network = Net()
    before = list(network.parameters())
    load_weights(network, saved(tmp_path, trained()))
    assert all(one is other for one, other in zip(before, network.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in before)


def test_counts_of_batches_may_be_missing(tmp_path: Path) -> None:
    tensors = {name: each for name, each in trained().items() if "num_batches" not in name}
    network = Net()
    load_weights(network, saved(tmp_path, tensors))
    assert torch.equal(network.fc.weight, OTHER.fc.weight)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            lambda: {name: each for name, each in trained().items() if not name.startswith(("fc", "norm.running"))},
            r"w\.pth does not hold the weights of network Net: it lacks 4 of its 10 tensors \(norm\.running_mean, "
            r"norm\.running_var, fc\.weight and 1 more\): name the weights of this network, or make it as it was",
        ),
        (
            lambda: {**trained(), "head.weight": torch.ones(2), "fc.v": torch.ones(1)},
            r"w\.pth does not hold the weights of network Net: it has 2 that are foreign to it \(head\.weight, fc\.v\)",
        ),
        (
            lambda: renamed(lambda name: name.replace("fc.", "classifier.")),
            r"it lacks 2 of its 10 tensors \(fc\.weight, fc\.bias\) and has 2 that are foreign to it \(classifier\.wei",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 3, 3), nn.Linear(2, 2)).state_dict(),
            r"w\.pth has none of the 10 tensors of network Net \(conv\.0\.weight, conv\.0\.bias, norm\.weight and 7 "
            r"more\), but 0\.weight, 0\.bias, 1\.weight and 1 more: name the weights of this network, or the",
        ),
        (
            lambda: {"optimizer": {"state": {0: {"exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}}}},
            r"w\.pth has none of the 10 tensors of network Net .*, but exp_avg, exp_avg_sq: name the weights of this",
        ),
        (
            lambda: Net(classes=100).state_dict(),
            r"tensor fc\.weight of .*w\.pth has shape \(100, 4\), but network Net needs \(10, 4\) there, and so it is "
            r"with 1 more: make the network as it was when they were saved \(as with --args num_classes=100\), or name",
        ),
        (
            lambda: {**trained(), "fc.bias": torch.tensor([0.0, torch.nan, torch.inf, *[1.0] * 7])},
            r"tensor fc\.bias of .*w\.pth holds 2 values that are not finite \(of 10\), but all must be: name wei",
        ),
        (
            lambda: {**trained(), "fc.bias": torch.full((10,), 1e300, dtype=torch.float64)},
            r"tensor fc\.bias of .*w\.pth holds 10 values that are not finite",
        ),
        (
            lambda: {**trained(), "fc.bias": torch.zeros(10, dtype=torch.int8)},
            r"tensor fc\.bias of .*w\.pth holds numbers of another kind \(int8\), but network Net needs float32 there",
        ),
        (
            lambda: {**trained(), "fc.bias": torch.zeros(10, dtype=torch.complex64)},
            r"tensor fc\.bias of .*w\.pth holds numbers of another kind \(complex64\), but network Net needs float32",
        ),
        (
            lambda: {**trained(), "fc.weight": torch.eye(10, 4).to_sparse()},
            r"tensor fc\.weight of .*w\.pth holds no plain numbers \(float32\), but network Net needs float32 there",
        ),
        (
            lambda: {**trained(), "fc.weight": torch.empty(10, 4, device="meta")},
            r"tensor fc\.weight of .*w\.pth holds no plain numbers",
        ),
        (
            lambda: {"state": {}, "param_groups": [{"lr": 0.1}]},
            r"w\.pth holds no dictionary of tensors by name, so no weights: write it with torch\.save\(net\.state",
        ),
        (lambda: torch.ones(3), r"w\.pth holds no dictionary of tensors by name, so no weights"),
        (lambda: [torch.ones(3)], r"w\.pth holds no dictionary of tensors by name, so no weights"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_change_nothing(
    content: Callable[[], object], sentence: str, tmp_path: Path
) -> None:
    network = Net()
    with pytest.raises(InputError, match=sentence) as refused:
        load_weights(network, saved(tmp_path, content()))
    assert holds_those_of(network, Net())
    assert len(str(refused.value)) < 600


class Harmful:
    """Makes a file where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.place}",)


class Built:
    """Makes a file by what sets its state."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return argparse.Namespace, (), Harmful(self.place)


@pytest.mark.parametrize("kind", [Harmful, Built])
@pytest.mark.parametrize("form", ["beside", "alone", "pickle", "plain pickle"])
def test_code_in_a_file_does_not_run(kind: type, form: str, tmp_path: Path) -> None:
    path, place = tmp_path / "w.pth", tmp_path / RAN
    harmful = kind(place)
    content = {"net": trained(), "extra": harmful} if form in ("beside", "pickle") else harmful
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form != "pickle")
    with pytest.raises(
        InputError, match=r"w\.pth (holds more than tensors: posix\.system would have to run|is not a whole)"
    ):
        load_weights(Net(), path)
    assert not place.exists()
    with contextlib.suppress(pickle.UnpicklingError):
        pickle.loads(pickle.dumps(harmful, protocol=2))  # noqa: S301 - our own: so it would have run
    assert place.exists()


@pytest.mark.parametrize("content", [lambda: OTHER, lambda: {"model": OTHER}, lambda: {"f": nn.Linear}])
def test_a_whole_network_is_refused_with_what_to_save_instead(content: Callable[[], object], tmp_path: Path) -> None:
    sentence = (
        r"w\.pth holds more than tensors: \S+ would have to run, and nothing of a file is run: write the tensors "
        r"alone, with torch\.save\(net\.state_dict\(\), \.\.\.\)$"
    )
    with pytest.raises(InputError, match=sentence):
        load_weights(Net(), saved(tmp_path, content()))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda whole: b"", "it is empty"),
        (
            lambda whole: whole[: len(whole) // 2],
            "File is not a zip file",
        ),
        (lambda whole: whole[:3], ""),
        (lambda whole: b"weights\n" * 40, "it begins as no file of torch.save does"),
        (lambda whole: pickle.dumps({"a": 1}, protocol=4), "its pickle is not of tensors"),
        (lambda whole: b"\x80\x02", ""),
    ],
)
def test_damaged_files_are_refused(damage: Callable[[bytes], bytes], reason: str, tmp_path: Path) -> None:
    path = saved(tmp_path, trained())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        InputError, match=rf"w\.pth is not a whole file of weights \({reason}.*\): fetch it again, or write"
    ):
        load_weights(Net(), path)


def test_a_file_whose_tensor_was_cut_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, trained())
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "cut.pth", "w") as cut:
        for name in whole.namelist():
            content = whole.read(name)
            cut.writestr(name, content[:4] if "/data/" in name and len(content) > 100 else content)
    with pytest.raises(InputError, match=r"cut\.pth is not a whole file of weights \("):
        load_weights(Net(), tmp_path / "cut.pth")


def test_an_archive_that_unpacks_to_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.zeros(1 << 20)})
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(
        InputError, match=r"packed\.pth is not a whole file of weights \(it holds \d+ bytes and states 4"
    ):
        load_weights(Net(), tmp_path / "packed.pth")


def test_safetensors_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(trained(), path)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:20], b""):
        path.write_bytes(content)
        with pytest.raises(
            InputError, match=r"w\.safetensors is not a whole .*\): fetch it again, or write it with torch"
        ):
            load_weights(Net(), path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch.jit goes out of use
def test_a_program_of_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(
        InputError, match=r"w\.pt is not a whole file of weights \(it is a program of TorchScript's\): "
    ):
        load_weights(Net(), tmp_path / "w.pt")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    for name in ("missing.pth", "missing.safetensors"):
        with pytest.raises(InputError, match=rf"{name} cannot be read \(No such file or directory\): fetch it again"):
            load_weights(Net(), tmp_path / name)
    for name in ("folder.pth", "folder.safetensors"):
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=rf"{name} is not a whole file of weights \(it is a folder\): fetch it"):
            load_weights(Net(), tmp_path / name)


def test_a_network_without_tensors_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="network Flatten has 0 tensors, so no weights can be put into it: name one that"
    ):
        load_weights(nn.Flatten(), saved(tmp_path, trained()))


def test_a_network_of_one_layer_is_not_filled_from_a_layer_of_another_name(tmp_path: Path) -> None:
    network = nn.Sequential()
    network.add_module("fc", nn.Linear(4, 2))
    with pytest.raises(InputError, match="has none of the 2 tensors of network Sequential"):
        load_weights(network, saved(tmp_path, {"head.weight": torch.ones(2, 4), "head.bias": torch.ones(2)}))


def test_names_that_say_how_a_network_was_run_are_kept_where_they_tell_layers_apart(tmp_path: Path) -> None:
    def made() -> nn.Module:
        network = nn.Linear(3, 2)
        network.add_module("module", nn.Linear(3, 2))
        return network

    one, other = made(), made()
    load_weights(one, saved(tmp_path, other.state_dict()))
    assert holds_those_of(one, other)


def test_a_list_that_holds_itself_is_looked_into_once(tmp_path: Path) -> None:
    loop: list[object] = [trained()]
    loop.append(loop)
    network = Net()
    load_weights(network, saved(tmp_path, loop))
    assert holds_those_of(network)
