"""From a network, without data, to what it becomes on a chip: the compile path as far as the mapper."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import nn

from neuroprune.arrays import Frames
from neuroprune.checking.parts import kind_on_chip, kinds_on_chip, parts_of
from neuroprune.checking.schema import Binding, Check, CheckedLayer, ChipLayerKind, LayerKind
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.errors import CapacityError, UnsupportedNetwork
from neuroprune.graph.catalog import IGNORED
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.graph.read import Readers
from neuroprune.graph.trace import trace
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.map import map_program
from neuroprune.mapping.types import ChipMapping
from neuroprune.neurons.catalog import neuron_models
from neuroprune.neurons.model import NeuronModel
from neuroprune.program.timing import balance
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.quantization.bits import Bits
from neuroprune.quantization.quantize import WIDEST, quantize
from neuroprune.report.advice import advice_on, advice_to_fit
from neuroprune.report.chip_schema import ResourceUse
from neuroprune.report.placement import limits_of, summed, taken_by_layers, used_of
from neuroprune.report.synops import synapses
from neuroprune.simulation.module_check import verify_module

EVENTS = 0.3
"""Mean of the random counts of a sequence: about what a pixel of a binned recording has at a step."""


def check(
    module: nn.Module,
    shape: Sequence[int],
    chip: Chip | str = "loihi-sim",
    *,
    bits: Bits = WIDEST,
    effort: EffortName = "layers",
    network: str = "network",
    takes: str | None = None,
    neurons: Sequence[NeuronModel] | None = None,
) -> Check:
    """What `module` becomes on `chip` and how many cores that takes, in seconds and without data.

    module: as for `deploy`; `present` makes one of a network that takes samples in another form.
    shape: of one sample: (channels, height, width), or (steps, channels, height, width) of sequences.
    chip: a chip, or its name, or the path of its YAML. bits: of the weights of each layer.
    effort: how long is searched for fewer cores, one of `EFFORTS`. network, takes: kept in the result.
    neurons: models that layers of neurons are read as, by default all there are.

    It goes the way of `deploy` as far as the mapper. Scales, which `deploy` sets on samples, are set on one random
    frame, on which the network as it was read is also compared with the module. What cannot be mapped, and a chip that
    cannot hold it, are part of the result.
    Raises InputError for weights that are not finite and bits that do not exist, VerificationError where the network
    computes something else than was read.

    >>> from neuroprune import build, check, load_recipe
    >>> network = build(load_recipe("digits-conv"), (1, 8, 8), classes=10)
    >>> found = check(network, (1, 8, 8), "loihi-sim")
    >>> found.fits, found.cores, found.steps
    (True, 6, 4)
    >>> found.binds[0].name, found.layers[0].shape
    ('neurons', (32, 8, 8))
    """
    chip = load_chip(chip) if isinstance(chip, str) else chip
    frames = random_frames(tuple(shape))
    models = neuron_models() if neurons is None else tuple(neurons)
    found = Check(
        network=network,
        takes=takes,
        target=limits_of(chip),
        shape=frames.shape[1:],
        kinds=_kinds(module, Readers(models)),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
    )
    graph: Graph | None = None
    try:
        graph = trace(module, torch.from_numpy(frames), models)
        found = found.model_copy(update={"steps": graph.steps, "parts": parts_of(graph)})
        floats = fold(graph)
    except UnsupportedNetwork as error:
        return found.model_copy(update={"problems": error.problems})
    verify_module(module, graph, floats, frames)
    return _mapped(quantize(floats, frames, chip, bits), chip, found, effort, graph)


def check_program(
    program: IntProgram,
    chip: Chip | str = "loihi-sim",
    *,
    effort: EffortName = "layers",
    network: str = "network",
) -> Check:
    """What a finished integer program, such as that of a file, takes of `chip`: see `check`.

    >>> import numpy as np
    >>> from neuroprune import (
    ...     IntBias, IntConnection, IntCubaLif, IntDense, IntInput, IntLayer, IntProgram, check_program,
    ... )
    >>> layer = IntLayer(
    ...     "a", (IntConnection("input", IntDense(np.array([[64, 0]])), in_shape=(2,)),),
    ...     IntCubaLif(decay_u=4095, decay_v=0, vth=32), IntBias(np.array([0]), exponent=6), shape=(1,), scale=4096.0,
    ...     limited_by="weight",
    ... )
    >>> found = check_program(IntProgram(IntInput((2,), unit=1.0, bits=8), (layer,), steps=4))
    >>> found.fits, found.cores, found.neurons, found.synapses
    (True, 1, 1, 2)
    """
    chip = load_chip(chip) if isinstance(chip, str) else chip
    shape = (program.steps,) * program.input.sequence + program.input.shape
    found = Check(
        network=network, takes=None, target=limits_of(chip), shape=shape, steps=program.steps, provisional=False
    )
    return _mapped(program, chip, found, effort)


def random_frames(shape: tuple[int, ...]) -> Frames:
    """One sample that stands for data which are not there: normalised pixels, or event counts of a sequence."""
    random = np.random.default_rng(0)
    values = random.poisson(EVENTS, (1, *shape)) if len(shape) == 4 else random.standard_normal((1, *shape))
    return values.astype(np.float32)


def _kinds(module: nn.Module, readers: Readers) -> tuple[LayerKind, ...]:
    """The classes of the layers of `module` that have no layers in them, and of neurons, which may have."""
    counts: Counter[tuple[str, bool]] = Counter()
    inside: set[nn.Module] = set()
    for each in module.modules():
        known = readers.know(each) or type(each).__name__ in IGNORED
        if each in inside or not (known or next(each.children(), None) is None):
            continue
        inside.update(each.modules())  # a surrogate within neurons is no layer
        counts[type(each).__name__, known] += 1
    return tuple(LayerKind(name=name, count=count, maps=known) for (name, known), count in counts.items())


def _mapped(program: IntProgram, chip: Chip, found: Check, effort: EffortName, graph: Graph | None = None) -> Check:
    """`found` with the layers of `program`, quantised for `chip`, and what they take of it."""
    balanced = balance(program, chip.synaptic_delay_max)
    kinds = {} if graph is None else kinds_on_chip(graph)
    layers = [_layer(each, kinds) for each in balanced.layers]
    found = found.model_copy(
        update={
            "neurons": sum(layer.neurons for layer in layers),
            "synapses": sum(layer.synapses for layer in layers),
            "weights": sum(layer.weights for layer in layers),
        }
    )
    try:
        mapping = map_program(balanced, chip, effort=effort)
    except UnsupportedNetwork as error:
        return found.model_copy(update={"layers": tuple(layers), "problems": error.problems})
    except CapacityError as error:
        advice = advice_to_fit(balanced, chip, effort)
        return found.model_copy(update={"layers": tuple(layers), "cannot_hold": str(error), "advice": advice})
    taken, fullest = taken_by_layers(mapping, chip), _fullest_by_layers(mapping, chip)
    on_cores = [
        layer.model_copy(
            update={
                "cores": taken[layer.name].cores,
                "resources": taken[layer.name].resources,
                "fullest": fullest[layer.name],
            }
        )
        for layer in layers
    ]
    uses = [used_of(core.used, chip.resources_at(core.x, core.y)) for core in mapping.cores]
    binding = Counter(_fullest(each).name for each in uses)
    return found.model_copy(
        update={
            "layers": tuple(on_cores),
            "cores": len(mapping.cores),
            "chips": mapping.chips,
            "effort": effort,
            "resources": tuple(map(summed, zip(*uses, strict=True))),
            "binds": tuple(Binding(name=name, cores=cores) for name, cores in binding.most_common()),
            "advice": advice_on(balanced, mapping, chip, effort),
        }
    )


def _layer(layer: IntLayer, kinds: Mapping[str, ChipLayerKind]) -> CheckedLayer:
    return CheckedLayer(
        name=layer.name,
        kind="relay" if layer.role == "relay" else kind_on_chip(layer.name, kinds),
        sources=tuple(dict.fromkeys(connection.source for connection in layer.connections)),
        shape=layer.shape,
        neurons=prod(layer.shape),
        synapses=int(synapses(layer).all.sum()),
        weights=sum(connection.synapse.weight.size for connection in layer.connections),
        weight_bits=layer.weight_bits,
    )


def _fullest_by_layers(mapping: ChipMapping, chip: Chip) -> dict[str, ResourceUse]:
    """By layer, the resource of which one of its tiles takes the largest share of a core."""
    found: dict[str, ResourceUse] = {}
    for on, use in ((core, use) for core in mapping.cores for use in core.tiles):
        fullest = _fullest(used_of(use.used, chip.resources_at(on.x, on.y)))
        found[use.tile.layer] = max(found.get(use.tile.layer, fullest), fullest, key=_share)
    return found


def _fullest(uses: Sequence[ResourceUse]) -> ResourceUse:
    return max(uses, key=_share)


def _share(use: ResourceUse) -> float:
    return use.percent
