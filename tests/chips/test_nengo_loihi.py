"""nengo-loihi's own blocks take what the Loihi family counts, where both lay a layer out alike: without idle neurons,
channels one after the other.

Run where nengo-loihi 1.1.0 is installed, with numpy below 2, and by `pytest -p no:nengo`: its plugin is older than
pytest 8.
"""

from itertools import product

import numpy as np
import pytest
from synapse_oracle import LOIHI, layer_of, resized

from neuroprune.chips.loihi.encode import count, encodings, share_synapses
from neuroprune.chips.loihi.layout import CLOSED
from neuroprune.chips.types import Tile, volume
from neuroprune.program.types import IntConv, IntDense, IntLayer

CORE = resized(LOIHI, skip_bits_max=0).core
"""nengo-loihi gives each synapse an index."""
block = pytest.importorskip("nengo_loihi.block", reason="nengo-loihi is not installed")


def counted(layer: IntLayer) -> dict[str, tuple[int, int]]:
    """Input axons and synapse memory of the whole layer by encoding."""
    (shared,) = share_synapses(layer, [0])
    tile = Tile(layer.name, (0, 0, 0), volume(layer.shape))
    return {name: (axons, bits) for name, axons, bits, _ in encodings(count(shared, tile), CLOSED, 8, CORE)}


@pytest.mark.parametrize("seed", range(40))
def test_a_dense_layer_takes_the_same_axons_and_bits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs, outputs = int(rng.integers(1, 60)), int(rng.integers(1, 300))
    weight = np.where(rng.random((outputs, inputs)) < rng.random(), rng.integers(1, 100, (outputs, inputs)) * 2, 0)
    read = weight.any(axis=0)
    if not read.any():
        read[0] = weight[0, 0] = 2
    found = counted(layer_of(IntDense(weight.astype(np.int16)), (inputs,), (outputs,)))
    dense = block.Synapse(int(read.sum()))
    dense.set_weights(weight[:, read].T)
    assert found["dense"] == (dense.n_axons, dense.bits())
    sparse = block.Synapse(int(read.sum()))
    rows = [row[row != 0] for row in weight[:, read].T]
    columns = [np.flatnonzero(row) for row in weight[:, read].T]
    sparse.set_population_weights([[row] for row in rows], [[each] for each in columns], np.arange(len(rows)), None)
    widths = block.SynapseConfig.INDEX_BITS_MAP
    sparse.format(idx_bits=next(code for code, bits in enumerate(widths) if bits and 2**bits >= outputs))
    assert found["sparse"] == (sparse.n_axons, sparse.bits())


@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "kernel", "stride"), list(product((1, 3), (4, 16), (6, 7, 8), (1, 3, 5), (1, 2)))
)
def test_a_convolution_takes_the_same_axons_and_bits(
    inputs: int, outputs: int, size: int, kernel: int, stride: int
) -> None:
    nengo, convolution = pytest.importorskip("nengo"), pytest.importorskip("nengo_loihi.conv")
    count_of = inputs * outputs * kernel**2
    weight = (np.arange(1, count_of + 1) * 2 - count_of).reshape(outputs, inputs, kernel, kernel)
    transform = nengo.Convolution(
        n_filters=outputs,
        input_shape=(inputs, size, size),
        channels_last=False,
        kernel_size=(kernel, kernel),
        strides=(stride, stride),
        padding="valid",
        init=weight.transpose(2, 3, 1, 0).astype(float),
    )
    weights, indices, to_weights, bases = convolution.conv2d_loihi_weights(transform)
    synapse = block.Synapse(int((bases >= 0).sum()))
    synapse.set_population_weights(weights, indices, to_weights, bases, pop_type=32)
    side = (size - kernel) // stride + 1
    layer = IntConv(weight.astype(np.int16), (stride, stride), (0, 0), (1, 1), 1)
    found = counted(layer_of(layer, (inputs, size, size), (outputs, side, side)))
    compartments = outputs * side**2
    widths = block.SynapseConfig.INDEX_BITS_MAP
    synapse.format(idx_bits=next(code for code, bits in enumerate(widths) if bits and 2**bits >= compartments))
    assert found["shared"] == (synapse.n_axons, synapse.bits())
    axon = block.Axon(synapse.n_axons)
    axon.target = synapse
    assert axon.slots_per_axon == LOIHI.core.population_axon_slots  # type: ignore[attr-defined]
