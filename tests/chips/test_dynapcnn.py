"""Speck's cores: memory counted by its addresses and by sinabs, pools found again, and what no core computes."""

import importlib
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from own_neuron import IntFloorNeuron
from synapse_oracle import chain, layer_of

from neuroprune.chips.chip import Chip
from neuroprune.chips.dynapcnn.family import Dynapcnn
from neuroprune.chips.dynapcnn.kernels import kernel_of
from neuroprune.chips.load import load_chip
from neuroprune.chips.types import Reader, Tile, TileResources, volume
from neuroprune.errors import CapacityError, InputError, UnsupportedNetwork
from neuroprune.mapping.map import map_program
from neuroprune.program.types import IntBias, IntConnection, IntConv, IntDense, IntLayer

SPECK = load_chip("speck")


def core_of(chip: Chip) -> Dynapcnn:
    assert isinstance(chip.core, Dynapcnn)
    return chip.core


def conv(
    channels: int,
    in_shape: tuple[int, int, int],
    kernel: int = 3,
    name: str = "conv",
    source: str = "input",
    **given: Any,
) -> IntLayer:
    """A convolution of weights that all differ, as far as bytes go."""
    geometry = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1} | given
    size = channels * in_shape[0] // geometry["groups"] * kernel * kernel
    weight = (np.arange(size) % 127 * 2).reshape(channels, -1, kernel, kernel).astype(np.int16)
    shape = out_shape(channels, in_shape, (kernel, kernel), **geometry)
    return layer_of(IntConv(weight, **geometry), in_shape, shape, name, source)


def out_shape(
    channels: int,
    in_shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> tuple[int, int, int]:
    height, width = (
        (size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis, size in enumerate(in_shape[1:])
    )
    return channels, height, width


def counted(layer: IntLayer, readers: int = 0) -> TileResources:
    read = [Reader(layer.connections[0], 0, ())] * readers
    counter = SPECK.core.tile_counter(layer, [0] * len(layer.connections), read, SPECK.rules)
    return counter(Tile(layer.name, (0, 0, 0), volume(layer.shape)))


# --- counting ---------------------------------------------------------------------------------------------------------


def words(*sizes: int) -> int:
    """Words that addresses of so many parts reach, each part with bits of its own: the largest address and one."""
    address = 0
    for size in sizes:
        bits = 0
        while 2**bits < size:
            bits += 1
        address = address << bits | 2**bits - 1
    return address + 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 16), st.integers(0, 4), st.integers(0, 4), st.booleans())
def test_a_layer_takes_the_words_that_its_addresses_reach(
    channels: int, inputs: int, kernel: int, more_rows: int, more_columns: int, bias: bool
) -> None:
    layer = conv(channels, (inputs, kernel + more_rows, kernel + more_columns), kernel)
    if bias:
        layer = replace(layer, bias=IntBias(np.arange(channels, dtype=np.int32) + 1, 6))
    _, height, width = layer.shape
    found = counted(layer, readers=2).used
    assert found == (
        inputs * words(kernel * kernel, channels),
        channels * words(height, width),
        channels if bias else 0,
        2,
    )


def test_33_channels_cost_as_64() -> None:
    one, other = (counted(conv(channels, (2, 8, 8))).used[0] for channels in (33, 64))
    assert one == other == 2 * 16 * 64


def test_a_kernel_in_groups_is_stored_with_its_zeros() -> None:
    assert counted(conv(8, (8, 6, 6), groups=8)).used[0] == counted(conv(8, (8, 6, 6))).used[0]


def test_layers_read_through_equal_weights_share_a_kernel_and_others_have_their_channels_one_after_the_other() -> None:
    layer = conv(8, (4, 6, 6), source="a")
    (first,) = layer.connections
    twin, other = replace(first, source="b"), replace(conv(8, (5, 6, 6)).connections[0], source="c")
    assert counted(replace(layer, connections=(first, twin))).used[0] == 4 * 16 * 8
    assert counted(replace(layer, connections=(first, other))).used[0] == (4 + 5) * 16 * 8


