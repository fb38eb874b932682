"""Time and energy of a deployment, estimated from what was counted and from what is published of single events."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.chips.cost_model import CostModel, EncodingFigure, Figure
from neuroprune.mapping.links import loads_between
from neuroprune.report.activity import Activity, Messages, PerCore
from neuroprune.report.cost_schema import Bound, CostEstimate, Energy, StepTime


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
    messages, cores = activity.messages, len(activity.places)
    receiving: Parts = {
        "SynOps": _of_synops(activity.synops, model.synop_time),
        "received messages": _of(messages.received(cores) if messages else None, model.message_in_time),
    }
    updating: Parts = {
        "neurons": _of(activity.neurons, model.active_neuron_time),
        "idle neurons": _of(activity.idle, model.inactive_neuron_time),
        "spikes": _of(activity.spikes, model.spike_time),
        "sent messages": _of(messages.sent(cores) if messages else None, model.message_out_time),
    }
    parts = receiving | updating
    if all(part is None for part in parts.values()):
        return None, []
    nothing = np.zeros(cores)
    busy = np.maximum(*(nothing + sum(map(_or_nothing, phase.values())) for phase in (receiving, updating)))
    core = int(np.argmax(busy))
    compute = float(busy[core])
    tiles = activity.tiles(model.tile.value)
    link = heaviest_link(messages, tiles) * model.link_time.value if messages and model.link_time else None
    barrier = model.barrier_time.of(len(np.unique(tiles, axis=0))) if model.barrier_time else None
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
    hops = _hops(messages, activity.tiles(model.tile.value)) if messages else (None, None)
    network = [
        _of(messages.count if messages else None, model.message_energy),
        _of(hops[0], model.hop_energy_x),
        _of(hops[1], model.hop_energy_y),
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


def _hops(messages: Messages, tiles: npt.NDArray[np.int64]) -> tuple[PerCore, PerCore]:
    """Steps from tile to tile that the messages take along x and along y."""
    along_x, along_y = (np.abs(tiles[messages.target] - tiles[messages.source]) * messages.count[:, None]).T
    return along_x, along_y


def heaviest_link(messages: Messages, tiles: npt.NDArray[np.int64]) -> float:
    """Messages on the link of the mesh, from a tile to the next in one direction, that carries the most of them.

    tiles: int64 [cores, 2]. Messages go along x first, then along y.
    """
    columns, rows = tiles.max(axis=0) + 1
    loads = loads_between((int(columns), int(rows)), tiles[messages.source].T, tiles[messages.target].T, messages.count)
    return float(max(load.max() for load in loads.values()))


def _of(count: Count, figure: Figure | None) -> Count:
    return None if count is None or figure is None else count * figure.value


def _of_synops(synops: Mapping[str, PerCore], figure: EncodingFigure | None) -> Count:
    """None where the figure is not known for all of the encodings."""
    known = {encoding: figure.of(encoding) for encoding in synops} if figure else {}
    parts = [synops[encoding] * each for encoding, each in known.items() if each is not None]
    return sum(parts[1:], parts[0]) if len(parts) == len(synops) else None


def _or_nothing(part: Count) -> PerCore | float:
    return 0.0 if part is None else part
