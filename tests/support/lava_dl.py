"""Programs run by lava-dl's own loader, for comparison; and small netx files as lava-dl's export_hdf5 writes them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from neuroprune.program.types import IntProgram
from neuroprune.simulation.types import LayerRecord, Record

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parents[1]

Fields = Mapping[str, Any]

CUBA: Fields = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 80, "refDelay": 1, "gradedSpike": False}
"""The registers of slayer's cuba neurons of threshold 1.25, current_decay 0.25 and voltage_decay 1/32."""


INPUT_NEURONS: Fields = {
    "neuron": {**CUBA, "iDecay": 4096},
    "weight": np.array([64.0], np.float32),
    "bias": np.array([16.0], np.float32),
}


def record_with_lava_dl(
    cases: Sequence[tuple[IntProgram, Path, npt.NDArray[np.int8]]], folder: Path
) -> tuple[Record, ...]:
    """What lava-dl makes of each file, layer by layer; the program beside it says what shapes its layers have."""
    folder.mkdir()
    jobs = [
        {"net": str(net.absolute()), "bits": program.input.bits, "unit": program.input.unit}
        for program, net, _ in cases
    ]
    (folder / "job.json").write_text(json.dumps(jobs))
    for number, (program, _, frames) in enumerate(cases):
        stream = frames if program.input.sequence else np.repeat(frames[:, None], program.steps, axis=1)
        np.save(folder / f"stream-{number}.npy", stream)
    run_script([str(SUPPORT / "run_netx.py"), str(folder)])
    return tuple(
        _as_record(program, np.load(folder / f"recorded-{number}.npz"), len(frames))
        for number, (program, _, frames) in enumerate(cases)
    )


def run_script(arguments: Sequence[str]) -> None:
    """A Python script in a process of its own, with one thread."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _as_record(program: IntProgram, arrays: Mapping[str, npt.NDArray[Any]], samples: int) -> Record:
    records = []
    for index, layer in enumerate(program.layers):
        spikes, voltages = (arrays[f"{kind}-{index}"] for kind in ("spikes", "voltages"))
        turned = (0, *range(spikes.ndim - 1, 0, -1))
        by_step = spikes.transpose(turned).reshape(samples, program.steps, *layer.shape)
        left = voltages.transpose(turned).reshape(samples, *layer.shape)
        records.append(LayerRecord(layer.name, by_step, left))
    return Record(tuple(records))


def write_lava_dl(path: Path, layers: Sequence[Fields]) -> Path:
    """A file of these layers: "type" as lava-dl writes it, "neuron" as a group, all else as it is given."""
    with h5py.File(path, "w") as file:
        for number, fields in enumerate(layers):
            group = file.create_group(f"layer/{number}")
            for name, value in fields.items():
                if name == "type":
                    group.create_dataset("type", (1,), "S10", [value.encode("ascii")])
                elif isinstance(value, Mapping):
                    for inner, content in value.items():
                        group[f"{name}/{inner}"] = content
                else:
                    group[name] = value
    return path


def dense_fields(weight: npt.ArrayLike, **fields: Any) -> dict[str, Any]:
    weight = np.asarray(weight, np.float32)
    outputs, inputs = weight.shape
    base = {"type": "dense", "shape": [outputs], "inFeatures": inputs, "outFeatures": outputs}
    return base | {"weight": weight, "neuron": CUBA} | fields


def conv_fields(weight: npt.ArrayLike, shape: Sequence[int], **fields: Any) -> dict[str, Any]:
    """shape: of the output, (channels, height, width)."""
    weight = np.asarray(weight, np.float32)
    geometry = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    base: dict[str, Any] = {"type": "conv", "shape": shape, "outChannels": len(weight), "inChannels": weight.shape[1]}
    return base | geometry | {"weight": weight, "neuron": CUBA} | fields


def sample_net(
    path: Path, seed: int = 0, in_shape: tuple[int, int, int] = (2, 6, 5), classes: int = 4, driven: bool = False
) -> Path:
    """A network as lava-dl exports one, and that spikes: a convolution of stride 2, delays, biases.

    driven: with input neurons.
    """
    rng = np.random.default_rng(seed)
    channels, height, width = in_shape
    middle = [3, (height - 1) // 2 + 1, (width - 1) // 2 + 1]
    size = int(np.prod(middle))
    return write_lava_dl(
        path,
        [
            {"type": "input", "shape": in_shape} | (INPUT_NEURONS if driven else {}),
            conv_fields(_even(rng, (3, channels, 3, 3), 120), middle, stride=[2, 2], padding=[1, 1]),
            {"type": "flatten", "shape": [size, 1, 1]},
            dense_fields(_even(rng, (8, size), 100), delay=rng.integers(0, 3, 8).astype(np.float32)),
            dense_fields(_even(rng, (classes, 8), 160), bias=_even(rng, (classes,), 40).astype(np.float32)),
        ],
    )


def _even(rng: np.random.Generator, shape: tuple[int, ...], peak: int) -> npt.NDArray[np.int64]:
    return rng.integers(-peak // 4, peak // 2 + 1, shape) * 2
