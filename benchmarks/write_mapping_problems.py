"""Write the files of the mapping problems anew, from recipes and from lists of widths.

    python benchmarks/write_mapping_problems.py

Only the geometry of a recipe's network is taken: pools are folded into the layers that read them, and weights are drawn
as benchmarks/mapping/README.md says. Connections of a layer that have equal weights get equal seeds.
"""

import json
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import click
import numpy as np
import torch
from mapping_problems import FOLDER, Conv, Dense, Layer, Problem

from neuroprune import build, fold, load_recipe, trace
from neuroprune.arrays import FloatArray
from neuroprune.files import write_text
from neuroprune.graph.float_program import FloatConnection, FloatConv
from neuroprune.graph.nodes import INPUT, Shape
from neuroprune.networks.recipe import Recipe, parse_recipe

SMALL, COLOUR, EVENTS = (1, 28, 28), (3, 32, 32), (2, 34, 34)
FASHION_SLIM = (23, 41, 77, 52)
VGG16_SLIM = (61, 37, 118, 103, 214, 176, 187, 301, 164, 122, 97, 85, 140)
"""Widths as pruning of whole channels leaves them."""
MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *5 * ((512, 1),), (1024, 2), (1024, 1))
"""Channels and stride of each pair of depthwise and pointwise layers (Howard et al. 2017, table 1)."""


def problems() -> Iterator[Problem]:
    """All problems."""
    fashion, vgg16 = load_recipe("fashion-conv"), load_recipe("vgg16")
    yield of_recipe("digits-conv", load_recipe("digits-conv"), (1, 8, 8), 10)
    yield of_recipe("fashion-conv", fashion, SMALL, 10)
    yield of_recipe("fashion-conv-slim", narrowed(fashion, FASHION_SLIM), SMALL, 10, "whole channels pruned")
    yield of_recipe("fashion-conv-sparse", fashion, SMALL, 10, "90 % zeros", density=0.1)
    yield of_recipe("fashion-conv-4bit", fashion, SMALL, 10, "4-bit weights", bits=4)
    yield of_recipe("depthwise-conv", load_recipe("depthwise-conv"), SMALL, 10)
    yield of_recipe("ms-resnet", load_recipe("ms-resnet"), SMALL, 10)
    yield of_recipe("sew-resnet", load_recipe("sew-resnet"), SMALL, 10)
    yield of_recipe("nmnist-conv", load_recipe("nmnist-conv"), EVENTS, 10)
    yield of_recipe("poker-dvs-conv", load_recipe("poker-dvs-conv"), (2, 35, 35), 4)
    yield of_recipe("vgg16", vgg16, COLOUR, 10)
    yield of_recipe("vgg16-slim", narrowed(vgg16, VGG16_SLIM), COLOUR, 10, "whole channels pruned")
    yield of_recipe("vgg16-sparse", vgg16, COLOUR, 10, "95 % zeros", density=0.05)
    yield of_recipe("vgg16-4bit", vgg16, COLOUR, 10, "4-bit weights", bits=4)
    yield of_recipe("resnet19", load_recipe("resnet19"), COLOUR, 10)
    yield of_recipe("resnet19-preact", load_recipe("resnet19-preact"), COLOUR, 10)
    yield of_recipe("mobilenet", mobilenet(1), (3, 128, 128), 1000)
    yield of_recipe("mobilenet-10", mobilenet(1), (3, 128, 128), 10, "10 classes")
    yield of_recipe("mobilenet-quarter", mobilenet(4), (3, 128, 128), 1000, "a quarter of the channels")
    yield of_widths("dense", "Dense layers for 28x28 frames", SMALL, (1000, 1000, 1000, 10))
    yield of_widths("dense-sparse", "Dense layers for 28x28 frames, 95 % zeros", SMALL, (4000, 4000, 10), density=0.05)
    yield of_widths("dense-large", "Dense layers of VGG's classifier", (512, 7, 7), (4096, 4096, 1000))
    yield of_widths("one-wide", "A chain of layers of one neuron", (1,), 60 * (1,))
    yield of_widths("recurrent", "Recurrent layers for 700 audio channels", (700,), (512, 512, 20), recurrent=2)