@pytest.fixture(scope="module")
def sinabs_layer() -> Any:
    """sinabs' DynapcnnLayer, without the rest of its package, which needs the driver of the chip."""
    sinabs = pytest.importorskip("sinabs", reason="sinabs is not installed")
    name = "sinabs.backend.dynapcnn"
    package = ModuleType(name)
    package.__path__ = [str(Path(sinabs.__file__).parent / "backend" / "dynapcnn")]
    saved = {each: module for each, module in sys.modules.items() if each.startswith(name)}
    sys.modules[name] = package
    yield importlib.import_module(f"{name}.dynapcnn_layer").DynapcnnLayer
    for each in [each for each in sys.modules if each.startswith(name)]:
        del sys.modules[each]
    sys.modules.update(saved)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 80), st.integers(1, 40), st.integers(1, 16), st.sampled_from([1, 2, 4, 8]), st.integers(0, 7),
    st.integers(0, 30), st.booleans(),
)  # fmt: skip
def test_sinabs_counts_the_same_words(
    sinabs_layer: Any, channels: int, inputs: int, kernel: int, stride: int, padding: int, more: int, bias: bool
) -> None:
    from sinabs.layers import IAFSqueeze

    in_shape = (inputs, kernel + more, kernel + more // 2)
    theirs = sinabs_layer(
        torch.nn.Conv2d(inputs, channels, kernel, stride, padding, bias=bias),
        IAFSqueeze(batch_size=1),
        in_shape,
        [(1, 1)],
        discretize=False,
    ).memory_summary()
    layer = conv(channels, in_shape, kernel, stride=(stride, stride), padding=(padding, padding))
    layer = replace(layer, bias=IntBias(np.full(channels, int(bias), np.int32), 6))
    assert counted(layer).used[:3] == (theirs["kernel"], theirs["neuron"], theirs["bias"])


# --- pools ------------------------------------------------------------------------------------------------------------


@st.composite
def pooled_convolutions(draw: st.DrawFn) -> tuple[IntConnection, tuple[int, int, int], int]:
    """A convolution behind a pool as folding writes it, its outputs, and the window."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    pool, kernel = draw(st.sampled_from([2, 4])), draw(st.integers(1, 3))
    stride, padding, rest = draw(st.integers(1, 2)), draw(st.integers(0, 1)), draw(st.integers(0, 3))
    size = pool * (kernel + draw(st.integers(0, 3))) + rest % pool
    small = rng.integers(-128, 128, (2, 3, kernel, kernel)) * 2
    large = small.repeat(pool, axis=2).repeat(pool, axis=3).astype(np.int16)
    step, around = (stride * pool, stride * pool), (padding * pool, padding * pool)
    shape = out_shape(2, (3, size, size), (kernel * pool, kernel * pool), step, around, (1, 1), 1)
    return IntConnection("a", IntConv(large, step, around, (1, 1), 1), (3, size, size)), shape, pool


@settings(max_examples=100, deadline=None)
@given(pooled_convolutions())
def test_what_is_put_behind_a_pool_computes_the_same(case: tuple[IntConnection, tuple[int, int, int], int]) -> None:
    connection, shape, pool = case
    synapse = connection.synapse
    assert isinstance(synapse, IntConv)
    kernel = kernel_of(connection, shape, (1, 2, 4))
    spikes = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (1, *connection.in_shape))).double()
    windows = torch.nn.functional.avg_pool2d(spikes, kernel.pool, divisor_override=1)
    assert windows.shape[1:] == kernel.source
    small, large = (
        torch.nn.functional.conv2d(
            read, torch.from_numpy(np.array(part.weight)).double(), None, part.stride, part.padding, part.dilation
        )
        for part, read in ((kernel, windows), (synapse, spikes))
    )
    assert torch.equal(small, large) and small.shape[1:] == shape
    exact = connection.in_shape[1] % pool == 0
    if exact:
        assert kernel.pool >= pool


def test_a_dense_layer_behind_a_pool_has_the_kernel_of_the_smaller_map() -> None:
    weight = np.random.default_rng(0).integers(-128, 128, (10, 4, 2, 2)) * 2
    dense = IntDense(weight.repeat(4, axis=2).repeat(4, axis=3).reshape(10, -1).astype(np.int16))
    kernel = kernel_of(IntConnection("a", dense, (4, 8, 8)), (10,), (1, 2, 4))
    assert (kernel.pool, kernel.size, kernel.source) == (4, (2, 2), (4, 2, 2))
    assert np.array_equal(kernel.weight, weight)
    layer = layer_of(dense, (4, 8, 8), (10,), source="a")
    assert counted(layer).used[0] == 4 * 4 * 16
    assert counted(layer).encodings == ("kernel behind pool 4",)


@pytest.mark.parametrize("stride", [1, 3])
def test_taps_of_another_rhythm_are_no_pool(stride: int) -> None:
    weight = np.repeat(np.repeat(np.arange(1, 5).reshape(1, 1, 2, 2) * 2, 2, 2), 2, 3).astype(np.int16)
    connection = IntConnection("a", IntConv(weight, (stride, stride), (0, 0), (1, 1), 1), (1, 10, 10))
    assert kernel_of(connection, (1, 3, 3), (1, 2, 4)).pool == 1


def test_frames_are_not_pooled() -> None:
    weight = np.full((1, 1, 4, 4), 2, np.int16)
    connection = IntConnection("input", IntConv(weight, (4, 4), (0, 0), (1, 1), 1), (1, 8, 8))
    assert kernel_of(connection, (1, 2, 2), (1, 2, 4)).pool == 1
    assert kernel_of(replace(connection, source="a"), (1, 2, 2), (1, 2, 4)).pool == 4


# --- what no core computes --------------------------------------------------------------------------------------------

FITS = conv(8, (2, 16, 16), name="a")
LEAKS, FILTERS = (
    replace(FITS, neuron=replace(FITS.neuron, **change)) for change in ({"decay_v": 2048}, {"decay_u": 99})
)
ITSELF = replace(FITS, connections=(*FITS.connections, conv(8, FITS.shape, padding=(1, 1), source="a").connections[0]))
REFUSED = {
    "leak": (LEAKS, "neurons lose 0.5 of their potential in a step, those of a core lose nothing: take neurons wi"),
    "current": (FILTERS, "neurons keep 0.976 of their current in a step, those of a core have none: take neurons"),
    "recurrence": (ITSELF, "own spikes are read, a core sends none to itself: leave the recurrence out"),
    "channels": (conv(1025, (1, 3, 3), name="a"), "1025 channels, a core computes 1024 at most: prune them"),
    "map": (conv(1, (1, 67, 10), name="a"), "a map of 65x8, that of a core 64x64 at most: give it a stride, or pool"),
    "kernel": (
        conv(1, (1, 20, 20), kernel=17, name="a"),
        "a kernel of 17x17, that of a core square and 16x16 at most: take such a one, or pool before it in windows",
    ),
    "stride": (
        conv(1, (1, 20, 20), stride=(3, 3), name="a"),
        "a stride of 3, that of a core 1, 2, 4 or 8: take one of these",
    ),
    "padding": (
        conv(1, (1, 20, 20), kernel=16, padding=(8, 8), name="a"),
        "a padding of 8, that of a core 7 at most: take less",
    ),
    "dilation": (
        conv(1, (1, 20, 20), dilation=(2, 2), name="a"),
        "a dilation of 2, that of a core 1: take a kernel without gaps",
    ),
    "input": (
        conv(1, (1, 129, 8), stride=(8, 1), name="a"),
        "129x8 pixels are read, a core reads 128x128 at most: scale the frames down",
    ),
    "forms": (
        replace(FITS, connections=(*FITS.connections, conv(8, (2, 14, 14), kernel=1).connections[0])),
        "2 layers are read through kernels of different form, a core has one: give them the same kernel size, stri",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_core_computes_is_refused_with_value_limit_and_remedy(what: str) -> None:
    layer, sentence = REFUSED[what]
    with pytest.raises(UnsupportedNetwork) as refused:
        map_program(chain(layer), SPECK)
    assert refused.value.exit_code == 2
    (problem,) = refused.value.problems
    assert problem.startswith(f"layer a: {sentence}")


def test_all_that_no_core_computes_is_said_at_once() -> None:
    first, second = LEAKS, conv(4, FITS.shape, stride=(3, 3), name="b", source="a")
    assert len(SPECK.core.problems(chain(first, replace(second, neuron=LEAKS.neuron)))) == 3


def test_one_sentence_for_several_layers_reads_well() -> None:
    program = chain(LEAKS, replace(conv(8, FITS.shape, name="b", source="a"), neuron=LEAKS.neuron))
    with pytest.raises(
        UnsupportedNetwork, match=r"layers a, b: neurons lose 0\.5 of their potential in a step, those of"
    ):
        map_program(program, SPECK)


def test_neurons_of_another_kind_are_refused() -> None:
    problems = SPECK.core.problems(chain(replace(FITS, neuron=IntFloorNeuron(100, 0))))
    assert problems == ("layer a: neurons are IntFloorNeuron, a core has integrate-and-fire ones alone: take those",)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_both_resets_and_every_allowed_form_are_taken(reset: str) -> None:
    neuron = replace(FITS.neuron, reset=reset)  # type: ignore[arg-type]
    for kernel, stride, padding in product((1, 16), (1, 2, 4, 8), (0, 7)):
        layer = conv(2, (2, 20, 20), kernel, stride=(stride, stride), padding=(padding, padding), name="a")
        assert SPECK.core.problems(chain(replace(layer, neuron=neuron))) == ()


# --- the chip as data -------------------------------------------------------------------------------------------------


def test_speck_has_sinabs_memories_core_by_core() -> None:
    """sinabs 3.1.3, backend/dynapcnn/chips/dynapcnn.py, get_constraints, in Ki words."""
    kernel, neuron = (16, 16, 16, 32, 32, 64, 64, 16, 16), (64, 64, 64, 32, 32, 16, 16, 16, 16)
    assert SPECK.cores_per_chip == 9
    for number in range(9):
        limits = {each.name: each.limit for each in SPECK.resources_at(number, 0)}
        assert limits == {
            "kernel memory": kernel[number] * 1024,
            "neuron memory": neuron[number] * 1024,
            "bias memory": 1024,
            "destinations": 2,
        }
    assert [each.limit for each in SPECK.core.resources] == [65536, 65536, 1024, 2]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (16384, "kernel_words_per_core is 16384, but must be a whole number for each core, as in "),
        ((), "kernel_words_per_core is (), but must be a whole number for each core, as in "),
        ((*[5] * 8, 0), "kernel_words_per_core of core 8 is 0, but must be a whole number from 1 to 2147483647"),
        ((5, 6), "kernel_words_per_core has 2 numbers, but cores_per_chip is 9: give one for each core"),
    ],
)
def test_memories_that_are_not_one_a_core(value: object, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        replace(SPECK, core=replace(SPECK.core, kernel_words_per_core=value))  # type: ignore[call-arg]
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("key", [key for key in Dynapcnn.units() if key != "pool_size_max"])
def test_a_network_that_fits_is_refused_where_any_number_is_1(key: str) -> None:
    core = core_of(SPECK)
    first = conv(4, (2, 8, 8), stride=(2, 2), padding=(2, 2), name="a")
    first = replace(first, bias=IntBias(np.ones(4, np.int32), 6))
    readers = [conv(2, (4, 5, 5), 2, name, "a") for name in ("b", "c")]
    last = conv(2, (2, 4, 4), 1, "d", "b")
    last = replace(last, connections=(*last.connections, replace(last.connections[0], source="c")))
    program = chain(first, *readers, last)
    map_program(program, SPECK)
    least = (1,) * 9 if isinstance(getattr(core, key), tuple) else 1
    with pytest.raises((UnsupportedNetwork, CapacityError)):
        map_program(program, replace(SPECK, core=replace(core, **{key: least})))


def test_without_pools_behind_its_cores_a_kernel_is_counted_as_it_was_folded() -> None:
    small = replace(SPECK, core=replace(core_of(SPECK), pool_size_max=1))
    weight = np.full((3, 2, 2, 2), 2, np.int16)
    layer = layer_of(IntConv(weight, (2, 2), (0, 0), (1, 1), 1), (2, 8, 8), (3, 4, 4), source="a")
    words = [
        chip.core.tile_counter(layer, [0], [], chip.rules)(Tile("layer", (0, 0, 0), (3, 4, 4))).used[0]
        for chip in (SPECK, small)
    ]
    assert words == [2 * 4, 2 * 4 * 4]
