"""A chip family, an exchange format and a data set of one's own, through the public API."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import neuroprune


@dataclass(frozen=True)
class NeuronsOnly(neuroprune.Family):
    """Cores that are limited by nothing but neurons."""

    name: ClassVar[str] = "neurons-only"
    neurons_per_core: int = neuroprune.number("neurons")

    @property
    def resources(self) -> tuple[neuroprune.Resource, ...]:
        return (neuroprune.Resource("neurons", "neurons", self.neurons_per_core, "prune the layer"),)

    @property
    def most_neurons(self) -> int:
        return self.neurons_per_core

    def tile_counter(
        self,
        layer: neuroprune.IntLayer,
        delays: Sequence[int],
        readers: Sequence[neuroprune.Reader],
        rules: neuroprune.IntegerRules,
    ) -> neuroprune.TileCounter:
        def count(tile: neuroprune.Tile) -> neuroprune.TileResources:
            synapses = sum(neuroprune.count_synapses(connection, tile) for connection in layer.connections)
            return neuroprune.TileResources(tile, used=(tile.neurons,), synapses=synapses)

        return count


class Toy(neuroprune.ExchangeFormat):
    """Integer programs of CUBA neurons as JSON; what limited the scales is not kept."""

    info = neuroprune.FormatInfo("toy", "integers as JSON", ".toy", "program.toy", "integer program", True)

    def write(self, programs: neuroprune.Programs, path: Path) -> tuple[str, ...]:
        program = programs.integers
        others = [layer for layer in program.layers if not isinstance(layer.neuron, neuroprune.IntCubaLif)]
        if others:
            return tuple(
                f"layer {layer.name!r} has neurons that toy files do not: no file was written" for layer in others
            )
        kept = {
            "input": vars(program.input),
            "steps": program.steps,
            "readout": vars(program.readout),
            "layers": [_layer(layer) for layer in program.layers],
        }
        neuroprune.replace_file(path, lambda temporary: temporary.write_text(json.dumps(kept), encoding="utf-8"))
        return ("what limited the scales is not kept",)

    def stated_steps(self, path: Path) -> int | None:
        return int(_content(path)["steps"])

    def read(
        self,
        path: Path,
        rules: neuroprune.IntegerRules,
        steps: int | None = None,
        frames: np.ndarray | None = None,
    ) -> neuroprune.ReadProgram:
        kept = _content(path)
        layers = []
        for each in kept["layers"]:
            bias = neuroprune.IntBias(np.array(each["bias"], np.int32), each["exponent"])
            connections = tuple(
                neuroprune.IntConnection(source, _synapse(weight, geometry), tuple(shape))
                for source, weight, geometry, shape in each["connections"]
            )
            neuron = neuroprune.IntCubaLif(*each["neuron"])
            named = each["name"], connections, neuron, bias, tuple(each["shape"]), each["scale"]
            layers.append(neuroprune.IntLayer(*named, limited_by="unknown", weight_bits=each["bits"]))
        read = neuroprune.IntInput(**kept["input"] | {"shape": tuple(kept["input"]["shape"])})
        program = neuroprune.IntProgram(read, tuple(layers), kept["steps"], neuroprune.Readout(**kept["readout"]))
        return neuroprune.ReadProgram(program, ("what limited the scales is unknown",))


def _layer(layer: neuroprune.IntLayer) -> dict[str, Any]:
    assert isinstance(layer.neuron, neuroprune.IntCubaLif)
    return {
        "name": layer.name,
        "shape": layer.shape,
        "neuron": [layer.neuron.decay_u, layer.neuron.decay_v, layer.neuron.vth, layer.neuron.reset],
        "bias": layer.bias.mantissa.tolist(),
        "exponent": layer.bias.exponent,
        "scale": layer.scale,
        "bits": layer.weight_bits,
        "connections": [
            (each.source, each.synapse.weight.tolist(), _geometry(each.synapse), each.in_shape)
            for each in layer.connections
        ],
    }


def _geometry(synapse: neuroprune.IntConv | neuroprune.IntDense) -> list[Any] | None:
    if isinstance(synapse, neuroprune.IntDense):
        return None
    return [synapse.stride, synapse.padding, synapse.dilation, synapse.groups]


def _synapse(weight: list[Any], geometry: list[Any] | None) -> neuroprune.IntConv | neuroprune.IntDense:
    array = np.array(weight, np.int16)
    if geometry is None:
        return neuroprune.IntDense(array)
    *pairs, groups = geometry
    return neuroprune.IntConv(array, *map(tuple, pairs), groups)


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise neuroprune.InputError(f"{path} is no toy file ({error}): write it again") from error
    return content


def _find_stripes(folder: Path, steps: int | None) -> tuple[neuroprune.Split, neuroprune.Split] | None:
    """Two arrays in one file of numpy's."""
    file = folder / "stripes.npz"
    if not file.is_file():
        return None
    arrays = np.load(file)
    train, test = (neuroprune.Split(arrays[part], np.arange(len(arrays[part])) % 2) for part in ("train", "test"))
    return train, test


STRIPES = neuroprune.DatasetInfo(
    "stripes", "across or down", (1, 6, 6), 80, 20, ("across", "down"), neuroprune.Augmentation(), _find_stripes
)


def write_stripes(folder: Path) -> None:
    """The files of `STRIPES`: even images have lit rows, odd ones lit columns."""
    images = np.random.default_rng(0).integers(0, 60, (100, 1, 6, 6), dtype=np.uint8)
    images[::2, :, ::2] = 255
    images[1::2, :, :, ::2] = 255
    np.savez(folder / "stripes.npz", train=images[:80], test=images[80:])