def mobilenet(divisor: int) -> Recipe:
    """MobileNet-v1, each width divided."""
    pairs = [
        ({"depthwise": 3, "stride": stride}, {"conv": width // divisor, "kernel": 1}) for width, stride in MOBILENET
    ]
    layers = [{"conv": 32 // divisor, "stride": 2}, *(layer for pair in pairs for layer in pair), {"pool": "global"}]
    values: dict[str, Any] = {"name": "mobilenet", "title": "MobileNet-v1 for 128x128 colour images", "data": "none"}
    return parse_recipe({**values, "steps": 1, "layers": layers}, "MobileNet")


def narrowed(recipe: Recipe, widths: Sequence[int]) -> Recipe:
    """`recipe` with other numbers of channels in its conv layers."""
    left = iter(widths)
    layers = tuple(
        layer.model_copy(update={"conv": next(left)}) if "conv" in layer.model_fields_set else layer
        for layer in recipe.layers
    )
    assert next(left, None) is None
    return recipe.model_copy(update={"layers": layers})


def of_recipe(
    name: str,
    recipe: Recipe,
    shape: tuple[int, int, int],
    classes: int,
    change: str = "",
    density: float = 1.0,
    bits: int = 8,
) -> Problem:
    """The network of `recipe`; density: of the weights of connections without groups."""
    program = fold(trace(build(recipe, shape, classes).eval(), torch.zeros(1, *shape)))
    depth = {INPUT: 0}
    layers: list[Layer] = []
    seeds = iter(range(10_000))
    for layer in program.layers:
        depth[layer.name] = 1 + max(depth[each.source] for each in layer.connections if each.source != layer.name)
        known: dict[tuple[object, ...], int] = {}
        connections = []
        for each in layer.connections:
            alike = (each.synapse.weight.shape, each.synapse.weight.tobytes())
            if alike not in known:
                known[alike] = next(seeds)
            late = depth[layer.name] - depth[each.source] - 1
            delay = 0 if each.source in (INPUT, layer.name) else late
            connections.append(_connection(each, delay, known[alike], density))
        layers.append(
            Layer(name=_short(layer.name), shape=layer.shape, weight_bits=bits, connections=tuple(connections))
        )
    title = f"{recipe.title}, {change}" if change else recipe.title
    return _problem(name, title, shape, layers)


def of_widths(
    name: str, title: str, shape: Shape, widths: Sequence[int], density: float = 1.0, recurrent: int = 0
) -> Problem:
    """A chain of dense layers, the first `recurrent` of which read themselves, too."""
    layers: list[Layer] = []
    seeds = iter(range(10_000))
    for number, width in enumerate(widths, 1):
        own = f"layer{number}"
        sources = [layers[-1].name if layers else INPUT, *([own] if number <= recurrent else [])]
        connections = tuple(
            Dense(source=source, delay=0, seed=next(seeds), density=density, repeat=(1, 1)) for source in sources
        )
        layers.append(Layer(name=own, shape=(width,), weight_bits=8, connections=connections))
    return _problem(name, title, shape, layers)


def text_of(problem: Problem) -> str:
    """JSON with a connection a line."""
    values = problem.model_dump()
    layers = values.pop("layers")
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in values.items()]
    blocks = []
    for layer in layers:
        connections = ",\n".join(f"      {json.dumps(each)}" for each in layer.pop("connections"))
        blocks.append(f'    {json.dumps(layer)[:-1]}, "connections": [\n{connections}\n    ]}}')
    return "\n".join(["{", *lines, '  "layers": [', ",\n".join(blocks), "  ]", "}", ""])


def _problem(name: str, title: str, shape: Shape, layers: Sequence[Layer]) -> Problem:
    neurons = sum(prod(layer.shape) for layer in layers)
    return Problem(name=name, title=title, neurons=neurons, input=shape, layers=tuple(layers))


def _short(name: str) -> str:
    return name.removeprefix("body.")


def _connection(connection: FloatConnection, delay: int, seed: int, density: float) -> Dense | Conv:
    synapse, source = connection.synapse, _short(connection.source)
    if isinstance(synapse, FloatConv):
        return Conv(
            source=source,
            delay=delay,
            seed=seed,
            density=density if synapse.groups == 1 else 1.0,
            repeat=(_repeat(synapse.weight, 2), _repeat(synapse.weight, 3)),
            kernel=(synapse.weight.shape[2], synapse.weight.shape[3]),
            stride=synapse.stride,
            padding=synapse.padding,
            dilation=synapse.dilation,
            groups=synapse.groups,
        )
    weight = synapse.weight.reshape(-1, *connection.in_shape)
    repeat = (_repeat(weight, 2), _repeat(weight, 3)) if weight.ndim == 4 else (1, 1)
    return Dense(source=source, delay=delay, seed=seed, density=density, repeat=repeat)


def _repeat(weight: FloatArray, axis: int) -> int:
    """How often each value stands in a row along `axis`."""
    size = weight.shape[axis]
    fits = (by for by in range(size, 0, -1) if size % by == 0)
    return next(by for by in fits if np.array_equal(weight.take(range(0, size, by), axis).repeat(by, axis), weight))


@click.command(help=__doc__)
def main() -> None:
    for problem in problems():
        path = FOLDER / f"{problem.name}.json"
        write_text(path, text_of(problem))
        click.echo(f"{path.name}: {len(problem.layers)} layers, {problem.neurons} neurons, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
