"""Reads and writes safetensors files, and loads their tensors into modules, with checks."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from neuroprune.documents import parse_json
from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.files import replace_file
from neuroprune.reading import is_file, read_up_to, reading, size_of
from neuroprune.selection import ChannelSelection

Tensors = Mapping[str, torch.Tensor]

REMEDY = "restore it or train again"

LENGTH_BYTES = 8
LARGEST_HEADER = 1 << 24
"""Bytes: some 100,000 tensors, and the histories and settings of the longest training."""
MOST_DIMENSIONS = 8
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes of a value of each dtype, as safetensors calls them, that neuroprune writes or loads as weights."""


def write_tensors(path: Path, tensors: Tensors, metadata: Mapping[str, str] | None = None) -> None:
    """Copies of `tensors` and `metadata` in one safetensors file, atomically. Raises OutputError."""
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}

    def save(temporary: Path) -> None:
        try:
            save_file(copies, temporary, dict(metadata or {}))
        except SafetensorError as error:
            raise OSError(str(error)) from error

    replace_file(path, save)


def read_tensors(path: Path, remedy: str = REMEDY) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises InputError, with that remedy, if it is missing or cut."""
    if not is_file(path):
        raise InputError(f"{path} is missing, which holds the tensors of this checkpoint: {remedy}")
    with reading(path, "a whole safetensors file", remedy):
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}


def _check_header(path: Path) -> None:
    """Check what the header states before tensors are made of it. Raises OSError, or ValueError with the reason.

    The header is JSON after its length in 8 bytes: for each tensor its dtype, shape and place among the bytes behind.
    """
    size = size_of(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > min(size - LENGTH_BYTES, LARGEST_HEADER):
            raise ValueError(f"it states a header of {length} bytes")
        header = parse_json(read_up_to(file, length).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("its header has no names")
    for name, entry in header.items():
        if name != "__metadata__":
            _check_entry(capped(name, 60), entry, size - LENGTH_BYTES - length)


def _check_entry(name: str, entry: Any, behind: int) -> None:
    """Check a tensor's entry in the header of a file with `behind` bytes of tensors. Raises ValueError."""
    if not isinstance(entry, dict) or entry.get("dtype") not in tuple(ITEM_BYTES):
        found = excerpt(entry.get("dtype") if isinstance(entry, dict) else entry)
        raise ValueError(f"tensor {name} is of type {found}, and those read are {', '.join(ITEM_BYTES)}")
    shape: Any = entry.get("shape")
    place: Any = entry.get("data_offsets")
    if not _are_sizes(shape) or len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"tensor {name} has the shape {excerpt(shape)}, and at most {MOST_DIMENSIONS} sizes are read")
    if not _are_sizes(place) or len(place) != 2 or max(place) > behind:
        raise ValueError(f"tensor {name} lies at the bytes {excerpt(place)} of {behind}")
    needed = math.prod(shape) * ITEM_BYTES[entry["dtype"]]
    if place[1] - place[0] != needed:
        raise ValueError(f"tensor {name} has {place[1] - place[0]} bytes for a shape that needs {needed}")


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)


def load_tensors(module: nn.Module, tensors: Tensors) -> None:
    """Put `tensors`, named as in the module's state_dict, into `module`.

    Convolutions, linear layers, BatchNorms and channel selections whose tensors have another number of channels or
    features are resized to them, widths included: so a slimmed network is restored by the code that built the dense
    one. A module on torch's meta device, which has shapes alone, gets its memory here.
    Raises InputError, before anything is changed, for missing or foreign names, for values that are not finite, and for
    shapes that no change of width explains.
    """
    own = dict(module.state_dict())
    for kind, names in (("lacks", own.keys() - tensors.keys()), ("has the foreign", tensors.keys() - own.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise InputError(
                f"the checkpoint {kind} tensor {capped(min(names), 60)}{more}, so it was not made with this network "
                f"({type(module).__name__}): name the network it was made with"
            )
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise InputError(
                f"tensor {name} of the checkpoint holds {bad} values that are not finite (of {tensor.numel()}), "
                "but all must be: train again, perhaps with a lower learning rate"
            )
        layer = module.get_submodule(name.rpartition(".")[0])
        if isinstance(layer, ChannelSelection):
            _check_selection(layer, name, tensor)
        elif tensor.shape != own[name].shape:
            _check_resizable(module, name, tensor, own[name])
    for name, tensor in tensors.items():
        owner, _, leaf = name.rpartition(".")
        layer = module.get_submodule(owner)
        current = getattr(layer, leaf)
        value = tensor.to(device=None if current.is_meta else current.device, dtype=current.dtype, copy=True)
        if value.shape == current.shape and not current.is_meta:
            current.data.copy_(value)
        elif isinstance(current, nn.Parameter):
            setattr(layer, leaf, nn.Parameter(value, requires_grad=current.requires_grad))
        else:
            setattr(layer, leaf, value)
    _set_widths(module)


def _check_resizable(module: nn.Module, name: str, found: torch.Tensor, own: torch.Tensor) -> None:
    layer = module.get_submodule(name.rpartition(".")[0])
    resizable = isinstance(layer, nn.Conv2d | nn.Linear | _BatchNorm)
    fixed = own.shape[2:]
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        resizable, fixed = _is_depthwise_module(layer), own.shape[1:]
    if not resizable or found.shape[own.ndim - len(fixed) :] != fixed or found.ndim != own.ndim or 0 in found.shape:
        raise InputError(
            f"tensor {name} of the checkpoint has shape {tuple(found.shape)}, but {type(module).__name__} needs "
            f"{tuple(own.shape)} there: name the network it was made with"
        )


def _check_selection(selection: ChannelSelection, name: str, found: torch.Tensor) -> None:
    whole = found.dtype == torch.int64 and found.ndim == 1 and found.numel() > 0
    if not whole or found[0] < 0 or found[-1] >= selection.width or (found.diff() <= 0).any():
        raise InputError(
            f"tensor {name} of the checkpoint does not select channels: it must hold numbers in 0 .. "
            f"{selection.width - 1} in ascending order; restore it or train again"
        )


def _is_depthwise_module(layer: nn.Conv2d) -> bool:
    """Whether each channel has one kernel of its own, and gives one channel."""
    return layer.groups == layer.in_channels == layer.out_channels != 1


def _set_widths(module: nn.Module) -> None:
    """Make every layer's stated width that of its tensors."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and _is_depthwise_module(layer):
            layer.out_channels = layer.in_channels = layer.groups = layer.weight.shape[0]
        elif isinstance(layer, nn.Conv2d) and layer.groups == 1:
            layer.out_channels, layer.in_channels = layer.weight.shape[:2]
        elif isinstance(layer, nn.Linear):
            layer.out_features, layer.in_features = layer.weight.shape
        elif isinstance(layer, _BatchNorm) and layer.weight is not None:
            layer.num_features = len(layer.weight)


def widths(module: nn.Module) -> dict[str, int]:
    """Output channels or features of every convolution, linear layer and channel selection, by name, in their order."""
    return {
        name: len(layer.channels) if isinstance(layer, ChannelSelection) else layer.weight.shape[0]
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear | ChannelSelection)
    }
