"""The state of an interrupted training, from which it resumes to the same numbers, in one file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuroprune.errors import InputError
from neuroprune.training.history import EpochRecord
from neuroprune.training.observer import Observer, ObserverState
from neuroprune.training.settings import TrainSettings
from neuroprune.training.tensors import load_tensors, read_tensors, write_tensors

STATE = "training.safetensors"


def save_state(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
    history: Sequence[EpochRecord],
    observers: Sequence[Observer] = (),
) -> None:
    """Write module, optimiser, history and observers to training.safetensors in `folder`. Raises OutputError."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items() if value is not None}
    metadata = {
        "settings": json.dumps(_comparable(settings)),
        "history": json.dumps([asdict(record) for record in history]),
    }
    if observers:
        states = [(observer.name, observer.state()) for observer in observers]
        for number, (_, kept) in enumerate(states):
            tensors |= {f"observer.{number}.{name}": tensor for name, tensor in kept.tensors.items()}
        metadata["observers"] = json.dumps([[name, kept.values] for name, kept in states])
    write_tensors(folder / STATE, tensors, metadata)


def load_state(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
    observers: Sequence[Observer] = (),
) -> tuple[EpochRecord, ...]:
    """Put what `save_state` wrote back into `module`, `optimizer` and `observers`; returns the history.

    Raises InputError when there is nothing to resume, or when it was started with other settings (the device apart) or
    other observers.
    """
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"{folder} holds no {STATE}, so no training that could be resumed: train without --resume")
    tensors, metadata = read_tensors(path)
    try:
        started, history = json.loads(metadata["settings"]), json.loads(metadata["history"])
        records = tuple(EpochRecord(**record) for record in history)
        kept = [(str(name), dict(values)) for name, values in json.loads(metadata.get("observers", "[]"))]
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} lacks the record of its training ({error!r}): train without --resume") from error
    now = _comparable(settings)
    for name in now:
        if started.get(name) != now[name]:
            raise InputError(
                f"the training in {folder} was started with {name} = {started.get(name)}, but resuming asks for "
                f"{now[name]}: give the same settings, or train without --resume"
            )
    if (before := [name for name, _ in kept]) != (given := [observer.name for observer in observers]):
        raise InputError(
            f"the training in {folder} was started with {_listed(before)}, but resuming has {_listed(given)}: give the "
            "same observers in the same order, or train without --resume"
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
                f"{path} holds a state that the observer {name} cannot go on from ({error!r}): train without --resume"
            ) from error
    return records


def _listed(names: Sequence[str]) -> str:
    return f"the observers {', '.join(names)}" if names else "no observers"


def _comparable(settings: TrainSettings) -> dict[str, Any]:
    """The settings that decide the numbers, as JSON gives them back."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(replace(settings, device="auto"))))
    del values["device"]
    return values


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
