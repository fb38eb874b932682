"""The catalogue of file formats, without their readers: what help, errors and documentation name."""

from dataclasses import dataclass
from typing import Literal

from neuroprune.errors import InputError


@dataclass(frozen=True)
class FormatInfo:
    """A file format. suffix: of its files, with the dot. file: the name of a deployment's own. holds: which program.

    reads: whether its files can be deployed. module: that of its `FORMAT`; empty for one that is passed as an object.
    """

    name: str
    title: str
    suffix: str
    file: str
    holds: Literal["float program", "integer program"]
    reads: bool
    module: str = ""


FORMATS = (
    FormatInfo(
        "netx",
        "lava-dl's format (HDF5), for Lava on a CPU or on a chip",
        ".net",
        "program.net",
        "integer program",
        True,
        "neuroprune.exchange.netx.format",
    ),
    FormatInfo(
        "ONNX",
        "standard ONNX operators, for any runtime",
        ".onnx",
        "model.onnx",
        "float program",
        False,
        "neuroprune.exchange.onnx",
    ),
    FormatInfo(
        "NIR",
        "the Neuromorphic Intermediate Representation, for snnTorch, Norse, sinabs, SpikingJelly and others",
        ".nir",
        "network.nir",
        "float program",
        False,
        "neuroprune.exchange.nir",
    ),
)


def readable_suffixes() -> tuple[str, ...]:
    """Suffixes of the files that can be deployed."""
    return tuple(info.suffix for info in FORMATS if info.reads)


def refuse_onnx(*names: object) -> None:
    """Raise InputError where one of `names`, which a person gave for a network or its weights, is an ONNX file."""
    for name in names:
        if str(name).endswith(".onnx"):
            raise InputError(
                f"{name} is an ONNX file, which is written and not read, for ONNX has operators and no neurons: give "
                "the program.net or network.nir that lies beside one of neuroprune's, and of others a NIR file, or the "
                "class with its weights (--model file.py:Class --weights trained.pth)"
            )
