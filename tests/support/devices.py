"""Where the engine can run: its tests and `make fuzz` use a GPU, too, where there is one."""

import torch

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
