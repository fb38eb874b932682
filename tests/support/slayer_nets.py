"""Networks made and exported by lava-dl itself, in a process of its own.

    python slayer_nets.py <folder>

Written are <name>.net, <name>-frames.npy int8 [samples, steps, *input shape] and, of lava-dl's torch simulation,
<name>-<block>.npy bool [samples, steps, *shape]: the spikes of each block, without the step that a layer takes on the
chip.
"""

import sys
import types
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

import neuroprune.simulation.lava_worker  # noqa: F401

sys.modules["lava.lib.dl.slayer.object_detection"] = types.ModuleType("object_detection")

from lava.lib.dl.slayer import block, neuron  # noqa: E402

NEURON = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}
STILL = {"delay_shift": False}


def normed(channels: int) -> dict[str, Any]:
    """Neurons whose normalisation becomes a bias."""
    norm = neuron.norm.MeanOnlyBatchNorm(channels)
    norm.running_mean = (torch.rand(channels) - 0.7) / 4
    return NEURON | {"norm": lambda: norm}


def mlp() -> list[Any]:
    delayed = block.cuba.Dense(NEURON, 10, 8, weight_scale=3, delay=True, **STILL)
    delayed.delay.delay.data = torch.tensor([0.0, 1, 2.5, 3, 0, 7.9, 2, 1])
    delayed.delay.init = True
    return [
        block.cuba.Dense(normed(10), 12, 10, weight_scale=2, weight_norm=True, **STILL),
        delayed,
        block.cuba.Dense(normed(5), 8, 5, weight_scale=3, **STILL),
    ]


def conv() -> list[Any]:
    return [
        block.cuba.Input(**STILL),
        block.cuba.Conv(
            normed(4), 2, 4, (3, 2), stride=(2, 1), padding=(1, 0), weight_scale=2, weight_norm=True, **STILL
        ),
        block.cuba.Conv(NEURON, 4, 6, 2, dilation=(1, 2), groups=2, weight_scale=4, **STILL),
        block.cuba.Conv(NEURON, 6, 6, 2, stride=2, groups=6, weight_scale=5, **STILL),
        block.cuba.Flatten(),
        block.cuba.Dense(NEURON, 6, 4, weight_scale=5, **STILL),
    ]


def pool() -> list[Any]:
    return [
        block.cuba.Input(**STILL),
        block.cuba.Conv(NEURON, 1, 3, 3, padding=1, weight_scale=2, **STILL),
        block.cuba.Pool(NEURON, 2, weight_scale=1, **STILL),
        block.cuba.Flatten(),
        block.cuba.Dense(NEURON, 18, 4, weight_scale=5, **STILL),
    ]


def affine() -> list[Any]:
    """Its last block integrates and never fires."""
    return [block.cuba.Dense(NEURON, 6, 8, weight_scale=3, **STILL), block.cuba.Affine(NEURON, 8, 3, weight_scale=3)]


def recurrent() -> list[Any]:
    """Its hidden neurons read each other a step later."""
    return [
        block.cuba.Recurrent(NEURON, 12, 10, weight_scale=3, **STILL),
        block.cuba.Dense(NEURON, 10, 4, weight_scale=3, **STILL),
    ]


INSTANT = NEURON | {"current_decay": 1, "voltage_decay": 0.25}
"""Neurons that lose their current at once, as samples that drive neurons need: lava-dl's loader has no other."""


def driven() -> list[Any]:
    """Its input neurons scale and shift the samples."""
    return [
        block.cuba.Input(INSTANT, weight=0.9, bias=0.3, **STILL),
        block.cuba.Conv(NEURON, 2, 4, 3, stride=2, padding=1, weight_scale=3, **STILL),
        block.cuba.Flatten(),
        block.cuba.Dense(NEURON, 48, 4, weight_scale=3, **STILL),
    ]


def driven_flat() -> list[Any]:
    """Its input neurons state neither weight nor bias; its last block integrates."""
    return [
        block.cuba.Input(INSTANT, **STILL),
        block.cuba.Dense(NEURON, 12, 8, weight_scale=3, **STILL),
        block.cuba.Affine(NEURON, 8, 3, weight_scale=3),
    ]


NETWORKS = (
    (mlp, (12,)),
    (conv, (2, 7, 6)),
    (pool, (1, 4, 6)),
    (affine, (6,)),
    (recurrent, (12,)),
    (driven, (2, 7, 6)),
    (driven_flat, (12,)),
)


def main(folder: Path) -> None:
    torch.manual_seed(0)
    for make, shape in NETWORKS:
        blocks = torch.nn.ModuleList(make()).eval()
        signal = (torch.rand(2, *shape, 16) < 0.4).float()  # lava-dl has the steps last
        np.save(folder / f"{make.__name__}-frames.npy", signal.movedim(-1, 1).numpy().astype(np.int8))
        with h5py.File(folder / f"{make.__name__}.net", "w") as file, torch.no_grad():
            for number, each in enumerate(blocks):
                signal = each(signal)
                np.save(folder / f"{make.__name__}-{number}.npy", signal.movedim(-1, 1).numpy())
                each.export_hdf5(file.create_group(f"layer/{number}"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
