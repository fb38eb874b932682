"""The state of an interrupted training, from which it resumes to the same numbers, in one file.

The file is there before the checkpoint is, and is removed when the command that trains has left its whole result: while
it is there, the run is unfinished.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from neuroprune.errors import InputError
from neuroprune.files import sync_folder
from neuroprune.networks.recipe import Recipe
from neuroprune.runs import STATE
from neuroprune.training.history import EpochRecord
from neuroprune.training.observer import Observer, ObserverState
from neuroprune.training.settings import TrainSettings
from neuroprune.training.tensors import load_tensors, read_tensors, write_tensors

Command = Literal["train", "compress"]


@dataclass(frozen=True)
class Keeping:
    """Where the epochs of a training are kept, and what they are part of.

    model: how the network is built. command: what resumes the run. earlier: the epochs that led to the network that
    the training begins with; from_start: whether that network is kept as well, since it took work to make.
    """

    folder: Path
    model: Recipe | str
    command: Command = "train"
    earlier: tuple[EpochRecord, ...] = ()
    from_start: bool = False


@dataclass(frozen=True)
class Unfinished:
    """An unfinished run: the command that left it and resumes it, the epochs asked for, and those that are done."""

    command: Command
    epochs: int
    history: tuple[EpochRecord, ...]


def save_state(
    keeping: Keeping,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
    history: Sequence[EpochRecord],
    observers: Sequence[Observer] = (),
) -> None:
    """Write module, optimiser, history and observers to training.safetensors. Raises OutputError."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items() if value is not None}
    metadata = {
        "command": keeping.command,
        "settings": json.dumps(_comparable(settings)),
        "history": json.dumps([asdict(record) for record in history]),
        "earlier": json.dumps([asdict(record) for record in keeping.earlier]),
    }
    if observers:
        states = [(observer.name, observer.state()) for observer in observers]
        for number, (_, kept) in enumerate(states):
            tensors |= {f"observer.{number}.{name}": tensor for name, tensor in kept.tensors.items()}
        metadata["observers"] = json.dumps([[name, kept.values] for name, kept in states])
    write_tensors(keeping.folder / STATE, tensors, metadata)


def finish(folder: Path) -> None:
    """Say that the run in `folder` is finished: the last act of a command that trains."""
    (folder / STATE).unlink(missing_ok=True)
    sync_folder(folder)


def read_unfinished(folder: Path) -> Unfinished:
    """How far the unfinished run in `folder` has come. Raises InputError."""
    _, metadata = read_tensors(folder / STATE)
    try:
        epochs = int(json.loads(metadata["settings"])["epochs"])
        history = tuple(EpochRecord(**record) for record in json.loads(metadata["history"]))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{folder / STATE} lacks the record of its training ({error!r}): train without --resume"
        ) from error
    return Unfinished("compress" if metadata.get("command") == "compress" else "train", epochs, history)


def load_state(
    keeping: Keeping,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
    observers: Sequence[Observer] = (),
) -> tuple[Keeping, tuple[EpochRecord, ...]]:
    """Put what `save_state` wrote back into `module`, `optimizer` and `observers`.

    Returns `keeping` with the earlier epochs that it was saved with, and the history. Raises InputError when there is
    nothing to resume, or when it was started by another command, with other settings (the device apart) or other
    observers.
    """
    folder, command = keeping.folder, keeping.command
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"{folder} holds no {STATE}, so nothing that could be resumed: {command} without --resume")
    tensors, metadata = read_tensors(path)
    if metadata.get("command", "train") != command:
        raise InputError(
            f"the run in {folder} was started by `neuroprune {metadata['command']}`, not by {command}: resume it with "
            f"`neuroprune {metadata['command']} --resume {folder}`"
        )
    try:
        started, history = json.loads(metadata["settings"]), json.loads(metadata["history"])
        records = tuple(EpochRecord(**record) for record in history)
        earlier = tuple(EpochRecord(**record) for record in json.loads(metadata.get("earlier", "[]")))
        kept = [(str(name), dict(values)) for name, values in json.loads(metadata.get("observers", "[]"))]
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} lacks the record of its training ({error!r}): {command} without --resume") from error
    now = _comparable(settings)
    for name in now:
        if started.get(name) != now[name]:
            raise InputError(
                f"the training in {folder} was started with {name} = {started.get(name)}, but resuming asks for "
                f"{now[name]}: give the same settings, or {command} without --resume"
            )
    if (before := [name for name, _ in kept]) != (given := [observer.name for observer in observers]):
        raise InputError(
            f"the training in {folder} was started with {_listed(before)}, but resuming has {_listed(given)}: give the "
            f"same observers in the same order, or {command} without --resume"
        )
    load_tensors(module, _under("module.", tensors))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _under("optimizer.", tensors).items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    for number, (observer, (name, values)) in enumerate(zip(observers, kept, strict=True)):
        try:
            observer.restore(ObserverState(_under(f"observer.{number}.", tensors), values))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{path} holds a state that the observer {name} cannot go on from ({error!r}): {command} without "
                "--resume"
            ) from error
    return replace(keeping, earlier=earlier), records


def _listed(names: Sequence[str]) -> str:
    return f"the observers {', '.join(names)}" if names else "no observers"


def _comparable(settings: TrainSettings) -> dict[str, Any]:
    """The settings that decide the numbers, as JSON gives them back."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(replace(settings, device="auto"))))
    del values["device"]
    return values


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
