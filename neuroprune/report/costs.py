"""Time and energy of a deployment, estimated from what was counted and from what is published of single events."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.chips.cost_model import CostModel, EncodingFigure, Figure
from neuroprune.graph.nodes import INPUT
from neuroprune.mapping.types import ChipMapping
from neuroprune.program.timing import depths
from neuroprune.program.types import IntProgram
from neuroprune.report.cost_schema import Bound, CostEstimate, Energy, StepTime
from neuroprune.report.placement import in_tile
from neuroprune.report.synops import synops
from neuroprune.simulation.types import Trace

ONE_ENCODING = ""
"""What a family's only way to store synapses is called here."""

PerCore = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Messages:
    """Messages of spikes between cores in a chip step, without those of the input, which come from off-chip.

    sent, received: float64 [cores], one message for each core that a spike is sent to, its own included.
    hops_x, hops_y: from tile to tile. heaviest_link: messages on the link that carries the most.
    """

    sent: PerCore
    received: PerCore
    hops_x: float
    hops_y: float
    heaviest_link: float


@dataclass(frozen=True, eq=False)
class Activity:
    """What cost models count, in a chip step: the mean over all steps of all samples.

    steps: of a sample. depth: steps by which the last layer is late.
    places: of each core its chip, x and y.
    synops: float64 [cores] by encoding; deliveries over a zero weight are among them where the encoding stores it.
    neurons, idle: float64 [cores], neurons of the network, and others that are there beside them.
    spikes: float64 [cores], fired. messages: None where they were not counted.
    """

    steps: int
    depth: int
    places: tuple[tuple[int, int, int], ...]
    synops: Mapping[str, PerCore]
    neurons: PerCore
    idle: PerCore
    spikes: PerCore
    messages: Messages | None = None

    def tiles(self, size: tuple[int, int]) -> int:
        """Tiles of `size` cores along x and y that hold any of these cores."""
        return len({(chip, x // size[0], y // size[1]) for chip, x, y in self.places})


def activity_of(
    program: IntProgram, mapping: ChipMapping, trace: Trace, chip: Chip, messages: Messages | None = None
) -> Activity:
    """What `program` did as mapped, over all samples of `trace`.

    Sources all of whose weights to a tile are zero count as if the tile stored them, as the SynOps of a report do.
    """
    taken = trace.samples * trace.steps
    fired = {layer.name: layer.spikes for layer in trace.layers}
    events = {INPUT: trace.input_events} | fired
    arriving = {
        (layer.name, number): synops(replace(layer, connections=(connection,)), events)
        for layer in program.layers
        for number, connection in enumerate(layer.connections)
    }
    kinds = len(next(iter(mapping.cores)).tiles[0].encodings) > 0
    count = len(mapping.cores)
    by_encoding: dict[str, PerCore] = {}
    spikes = np.zeros(count)
    connections = {layer.name: len(layer.connections) for layer in program.layers}
    for index, core in enumerate(mapping.cores):
        for use in core.tiles:
            spikes[index] += in_tile(fired[use.tile.layer], use.tile) / taken
            encodings = use.encodings if kinds else (ONE_ENCODING,) * connections[use.tile.layer]
            for number, encoding in enumerate(encodings):
                found = arriving[use.tile.layer, number]
                operations = found.nonzero if encoding in chip.core.skips_zeros else found.all
                counted = by_encoding.setdefault(encoding, np.zeros(count))
                counted[index] += in_tile(operations, use.tile) / taken
    return Activity(
        steps=trace.steps,
        depth=depths(program)[program.layers[-1].name],
        places=tuple((core.chip, core.x, core.y) for core in mapping.cores),
        synops=by_encoding,
        neurons=np.array([core.neurons for core in mapping.cores], dtype=np.float64),
        idle=np.array([core.idle_neurons for core in mapping.cores], dtype=np.float64),
        spikes=spikes,
        messages=messages,
    )


def estimate(model: CostModel, activity: Activity) -> CostEstimate:
    """Time and energy of a sample by `model`; what is unknown is None, and a remark says what a total leaves out."""
    step, slow_unknown = _step(model, activity)
    energy, dear_unknown = _energy(model, activity)
    left_out = (("time", step, slow_unknown), ("energy", energy, dear_unknown))
    return CostEstimate(
        model=model.name,
        title=model.title,
        source=model.source,
        grade=model.grade,
        step=step,
        latency_us=step.total_ns * (activity.steps + activity.depth) / 1e3 if step else None,
        samples_per_s=1e9 / (step.total_ns * activity.steps) if step and step.total_ns else None,
        energy=energy,
        remarks=(
            *model.remarks,
            *(
                f"the {kind} leaves out {', '.join(parts)}, of which it is unknown"
                for kind, of, parts in left_out
                if of and parts
            ),
        ),
    )


def costs_of(chip: Chip, activity: Activity) -> tuple[CostEstimate, ...]:
    """By each model that is published of the chip, in its order."""
    return tuple(estimate(model, activity) for model in chip.costs)


Count = PerCore | float | None
"""Of something that costs, or its cost: of each core or of all; None where that is unknown."""
Parts = dict[str, Count]
"""What a core does, by name, and how long it takes."""


def _step(model: CostModel, activity: Activity) -> tuple[StepTime | None, list[str]]:
    """The time of a step, and which parts of it are unknown; None where all that cores do is."""
    messages = activity.messages
    receiving: Parts = {
        "SynOps": _of_synops(activity.synops, model.synop_time),
        "received messages": _of(messages.received if messages else None, model.message_in_time),
    }
    updating: Parts = {
        "neurons": _of(activity.neurons, model.active_neuron_time),
        "idle neurons": _of(activity.idle, model.inactive_neuron_time),
        "spikes": _of(activity.spikes, model.spike_time),
        "sent messages": _of(messages.sent if messages else None, model.message_out_time),
    }
    parts = receiving | updating
    if all(part is None for part in parts.values()):
        return None, []
    nothing = np.zeros(len(activity.places))
    busy = np.maximum(*(nothing + sum(map(_or_nothing, phase.values())) for phase in (receiving, updating)))
    core = int(np.argmax(busy))
    compute = float(busy[core])
    link = messages.heaviest_link * model.link_time.value if messages and model.link_time else None
    barrier = model.barrier_time.of(activity.tiles(model.tile.value)) if model.barrier_time else None
    longest: dict[Bound, float] = {"compute": compute, "link": link or 0.0, "barrier": barrier or 0.0}
    step = StepTime(
        core=core,
        compute_ns=compute,
        link_ns=link,
        barrier_ns=barrier,
        total_ns=max(compute, link or 0.0) + (barrier or 0.0),
        bound_by=max(longest, key=lambda part: longest[part]),
    )
    unknown = [name for name, part in parts.items() if part is None]
    return step, unknown + ["links"] * (link is None) + ["the barrier"] * (barrier is None)


def _energy(model: CostModel, activity: Activity) -> tuple[Energy | None, list[str]]:
    """The energy of a sample, and which parts of it are unknown; None where all are."""
    messages = activity.messages
    network = [
        _of(messages.sent if messages else None, model.message_energy),
        _of(messages.hops_x if messages else None, model.hop_energy_x),
        _of(messages.hops_y if messages else None, model.hop_energy_y),
    ]
    parts: dict[str, float | None] = {}
    for name, costs in {
        "synapse": [_of_synops(activity.synops, model.synop_energy)],
        "neuron": [_of(activity.neurons, model.active_neuron_energy)],
        "spike": [_of(activity.spikes, model.spike_energy)],
        "network": network,
        "idle": [_of(activity.idle, model.inactive_neuron_energy)],
    }.items():
        known = [float(np.sum(cost)) for cost in costs if cost is not None]
        parts[name] = sum(known) * activity.steps / 1e3 if len(known) == len(costs) else None
    if all(part is None for part in parts.values()):
        return None, []
    total = sum(part for part in parts.values() if part is not None)
    energy = Energy(**{f"{name}_nj": part for name, part in parts.items()}, total_nj=total)
    return energy, [name for name, part in parts.items() if part is None]


def _of(count: Count, figure: Figure | None) -> Count:
    return None if count is None or figure is None else count * figure.value


def _of_synops(synops: Mapping[str, PerCore], figure: EncodingFigure | None) -> Count:
    """None where the figure is not known for all of the encodings."""
    known = {encoding: figure.of(encoding) for encoding in synops} if figure else {}
    parts = [synops[encoding] * each for encoding, each in known.items() if each is not None]
    return sum(parts[1:], parts[0]) if len(parts) == len(synops) else None


def _or_nothing(part: Count) -> PerCore | float:
    return 0.0 if part is None else part
