"""Writes the mapped network for SANA-FE 2.2, or says why it cannot."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from neuroprune.arrays import InputSpikes
from neuroprune.chips.chip import Chip
from neuroprune.chips.cost_model import CostModel, Sourced
from neuroprune.chips.synapse_counts import count_synapses
from neuroprune.chips.types import Tile, volume
from neuroprune.errors import InputError
from neuroprune.files import replace_file
from neuroprune.mapping.types import ChipMapping
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.timing import depths, synaptic_delay
from neuroprune.program.types import IntProgram
from neuroprune.sanafe.architecture import architecture
from neuroprune.sanafe.host import HostNeurons, host_neurons, lost_of_u
from neuroprune.sanafe.network import chip_steps, encodings_of, network

ARCHITECTURE_FILE, NETWORK_FILE = "sanafe-architecture.yaml", "sanafe-network.yaml"

MOST_SYNAPSES = 2_000_000
"""Of the network; SANA-FE 2.2.9 takes about 2 kB and 10 us to read each, and keeps all of them in memory."""


def check_sanafe(program: IntProgram, chip: Chip) -> None:
    """Raise InputError where SANA-FE cannot be given `program`, which is balanced, or has no costs to compute with."""
    leave = "or leave out --export sanafe"
    if not chip.costs:
        raise InputError(
            f"target {chip.name} names no cost model, and SANA-FE needs one to compute time and energy: give its file "
            f"`costs`, {leave}"
        )
    depth = depths(program)
    for layer in program.layers:
        if not isinstance(layer.neuron, IntCubaLif):
            raise InputError(
                f"layer {layer.name!r} has {type(layer.neuron).__name__} neurons, and SANA-FE has integrate-and-fire "
                f"neurons alone: export a network of those, {leave}"
            )
        longest = max(synaptic_delay(connection, layer, depth) for connection in layer.connections)
        if longest:
            raise InputError(
                f"synapses of layer {layer.name!r} delay spikes by {longest} of SANA-FE's 0 steps: deploy for a target "
                f"without synaptic delays, such as loihi-sim-relay, {leave}"
            )
    _check_count(
        sum(
            count_synapses(connection, Tile(layer.name, (0, 0, 0), volume(layer.shape)))
            for layer in program.layers
            for connection in layer.connections
        )
    )


def write_sanafe(
    program: IntProgram, mapping: ChipMapping, chip: Chip, frame: InputSpikes, folder: Path
) -> tuple[str, ...]:
    """Write both files into `folder`, each atomically, and return a sentence for all that they hold otherwise.

    program: balanced, that of `mapping`, which `check_sanafe` takes. frame: int8 [*input shape] or, of a sequence,
    [steps, *input shape]: the sample that SANA-FE computes.
    Costs are those of the chip's model that has the most figures. Raises InputError, OutputError.
    """
    model = max(chip.costs, key=_figures)
    hosts = host_neurons(program, frame)
    sending = [each for of_layer in hosts.values() for each in of_layer]
    _check_count(sum(len(each.synapses.source) for each in sending if each.connection is not None))
    places = {(core.chip, core.x // model.tile.value[0], core.y // model.tile.value[1]) for core in mapping.cores}
    encodings = encodings_of(mapping)
    described = architecture(
        chip, mapping.chips, model, encodings, len(places), max(1, sum(len(each.trains) for each in sending))
    )
    text = yaml.safe_dump(described, sort_keys=False)
    replace_file(folder / ARCHITECTURE_FILE, lambda path: path.write_text(text, encoding="utf-8"))

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(network(program, mapping, chip, model, hosts))

    replace_file(folder / NETWORK_FILE, write)
    return tuple(_remarks(program, mapping, model, sending))


def _check_count(synapses: int) -> None:
    if synapses > MOST_SYNAPSES:
        raise InputError(
            f"the network has {synapses:,} synapses, but SANA-FE is given at most {MOST_SYNAPSES:,}, since it keeps "
            "each in about 2 kB: export a smaller network, or leave out --export sanafe"
        )


def _figures(model: CostModel) -> int:
    return sum(isinstance(figure, Sourced) for _, figure in model)


def _remarks(program: IntProgram, mapping: ChipMapping, model: CostModel, sending: list[HostNeurons]) -> Iterator[str]:
    yield (
        f"SANA-FE runs the first sample in {chip_steps(program)} steps, with the costs of {model.name}; v that "
        "saturates and u that wraps do neither there"
    )
    biases = sum(each.synops for each in sending if each.connection is None)
    if biases:
        yield f"biases are spikes of input neurons there, {biases:,} SynOps that the chip does not do"
    unrounded = [layer.name for layer in program.layers if lost_of_u(layer) not in (0.0, 1.0)]
    if unrounded:
        yield f"u decays without rounding in {', '.join(unrounded)}, so spikes may differ"
    mixed = {use.tile.layer for core in mapping.cores for use in core.tiles if len(set(use.encodings)) > 1}
    if mixed:
        yield f"all connections of {', '.join(sorted(mixed))} cost what the first one's encoding does"
