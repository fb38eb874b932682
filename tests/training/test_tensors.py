"""Tensors: written whole or not at all, and loaded into networks of other widths."""

import json
import os

import pytest
import torch
from torch import nn

from neuroprune.errors import InputError, OutputError
from neuroprune.selection import ChannelSelection
from neuroprune.training.tensors import load_tensors, read_tensors, widths, write_tensors


def net(first: int = 4, second: int = 6) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.Conv2d(first, second, 3, padding=1),
        nn.Flatten(),
        nn.Linear(second * 16, 3),
    )


def test_tensors_and_metadata_come_back(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(3)}
    write_tensors(tmp_path / "t", tensors, {"key": "value"})
    found, metadata = read_tensors(tmp_path / "t")
    assert metadata == {"key": "value"}
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_a_slimmed_network_comes_back_through_the_code_of_the_dense_one():
    slim, module = net(2, 5).eval(), net().eval()
    load_tensors(module, slim.state_dict())
    frames = torch.randn(3, 1, 4, 4)
    assert torch.equal(module(frames), slim(frames))
    assert str(module) == str(slim)
    assert widths(module) == {"0": 2, "2": 5, "4": 3}


def test_loading_copies_so_that_networks_share_nothing():
    first, second = net(), net()
    load_tensors(second, first.state_dict())
    with torch.no_grad():
        first[0].weight.zero_()
    assert second[0].weight.abs().sum() > 0


def test_parameters_stay_parameters_and_can_be_trained_on():
    module = net()
    load_tensors(module, net(2).state_dict())
    assert isinstance(module[0].weight, nn.Parameter)
    module(torch.randn(2, 1, 4, 4)).sum().backward()
    assert module[0].weight.grad.shape == (2, 1, 3, 3)


def changed(name: str, tensor: torch.Tensor | None) -> dict[str, torch.Tensor]:
    tensors = dict(net().state_dict())
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    return tensors


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (
            changed("4.bias", None),
            r"the checkpoint lacks tensor 4\.bias, so it was not made with this network \(",
        ),
        (changed("5.bias", torch.zeros(2)), r"the checkpoint has the foreign tensor 5\.bias, so it was not made with"),
        (
            {},
            r"the checkpoint lacks tensor 0\.weight and 9 more, so it was not made with this network .*: name the net",
        ),
        (
            changed("0.weight", torch.full((4, 1, 3, 3), torch.nan)),
            r"tensor 0\.weight of the checkpoint holds 36 values that are not finite \(of 36\), but all must be: ",
        ),
        (
            changed("4.bias", torch.tensor([0.0, torch.inf, 1.0])),
            r"tensor 4\.bias of the checkpoint holds 1 values that are not finite \(of 3\)",
        ),
        (
            changed("0.weight", torch.zeros(4, 1, 5, 5)),
            r"tensor 0\.weight of the checkpoint has shape \(4, 1, 5, 5\), but Sequential needs \(4, 1, 3, 3\) there",
        ),
        (
            changed("4.weight", torch.zeros(288)),
            r"tensor 4\.weight .* has shape \(288,\), but Sequential needs \(3, 96\)",
        ),
        (changed("1.weight", torch.zeros(0)), r"tensor 1\.weight .* has shape \(0,\), but Sequential needs \(4,\)"),
    ],
)
def test_tensors_of_another_network_are_refused_and_change_nothing(tensors, sentence):
    module = net()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(InputError, match=sentence):
        load_tensors(module, tensors)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_a_grouped_convolution_keeps_its_widths():
    tensors = nn.Conv2d(4, 4, 3, groups=2).state_dict()
    with pytest.raises(InputError, match=r"tensor weight .* has shape \(4, 2, 3, 3\), but Conv2d needs \(8, 2, 3, 3\)"):
        load_tensors(nn.Conv2d(4, 8, 3, groups=2), tensors)


def depthwise(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, channels, 1), nn.Conv2d(channels, channels, 3, groups=channels), nn.Flatten())


@pytest.mark.parametrize("left", [5, 1])
def test_a_depthwise_convolution_is_resized_with_its_groups(left):
    slim, module = depthwise(left), depthwise(8)
    load_tensors(module, slim.state_dict())
    frames = torch.randn(3, 1, 4, 4)
    assert torch.equal(module(frames), slim(frames))
    assert module[1].groups == module[1].in_channels == module[1].out_channels == left
    tensors = {**slim.state_dict(), "1.weight": torch.zeros(left, 2, 3, 3)}
    with pytest.raises(InputError, match=r"tensor 1\.weight .* but Sequential needs \(8, 1, 3, 3\) there"):
        load_tensors(depthwise(8), tensors)


