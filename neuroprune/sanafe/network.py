"""The mapped network as one of SANA-FE 2.2, in which it computes one sample and then falls silent.

Neurons are those of SANA-FE's model of Loihi, whose potential counts in 64ths of v and has its rules: it decays toward
zero, it is compared strictly. Spikes have no values there and arrive a step later, so

-   an input has a neuron for each value that it has in the sample, which fires in the steps in which it has this value,
    and whose weights are multiplied by it;
-   the first step of the sample reaches a layer as many steps later as the layer is deep, and what the layer gets from
    the host waits for it;
-   biases are spikes of the host, too, since SANA-FE's own act before the sample has come, and after it has gone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.chips.cost_model import CostModel
from neuroprune.chips.types import volume
from neuroprune.fixed_point import DECAY_UNITY
from neuroprune.graph.nodes import INPUT
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.types import ChipMapping
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.timing import depths
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.sanafe.architecture import ACCUMULATOR, INPUT_UNIT, LIF, MOST_NEURONS
from neuroprune.sanafe.host import HostNeurons
from neuroprune.sanafe.synapses import Synapses, every_synapse

ONE_ENCODING = "synapse"
"""What a family's only way to store synapses is called here."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Where the neurons of a layer are, and how their synapses are stored there.

    core: int64 [neurons]. unit: int64 [neurons], of `encodings`, that of the first connection. stores_zeros: bool
    [connections, neurons].
    """

    core: npt.NDArray[np.int64]
    unit: npt.NDArray[np.int64]
    stores_zeros: npt.NDArray[np.bool_]


def chip_steps(program: IntProgram) -> int:
    """Steps that a sample takes, from that of its first frame to that of its answer."""
    return program.steps + depths(program)[program.layers[-1].name]


def encodings_of(mapping: ChipMapping) -> tuple[str, ...]:
    """Ways in which synapses are stored, each once, in the order of the cores."""
    found = (name for core in mapping.cores for use in core.tiles for name in use.encodings or (ONE_ENCODING,))
    return tuple(dict.fromkeys(found))


def placed(layer: IntLayer, mapping: ChipMapping, encodings: tuple[str, ...], skips_zeros: tuple[str, ...]) -> Placed:
    """The neurons of `layer` as `mapping` has them."""
    numbers = np.arange(np.prod(layer.shape)).reshape(volume(layer.shape))
    core, unit = np.zeros((2, numbers.size), dtype=np.int64)
    zeros = np.ones((len(layer.connections), numbers.size), dtype=np.bool_)
    for index, each in enumerate(mapping.cores):
        for use in each.tiles:
            if use.tile.layer == layer.name:
                here = numbers[tuple(map(slice, use.tile.start, use.tile.stop))].ravel()
                ways = use.encodings or (ONE_ENCODING,) * len(layer.connections)
                core[here], unit[here] = index, encodings.index(ways[0])
                zeros[:, here] = np.array([way not in skips_zeros for way in ways])[:, None]
    return Placed(core, unit, zeros)


def network(
    program: IntProgram,
    mapping: ChipMapping,
    chip: Chip,
    model: CostModel,
    hosts: Mapping[str, tuple[HostNeurons, ...]],
) -> Iterator[str]:
    """The text of the network file, piece by piece.

    hosts: what `host_neurons` gives for the program.
    """
    encodings = encodings_of(mapping)
    where = {layer.name: placed(layer, mapping, encodings, chip.core.skips_zeros) for layer in program.layers}
    sending = [host for layer in program.layers for host in hosts[layer.name] if len(host.trains)]
    group = {layer.name: f"layer{number}" for number, layer in enumerate(program.layers)}
    idle = np.repeat(np.arange(len(mapping.cores)), [core.idle_neurons for core in mapping.cores])
    for layer in program.layers:
        yield f"# {group[layer.name]}: {layer.name}\n"
    yield f"# runs for {chip_steps(program)} steps\nnetwork:\n  name: {chip.name}\n  groups:\n"
    for layer in program.layers:
        yield f"    - name: {group[layer.name]}\n      attributes: [{_neuron(layer.neuron)}]\n      neurons:\n"
        for first, last, unit in _runs(where[layer.name].unit):
            yield f"        - {first}..{last}: [synapse_hw_name: {encodings[unit]}]\n"
    if len(idle):
        yield f"    - name: idle\n      attributes: [soma_hw_name: {LIF}]\n      neurons:\n"
        yield f"        - 0..{len(idle) - 1}: [log_spikes: false]\n"
    number = 0
    for host in sending:
        yield f"    - name: {host.name}\n      neurons:\n"
        for own, train in enumerate(host.trains.astype(int).tolist()):
            soma = f'"{INPUT_UNIT}[{number % MOST_NEURONS}]"'
            yield f"        - {own}: [soma_hw_name: {soma}, soma: {{spikes: {train}}}]\n"
            number += 1
    yield "  edges:\n"
    for layer in program.layers:
        stores_zeros = where[layer.name].stores_zeros
        parts = [(host.name, host.connection, host.synapses) for host in hosts[layer.name]]
        parts += [
            (group[connection.source], at, every_synapse(connection, layer))
            for at, connection in enumerate(layer.connections)
            if connection.source != INPUT
        ]
        for source, at, synapses in parts:
            stored = synapses.weight != 0
            if at is not None:
                stored |= stores_zeros[at][synapses.target]
            yield _edges(source, group[layer.name], synapses.of(stored))
    yield "mappings:\n"
    addresses = _addresses(mapping, chip, model)
    for layer in program.layers:
        for first, last, core in _runs(where[layer.name].core):
            yield f"  - {group[layer.name]}.{first}..{last}: [core: {addresses[core]}]\n"
    for first, last, core in _runs(idle):
        yield f"  - idle.{first}..{last}: [core: {addresses[core]}]\n"
    number = 0
    for host in sending:
        for own in range(len(host.trains)):
            yield f"  - {host.name}.{own}: [core: {addresses[-1]}.{number // MOST_NEURONS}]\n"
            number += 1


def _neuron(neuron: object) -> str:
    """Attributes that all neurons of a layer share."""
    assert isinstance(neuron, IntCubaLif), "`check_sanafe` says so"
    kept_u, kept_v = ((DECAY_UNITY - lost) / DECAY_UNITY for lost in (neuron.decay_u + 1, neuron.decay_v))
    reset = "hard" if neuron.reset == "zero" else "soft"
    soma = f"threshold: {neuron.vth}, input_decay: {kept_u}, leak_decay: {kept_v}, reset_mode: {reset}"
    return f"log_spikes: true, soma_hw_name: {LIF}, dendrite_hw_name: {ACCUMULATOR}, soma: {{{soma}}}"


def _edges(source: str, target: str, synapses: Synapses) -> str:
    if not len(synapses.source):
        return ""
    pairs = ",".join(map("[{},{}]".format, synapses.source.tolist(), synapses.target.tolist()))
    weights = ",".join(map(str, synapses.weight.tolist()))
    return f"    - {source} -> {target}: {{type: sparse, source_target_pairs: [{pairs}], weight: [{weights}]}}\n"


def _runs(values: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """First, last and value of each run of equal values."""
    starts = np.flatnonzero(np.diff(values, prepend=-1))
    ends = np.flatnonzero(np.diff(values, append=-1))
    yield from zip(starts.tolist(), ends.tolist(), values[starts].tolist(), strict=True)


def _addresses(mapping: ChipMapping, chip: Chip, model: CostModel) -> list[str]:
    """Of each core its tile and its number there, and at the end the tile of the host.

    SANA-FE numbers tiles along y first.
    """
    mesh, (along_x, along_y) = Mesh(chip, mapping.chips, model.tile.value), model.tile.value
    columns, rows = mesh.shape
    found = []
    for core in mapping.cores:
        x, y = mesh.position(np.array([core.chip, core.x, core.y]))
        found.append(f"{x * rows + y}.{core.x % along_x + along_x * (core.y % along_y)}")
    return [*found, str(columns * rows)]
