"""Load a netx file with lava-dl and run it, in a process of its own.

    python run_netx.py <program.net> <frames.npy> <folder>

Adds spikes-<layer>.npy and voltages-<layer>.npy [samples * steps or samples, x, y, channel] to the folder.
"""

import sys
import types
from pathlib import Path

import h5py
import numpy as np

from neuroprune.simulate.lava_worker import PyTap, Tap

# netx needs nothing of it, but it wants torchvision
sys.modules["lava.lib.dl.slayer.object_detection"] = types.ModuleType("object_detection")

from lava.lib.dl.netx import hdf5  # noqa: E402
from lava.magma.core.run_conditions import RunSteps  # noqa: E402
from lava.magma.core.run_configs import Loihi2SimCfg  # noqa: E402
from lava.proc.io.source import RingBuffer  # noqa: E402


def main(file: str, frames_file: str, folder: Path) -> None:
    frames = np.load(frames_file).astype(np.int32)
    with h5py.File(file) as opened:
        steps, bits = int(opened.attrs["steps"]), int(opened.attrs["input_bits"])
    network = hdf5.Network(file, input_message_bits=bits, reset_interval=steps, reset_offset=1)
    stream = np.repeat(frames, steps, axis=0)
    stream = stream.transpose() if len(network.inp.shape) == 3 else stream.reshape(len(stream), -1).transpose()
    source = RingBuffer(data=np.concatenate([stream, np.zeros_like(stream)], axis=-1))
    source.s_out.connect(network.inp)
    taps = []
    for index, layer in enumerate(network.layers):
        taps.append(
            Tap(
                neurons=layer.neuron,
                first=index + 2,
                steps=steps,
                samples=len(frames),
                spikes_file=str(folder / f"spikes-{index}.npy"),
                voltages_file=str(folder / f"voltages-{index}.npy"),
            )
        )
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=dict.fromkeys(taps, PyTap))
    network.run(condition=RunSteps(len(frames) * steps + len(taps)), run_cfg=config)
    network.stop()


main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
