"""The state of an interrupted training, from which it resumes to the same numbers, in one file.

The file is there before the checkpoint is, and is removed when the command that trains has left its whole result: while
it is there, the run is unfinished.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel
from torch import nn

from neuroprune.documents import parse_json, validate
from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.files import sync_folder
from neuroprune.networks.recipe import Recipe
from neuroprune.reading import is_file, reading
from neuroprune.runs import STATE
from neuroprune.training.checkpoint import WeightsFacts
from neuroprune.training.history import EpochRecord
from neuroprune.training.observer import Observer, ObserverState
from neuroprune.training.settings import TrainSettings
from neuroprune.training.tensors import load_tensors, read_tensors, write_tensors

Command = Literal["train", "compress"]


@dataclass(frozen=True)
class Keeping:
    """Where the epochs of a training are kept, and what they are part of.

    model: how the network is built. command: what resumes the run. earlier: the epochs that led to the network that
    the training begins with; from_start: whether that network is kept as well, since it took work to make. goes_on:
    whether the folder already holds an earlier part of the same run. weights: of the file that the network began with.
    """

    folder: Path
    model: Recipe | str
    command: Command = "train"
    earlier: tuple[EpochRecord, ...] = ()
    from_start: bool = False
    goes_on: bool = False
    weights: WeightsFacts | None = None


@dataclass(frozen=True, eq=False)
class Unfinished:
    """An unfinished run.

    command: what left it and resumes it; epochs: those asked for; history: those that are done; earlier: those that led
    to the network that this training began with. module: its tensors by name; observers: their states by name.
    """

    command: Command
    epochs: int
    history: tuple[EpochRecord, ...]
    earlier: tuple[EpochRecord, ...]
    module: Mapping[str, torch.Tensor]
    observers: Mapping[str, ObserverState]


STATE_KEYS = {"SGD": {"momentum_buffer"}, "AdamW": {"step", "exp_avg", "exp_avg_sq"}}
"""What torch's optimisers keep for each parameter."""


class _History(BaseModel):
    records: list[EpochRecord]


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
    path = folder / STATE
    if not is_file(path):
        raise InputError(f"{folder} holds no {STATE}, so nothing that could be resumed: start it without --resume")
    tensors, metadata = read_tensors(path)
    with reading(path, "the record of a training", "start it without --resume"):
        states = {
            name: ObserverState(_under(f"observer.{number}.", tensors), values)
            for number, (name, values) in enumerate(_observers(metadata))
        }
        return Unfinished(
            command=_command(metadata),
            epochs=int(_settings(metadata)["epochs"]),
            history=_records(metadata["history"]),
            earlier=_records(metadata.get("earlier", "[]")),
            module=_under("module.", tensors),
            observers=states,
        )


def _observers(metadata: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Names and values of the observers; what they keep may be infinite, or as long as a generator's state."""
    return [(str(name), dict(values)) for name, values in json.loads(metadata.get("observers", "[]"))]


def _command(metadata: Mapping[str, str]) -> Command:
    return "compress" if metadata.get("command") == "compress" else "train"


def _settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    settings = parse_json(metadata["settings"])
    if not isinstance(settings, dict):
        raise ValueError("it lacks the settings")
    return settings


def _records(text: str) -> tuple[EpochRecord, ...]:
    return tuple(validate(_History, {"records": parse_json(text)}).records)


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
    remedy = f"{command} without --resume"
    if not is_file(path):
        raise InputError(f"{folder} holds no {STATE}, so nothing that could be resumed: {remedy}")
    tensors, metadata = read_tensors(path)
    other = _command(metadata)
    if other != command:
        raise InputError(
            f"the run in {folder} was started by `neuroprune {other}`, not by {command}: resume it with "
            f"`neuroprune {other} --resume {folder}`"
        )
    with reading(path, "the record of a training", remedy):
        # Settings that there were not yet when it was started have their defaults, with which they change nothing.
        started = _comparable(TrainSettings()) | _settings(metadata)
        records = _records(metadata["history"])
        earlier = _records(metadata.get("earlier", "[]"))
        kept = _observers(metadata)
    now = _comparable(settings)
    for name in now:
        if started.get(name) != now[name]:
            raise InputError(
                f"the training in {folder} was started with {name} = {excerpt(started.get(name))}, but resuming asks "
                f"for {now[name]}: give the same settings, or {remedy}"
            )
    if (before := [name for name, _ in kept]) != (given := [observer.name for observer in observers]):
        raise InputError(
            f"the training in {folder} was started with {_listed(before)}, but resuming has {_listed(given)}: give the "
            f"same observers in the same order, or {remedy}"
        )
    load_tensors(module, _under("module.", tensors))
    with reading(path, "a state that its optimiser can go on from", remedy):
        _load_optimizer(optimizer, _under("optimizer.", tensors))
    for number, (observer, (name, values)) in enumerate(zip(observers, kept, strict=True)):
        with reading(path, f"a state that the observer {name} can go on from", remedy):
            observer.restore(ObserverState(_under(f"observer.{number}.", tensors), values))
    return replace(keeping, earlier=earlier), records


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Put `tensors`, named "number of the parameter.key", into `optimizer`.

    Raises ValueError where a parameter lacks what the others have, or has another shape.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    keys = STATE_KEYS[type(optimizer).__name__]
    for index, found in state.items():
        if set(found) != keys or not 0 <= index < len(parameters):
            raise ValueError(f"parameter {index} of {len(parameters)} has the state {excerpt(sorted(found))}")
        for key, tensor in found.items():
            needed = torch.Size() if key == "step" else parameters[index].shape
            if tensor.shape != needed or not tensor.is_floating_point() or not tensor.isfinite().all():
                raise ValueError(f"{key} of parameter {index} is not of finite numbers in the shape {tuple(needed)}")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _listed(names: Sequence[str]) -> str:
    return f"the observers {capped(', '.join(names))}" if names else "no observers"


def _comparable(settings: TrainSettings) -> dict[str, Any]:
    """The settings that decide the numbers, as JSON gives them back."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(replace(settings, device="auto"))))
    del values["device"]
    return values


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
