"""A small valid file of each kind that neuroprune reads, and what reads it."""

import gzip
import io
import pickle
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import nir
import nir_graphs
import numpy as np
import torch
import yaml
from lava_dl import sample_net
from PIL import Image
from programs import NEURON, conv, dense, program_of, with_bias
from rich.console import Console
from torch import nn

from neuroprune.chips.load import load_chip
from neuroprune.compression import table
from neuroprune.compression.record import (
    CompressRecord,
    LayerShare,
    NetworkCost,
    Survival,
    Target,
    load_compress_record,
)
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import strategy_of
from neuroprune.data.cifar import read_binary, read_python
from neuroprune.data.idx import read_idx_split
from neuroprune.data.load import load_dataset
from neuroprune.data.recordings import read_nmnist, read_poker
from neuroprune.data.types import Coding
from neuroprune.exchange.format import read_program
from neuroprune.exchange.netx.write import write_netx
from neuroprune.intervals import accuracy_change
from neuroprune.networks.build import build, load_network
from neuroprune.networks.recipe import load_recipe, parse_recipe
from neuroprune.pipeline import deploy
from neuroprune.records import save_record
from neuroprune.report.html.report_page import report_html
from neuroprune.report.schema import load_report, save_report
from neuroprune.report.tables import cores_csv, layers_csv
from neuroprune.report.terminal import render
from neuroprune.simulation.verification import LavaSettings
from neuroprune.training.checkpoint import DataFacts, load_checkpoint, restore, save_checkpoint
from neuroprune.training.history import EpochRecord
from neuroprune.training.resume import Keeping, load_state, read_unfinished, save_state
from neuroprune.training.settings import TrainSettings
from neuroprune.training.weights import load_weights

SHAPE = (1, 6, 6)
CLASSES = ("a", "b", "c")
SETTINGS = TrainSettings(epochs=3)
HISTORY = tuple(EpochRecord(epoch, 1.5, 0.25, 0.5, 0.001, 2.0) for epoch in (1, 2))
RECIPE = """\
title: a small network
data: digits
steps: 2
neuron: {kind: lif, tau: 2.0}
layers:
  - {conv: 3}
  - {pool: average}
  - {block: sew, channels: 4, repeat: 1}
  - {linear: 5}
training: {epochs: 3, batch: 4, lr: 0.003, milestones: [1, 2]}
"""
SMALL = parse_recipe({"name": "small", **yaml.safe_load(RECIPE)}, "a recipe")
CHIP = """\
extends: loihi-sim
title: a small chip
neurons_per_core: &entry {value: 64, unit: neurons, source: 'a choice', grade: assumed}
cores_per_chip: {value: 6, unit: cores, source: 'a choice', grade: assumed}
mesh: {value: [3, 2], unit: cores, source: 'a choice', grade: assumed}
"""


@dataclass(frozen=True)
class Reader:
    """kind: of the file, which decides how it is mutated (`mutations.py`). file: its name in the folder.

    write: makes it there, with others that it needs. read: takes the folder, and does all that a command does to parse
    and to show what is in it.
    """

    name: str
    kind: str
    file: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]


def small_network() -> nn.Module:
    return build(SMALL, SHAPE, len(CLASSES))


def _write_idx(folder: Path, suffix: str = "") -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 5, 4), dtype=np.uint8)
    for name, values in (("images", pixels), ("labels", np.arange(9, dtype=np.uint8))):
        content = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(content, mtime=0) if suffix else content)


def _write_cifar(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    batch = {"data": pixels, "labels": [3, 7], "filenames": ["one.png", "two.png"], "batch_label": "batch 1 of 5"}
    (folder / "batch").write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batch.bin").write_bytes(
        b"".join(bytes([label]) + row.tobytes() for label, row in zip((3, 7), pixels, strict=True))
    )


def _write_nmnist(folder: Path) -> None:
    (folder / "3").mkdir(parents=True)
    (folder / "3" / "1.bin").write_bytes(
        b"".join(struct.pack(">BBBH", x, 240 if x == 9 else x, 128, 900 * x) for x in range(30))
    )


def _poker_recording() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.stack([np.arange(20), np.arange(20), np.arange(20), np.arange(20) % 2], 1).astype(np.uint64))
    return stream.getvalue()


def _write_poker(folder: Path) -> None:
    (folder / "cl").mkdir(parents=True)
    (folder / "cl" / "1.npy").write_bytes(_poker_recording())


