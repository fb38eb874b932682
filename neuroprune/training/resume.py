"""The state of an interrupted training, from which it resumes to the same numbers, in one file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from neuroprune.documents import parse_json, validate
from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.reading import is_file, reading
from neuroprune.training.history import EpochRecord
from neuroprune.training.observer import Observer, ObserverState
from neuroprune.training.settings import TrainSettings
from neuroprune.training.tensors import load_tensors, read_tensors, write_tensors

STATE = "training.safetensors"
REMEDY = "train without --resume"
STATE_KEYS = {"SGD": {"momentum_buffer"}, "AdamW": {"step", "exp_avg", "exp_avg_sq"}}
"""What torch's optimisers keep for each parameter."""


class _History(BaseModel):
    records: list[EpochRecord]


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
    if not is_file(path):
        raise InputError(f"{folder} holds no {STATE}, so no training that could be resumed: train without --resume")
    tensors, metadata = read_tensors(path)
    with reading(path, "the record of a training", REMEDY):
        started = parse_json(metadata["settings"])
        records = tuple(validate(_History, {"records": parse_json(metadata["history"])}).records)
        # What observers keep may be infinite, or as long as the state of a generator of random numbers.
        kept = [(str(name), dict(values)) for name, values in json.loads(metadata.get("observers", "[]"))]
        if not isinstance(started, dict):
            raise ValueError("it lacks the settings")
    now = _comparable(settings)
    for name in now:
        if started.get(name) != now[name]:
            raise InputError(
                f"the training in {folder} was started with {name} = {excerpt(started.get(name))}, but resuming asks "
                f"for {now[name]}: give the same settings, or train without --resume"
            )
    if (before := [name for name, _ in kept]) != (given := [observer.name for observer in observers]):
        raise InputError(
            f"the training in {folder} was started with {_listed(before)}, but resuming has {_listed(given)}: give the "
            "same observers in the same order, or train without --resume"
        )
    load_tensors(module, _under("module.", tensors))
    with reading(path, "a state that its optimiser can go on from", REMEDY):
        _load_optimizer(optimizer, _under("optimizer.", tensors))
    for number, (observer, (name, values)) in enumerate(zip(observers, kept, strict=True)):
        with reading(path, f"a state that the observer {name} can go on from", REMEDY):
            observer.restore(ObserverState(_under(f"observer.{number}.", tensors), values))
    return records


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