def test_a_channel_selection_is_resized():
    module = nn.Sequential(ChannelSelection(6), nn.Conv2d(6, 2, 1))
    slim = {"0.channels": torch.tensor([1, 4, 5]), "1.weight": torch.randn(2, 3, 1, 1), "1.bias": torch.zeros(2)}
    load_tensors(module, slim)
    frames = torch.randn(3, 6, 4, 4)
    expected = nn.functional.conv2d(frames[:, [1, 4, 5]], slim["1.weight"])
    torch.testing.assert_close(module(frames), expected)
    assert widths(module) == {"0": 3, "1": 2}


@pytest.mark.parametrize(
    "channels",
    [
        torch.tensor([0, 6]),
        torch.tensor([-1, 2]),
        torch.tensor([2, 1, 3]),
        torch.tensor([1, 1]),
        torch.tensor([0.0, 1.0]),
        torch.tensor([True, False]),
        torch.tensor(3),
        torch.zeros(0, dtype=torch.int64),
        torch.tensor([0, 1, 2, 3, 4, 6]),
    ],
)
def test_a_selection_of_channels_that_are_not_there_is_refused(channels):
    sentence = (
        r"tensor channels of the checkpoint does not select channels: it must hold numbers in 0 \.\. 5 in ascending "
        "order; restore it or train again"
    )
    with pytest.raises(InputError, match=sentence):
        load_tensors(ChannelSelection(6), {"channels": channels})


def test_missing_and_truncated_files_are_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(InputError, match=f"{path} is missing, which holds the tensors of this checkpoint: restore it"):
        read_tensors(path)
    write_tensors(path, {"a": torch.zeros(100)})
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:20], b"", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is not a whole safetensors file \(.*\): restore it or train again"):
            read_tensors(path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a Linux device")  # noqa: PTH110
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "t"
    write_tensors(path, {"a": torch.ones(1)})

    def full_disk(tensors, temporary, metadata):
        with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123
            file.write(b"x")

    monkeypatch.setattr("neuroprune.training.tensors.save_file", full_disk)
    with pytest.raises(OutputError, match=r"t could not be written \(No space left on device\); nothing was changed"):
        write_tensors(path, {"a": torch.zeros(1)})
    assert read_tensors(path)[0]["a"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["t"]


def with_header(path, header: object, length: int | None = None) -> None:
    """A safetensors file of 16 bytes of tensors behind such a header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + bytes(16))


def entry(dtype: object = "F32", shape: object = (4,), place: object = (0, 16)) -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": place}}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ([], "its header has no names"),
        (b"[" * 5000, "it is nested too deeply"),
        (b'{"a": 1, "a": 2}', "it has the key 'a' twice"),
        ({"a": 3}, "tensor a is of type 3, and those read are F64, F32"),
        (entry("F8_E4M3"), "tensor a is of type 'F8_E4M3', and those read are F64, F32, F16, BF16, I64"),
        (entry(["F32"]), r"tensor a is of type \['F32'\], and those"),
        (entry(shape=[1] * 65), r"tensor a has the shape \[1, 1, 1, 1, \.\.\.\], and at most 8 sizes are read"),
        (entry(shape=[-4]), r"tensor a has the shape \[-4\], and at most"),
        (entry(shape=[2**62, 2**62]), "tensor a has 16 bytes for a shape that needs 8507059"),
        (entry(place=[0, 2**40]), r"tensor a lies at the bytes \[0, 1099511627776\] of 16"),
        (entry(place=[16, 0]), "tensor a has -16 bytes for a shape that needs 16"),
        (entry(place=[0]), r"tensor a lies at the bytes \[0\] of 16"),
    ],
)
def test_what_a_header_states_is_compared_with_what_is_there(tmp_path, header, reason):
    with_header(tmp_path / "t", header)
    with pytest.raises(
        InputError, match=rf"t is not a whole safetensors file \({reason}.*\): restore it or train again"
    ):
        read_tensors(tmp_path / "t")


@pytest.mark.parametrize("length", [2**63, 1 << 30, 300])
def test_a_header_longer_than_its_file_is_refused(tmp_path, length):
    with_header(tmp_path / "t", entry(), length)
    with pytest.raises(InputError, match=f"it states a header of {length} bytes"):
        read_tensors(tmp_path / "t")


def test_a_module_without_memory_gets_that_of_the_tensors():
    slim = net(2, 5).eval()
    with torch.device("meta"):
        module = net(4000, 6000).eval()
    load_tensors(module, slim.state_dict())
    frames = torch.randn(3, 1, 4, 4)
    assert torch.equal(module(frames), slim(frames))