def _write_poker_archive(folder: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("cl/1.npy", "sp/2.npy", "readme"):
            member = tarfile.TarInfo(name)
            member.size = len(_poker_recording())
            archive.addfile(member, io.BytesIO(_poker_recording()))
    (folder / "pips.tar.gz").write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def _write_arrays(folder: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 5), dtype=np.uint8)
    np.savez(folder / "mine.npz", images=images / np.float32(255), labels=np.arange(9) % 3)


def _write_pictures(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 256, (6, 5, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def _write_recordings(folder: Path) -> None:
    times = np.arange(20)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            np.savez(folder / name / f"{number}.npz", t=100 * times, x=times, y=times, p=times % 2)
    events = b"".join(struct.pack(">II", time << 8 | time << 1 | time % 2, 100 * time) for time in times.tolist())
    (folder / "b" / "0.aedat").write_bytes(b"#!AER-DAT2.0\r\n# a line\r\n" + events)


def _write_shd(folder: Path) -> None:
    for part in ("train", "test"):
        with h5py.File(folder / f"shd_{part}.h5", "w") as file:
            file["labels"] = np.array([3, 19])
            for name, dtype in (("times", np.float16), ("units", np.uint16)):
                rows = file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(dtype))
                rows[0], rows[1] = np.arange(5, dtype=dtype), np.arange(9, dtype=dtype)


def _write_checkpoint(folder: Path) -> None:
    facts = DataFacts("digits", Coding((1.0,), (2.0,)), SHAPE, CLASSES)
    network = small_network()
    save_checkpoint(folder, network, SMALL, facts, SETTINGS, HISTORY)
    optimizer = torch.optim.AdamW(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    save_state(Keeping(folder, SMALL), network, optimizer, SETTINGS, HISTORY)


def _write_weights(folder: Path, archive: bool = True) -> None:
    content = {"epoch": 7, "net": small_network().state_dict()}
    torch.save(content, folder / "w.pth", _use_new_zipfile_serialization=archive)


def _read_state(folder: Path) -> None:
    network = small_network()
    optimizer = torch.optim.AdamW(network.parameters())
    read_unfinished(folder)
    load_state(Keeping(folder, SMALL), network, optimizer, SETTINGS)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def _write_report(folder: Path) -> None:
    frames = np.random.default_rng(0).random((4, *SHAPE), dtype=np.float32)
    lava = LavaSettings(samples=0)
    found = deploy(small_network().eval(), frames, load_chip("loihi-sim"), frames, np.array([0, 1, 2, 0]), lava=lava)
    save_report(found.report, folder / "report.json")


def _write_netx(folder: Path) -> None:
    weights = np.arange(-36, 36, 2).reshape(2, 2, 3, 3)
    first = conv("first", "input", (2, 4, 4), weights)
    last = dense("last", "first", first.shape, np.arange(-16, 16, 2).reshape(2, 8), with_bias(NEURON, [1, 2]))
    write_netx(program_of(first, last), folder / "program.net")


def _show(*parts: object) -> None:
    for width in (80, 140):
        console = Console(width=width, file=io.StringIO())
        for part in parts:
            console.print(part)


def _read_report(folder: Path) -> None:
    report = load_report(folder)
    _show(render(report, 80), render(report, 140))
    layers_csv(report), cores_csv(report), report.model_dump_json(), report_html(report)


def _write_compression(folder: Path) -> None:
    cost = NetworkCost(
        accuracy=0.5, accuracy_interval=(0.4, 0.6), parameters=600, nonzero_parameters=500, flops=1000,
        flops_per_step=250, unfolded_synops=300.5, bytes=2400,
    )  # fmt: skip
    record = CompressRecord(
        run="runs/0002", source="runs/0001", strategy=strategy_of(CompressSettings(flops=0.5), "plain"),
        targets=(Target(of="flops", asked=0.5, reached=0.5),), prunable=24, total=30, dense=cost, cut=cost, pruned=cost,
        samples=90, change=accuracy_change(1, 2, 90), warnings=("a warning",),
        layers=(LayerShare(name="stem.conv1", before=24, after=18, regenerated=2),),
        survival=(Survival(iteration=9, sparsity=0.5, cut=4, rescued=2),), history=HISTORY,
    )  # fmt: skip
    save_record(record, folder / "compress.json")


def _read_compression(folder: Path) -> None:
    record = load_compress_record(folder)
    _show(table.render(record))
    table.layers_csv(record)


def _read_netx(folder: Path) -> None:
    read_program(folder / "program.net", load_chip("loihi-sim").rules, steps=None)


def _read_lava_dl(folder: Path) -> None:
    read_program(folder / "network.net", load_chip("loihi-sim").rules, steps=4)


def _read_driven(folder: Path) -> None:
    """With samples of no whole numbers, whose unit depends on the weight of the neurons."""
    frames = np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 2, 6, 5)
    read_program(folder / "network.net", load_chip("loihi-sim").rules, 4, frames)


def _write_nir(folder: Path) -> None:
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    maps = (nir_graphs.conv(2, 1, padding=1, input_shape=(6, 6)), nir_graphs.lif(2, 6, 6), pool)
    flat = nir.Flatten({"input": np.array([2, 3, 3])}, 0, -1)
    nodes = (*maps, flat, nir_graphs.linear(3, 18, bias=0.5), nir_graphs.lif(3, gain=np.array([1.0, 2.0, 3.0])))
    nir_graphs.written(folder, nir_graphs.chain(*nodes, shape=SHAPE))


READERS = (
    Reader("recipe", "yaml", "recipe.yaml", lambda folder: (folder / "recipe.yaml").write_text(RECIPE),
           lambda folder: load_recipe(str(folder / "recipe.yaml"))),
    Reader("chip", "yaml", "chip.yaml", lambda folder: (folder / "chip.yaml").write_text(CHIP),
           lambda folder: load_chip(str(folder / "chip.yaml"))),
    Reader("idx", "bytes", "images", _write_idx,
           lambda folder: read_idx_split(folder / "images", folder / "labels", (5, 4))),
    Reader("idx, gzipped", "gzip", "images.gz", lambda folder: _write_idx(folder, ".gz"),
           lambda folder: read_idx_split(folder / "images.gz", folder / "labels.gz", (5, 4))),
    Reader("CIFAR, binary", "bytes", "batch.bin", _write_cifar, lambda folder: read_binary([folder / "batch.bin"], 1)),
    Reader("CIFAR, pickled", "pickle", "batch", _write_cifar, lambda folder: read_python([folder / "batch"], "labels")),
    Reader("N-MNIST", "bytes", "3/1.bin", _write_nmnist, lambda folder: read_nmnist(folder, 3)),
    Reader("POKER-DVS", "bytes", "cl/1.npy", _write_poker, lambda folder: read_poker(folder, 3)),
    Reader("POKER-DVS, archived", "tar", "pips.tar.gz", _write_poker_archive,
           lambda folder: read_poker(folder / "pips.tar.gz", 3)),
    Reader("arrays", "bytes", "mine.npz", _write_arrays, lambda folder: load_dataset(folder / "mine.npz")),
    Reader("picture", "bytes", "a/0.png", _write_pictures, lambda folder: load_dataset(folder)),
    Reader("events, .npz", "bytes", "a/0.npz", _write_recordings, lambda folder: load_dataset(folder, steps=3)),
    Reader("events, .aedat", "bytes", "b/0.aedat", _write_recordings, lambda folder: load_dataset(folder, steps=3)),
    Reader("SHD", "hdf5", "shd_train.h5", _write_shd, lambda folder: load_dataset("shd", folder, steps=3)),
    Reader("checkpoint.safetensors", "safetensors", "checkpoint.safetensors", _write_checkpoint,
           lambda folder: restore(load_checkpoint(folder))),
    Reader("checkpoint.json", "json", "checkpoint.json", _write_checkpoint,
           lambda folder: restore(load_checkpoint(folder))),
    Reader("training.safetensors", "safetensors", "training.safetensors", _write_checkpoint, _read_state),
    Reader("weights", "zip", "w.pth", _write_weights, lambda folder: load_weights(small_network(), folder / "w.pth")),
    Reader("weights of torch 1.5", "pickle", "w.pth", lambda folder: _write_weights(folder, archive=False),
           lambda folder: load_weights(small_network(), folder / "w.pth")),
    Reader("report.json", "json", "report.json", _write_report,
           _read_report),
    Reader("compress.json", "json", "compress.json", _write_compression, _read_compression),
    Reader("netx", "hdf5", "program.net", _write_netx,
           _read_netx),
    Reader("netx of lava-dl", "hdf5", "network.net", lambda folder: sample_net(folder / "network.net"), _read_lava_dl),
    Reader("netx, input neurons", "hdf5", "network.net",
           lambda folder: sample_net(folder / "network.net", driven=True), _read_driven),
    Reader("NIR", "hdf5", "net.nir", _write_nir,
           lambda folder: load_network(f"{folder / 'net.nir'}(framework=nir)")),
)  # fmt: skip
