"""The protocol of file formats: a suffix, a writer and perhaps a reader.

A format is a file (or a folder) of this room that holds a `FORMAT`; it enters `FORMATS` in exchange/catalog.py, or is
passed to `deploy`, `read_program` and `write_program` as an object of one's own.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from neuroprune.arrays import FramesLike
from neuroprune.errors import InputError
from neuroprune.exchange.catalog import FORMATS, FormatInfo
from neuroprune.fixed_point import IntegerRules
from neuroprune.graph.float_program import FloatProgram
from neuroprune.program.types import IntProgram
from neuroprune.program.verify import verify_program


@dataclass(frozen=True, eq=False)
class Programs:
    """The programs that a file can be written from; floats is None where only the integer program is known."""

    integers: IntProgram
    floats: FloatProgram | None = None


@dataclass(frozen=True, eq=False)
class ReadProgram:
    """The program of a file. remarks: a sentence for all that was assumed or that other tools read differently."""

    program: IntProgram
    remarks: tuple[str, ...] = ()


class ExchangeFormat(ABC):
    """One format; `info` has its name, suffix and contents."""

    info: FormatInfo

    def holds(self, programs: Programs) -> bool:
        """Whether `programs` has the one that the format holds."""
        return self.info.holds == "integer program" or programs.floats is not None

    @abstractmethod
    def write(self, programs: Programs, path: Path) -> tuple[str, ...]:
        """Write `path` atomically, and return a sentence for everything that the format cannot hold, layer by layer.

        Where a sentence says so, no file is written. Raises OutputError.
        """

    def stated_steps(self, path: Path) -> int | None:
        """Steps of a sample, where the file states them. Raises InputError for a file that cannot be read."""
        return None

    def read(
        self, path: Path, rules: IntegerRules, steps: int | None = None, frames: FramesLike | None = None
    ) -> ReadProgram:
        """The program of a file, every register within the fields of `rules`.

        steps: of a sample, needed where the file does not state them. frames: samples that it will run on, for formats
        that do not state their input; to be taken a slice at a time. Raises InputError or UnsupportedNetwork.
        """
        raise InputError(f"{path} cannot be read, since {self.info.name} is only written: name another file")


def exchange_formats() -> tuple[ExchangeFormat, ...]:
    """The formats that neuroprune reads and writes, each an `ExchangeFormat`.

    >>> from neuroprune import exchange_formats
    >>> [(each.info.name, each.info.suffix) for each in exchange_formats()]
    [('netx', '.net'), ('ONNX', '.onnx'), ('NIR', '.nir')]
    """
    return tuple(import_module(info.module).FORMAT for info in FORMATS)


def format_of(path: Path, formats: Sequence[ExchangeFormat] | None = None) -> ExchangeFormat:
    """The format of the suffix of `path`. Raises InputError where it is none of `formats`."""
    known = exchange_formats() if formats is None else formats
    chosen = next((each for each in known if path.suffix == each.info.suffix), None)
    if chosen is None:
        suffixes = ", ".join(each.info.suffix for each in known)
        raise InputError(f"{path} has a suffix of no known format: name a file that ends in one of {suffixes}")
    return chosen


def read_program(
    path: Path,
    rules: IntegerRules,
    steps: int | None = None,
    frames: FramesLike | None = None,
    formats: Sequence[ExchangeFormat] | None = None,
) -> ReadProgram:
    """The integer program of a file whose suffix names the format; see `ExchangeFormat.read`. Its rules are verified.

    rules: those of the chip that it is to run on, `chip.rules`. formats: those to choose from, by default all that
    neuroprune has. Raises InputError or UnsupportedNetwork.

    >>> import tempfile
    >>> import torch
    >>> from pathlib import Path
    >>> from neuroprune import (
    ...     Programs, build, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, read_program, trace,
    ...     write_program,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     remarks = write_program(Programs(program), Path(folder, "program.net"))
    ...     again = read_program(Path(folder, "program.net"), load_chip("loihi-sim").rules)
    >>> [layer.name for layer in again.program.layers]
    ['body.neuron1', 'body.neuron2', 'body.neuron3', 'body.output']
    """
    read = format_of(path, formats).read(path, rules, steps, frames)
    verify_program(read.program, rules)
    return read


def write_program(programs: Programs, path: Path, formats: Sequence[ExchangeFormat] | None = None) -> tuple[str, ...]:
    """Write `path` in the format of its suffix; returns a sentence for everything that the file cannot hold.

    Raises InputError where `programs` lacks the one that the format holds, OutputError where the file cannot be
    written.

    >>> import tempfile
    >>> import torch
    >>> from pathlib import Path
    >>> from neuroprune import (
    ...     Programs, build, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, trace, write_program,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("program.net", "model.onnx"):
    ...         remarks = write_program(Programs(program, floats), Path(folder, name))
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['model.onnx', 'program.net']
    """
    chosen = format_of(path, formats)
    if not chosen.holds(programs):
        raise InputError(
            f"{path} cannot be written, since {chosen.info.name} holds the {chosen.info.holds}, which is not known "
            "here: choose another format"
        )
    return chosen.write(programs, path)
