"""Keeps tensors where they are when a network's code moves them to a GPU that is not there."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Staying(TorchFunctionMode):
    """Within it `.cuda()` and `device="cuda"` leave tensors on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {name: _on_cpu(value) if name == "device" else value for name, value in (kwargs or {}).items()}
        if getattr(func, "__name__", "") == "cuda" and args:
            return args[0]
        return func(*(_on_cpu(value) if isinstance(value, str | torch.device) else value for value in args), **kwargs)


def _on_cpu(device: Any) -> Any:
    is_gpu = isinstance(device, int) or str(device).partition(":")[0] == "cuda"
    return torch.device("cpu") if is_gpu and not isinstance(device, bool) else device
