"""The catalogue of file formats, without their readers: what help, errors and documentation name."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from neuroprune.exchange.format import ExchangeFormat


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
)


def readable_suffixes() -> tuple[str, ...]:
    """Suffixes of the files that can be deployed."""
    return tuple(info.suffix for info in FORMATS if info.reads)


def exchange_formats() -> "tuple[ExchangeFormat, ...]":
    """The formats that neuroprune reads and writes, each an `ExchangeFormat`.

    >>> from neuroprune import exchange_formats
    >>> [(each.info.name, each.info.suffix) for each in exchange_formats()]
    [('netx', '.net'), ('ONNX', '.onnx')]
    """
    return tuple(import_module(info.module).FORMAT for info in FORMATS)
