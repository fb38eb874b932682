"""The chip as an architecture of SANA-FE 2.2: its mesh of tiles, and the figures of one cost model in its cores."""

from collections.abc import Iterable
from typing import Any

from neuroprune.chips.chip import Chip
from neuroprune.chips.cost_model import CostModel, Figure
from neuroprune.mapping.mesh import Mesh

MOST_NEURONS = 1024
"""Of a core in SANA-FE 2.2 (loihi_max_compartments in its src/models.hpp)."""
LINK_BUFFER = 16
"""Messages that wait for a link, as in SANA-FE's own architecture of Loihi 1."""

LIF, INPUT_UNIT, ACCUMULATOR = "lif", "input", "accumulator"


def architecture(
    chip: Chip, chips: int, model: CostModel, encodings: Iterable[str], tiles: int, inputs: int
) -> dict[str, Any]:
    """What the architecture file holds; a figure that the model does not have is 0.

    chips: how many. encodings: how synapses are stored, each a unit of a core. tiles: that the barrier waits
    for. inputs: neurons of the tile behind the last, which frames and biases come from and where nothing costs.
    """
    columns, rows = Mesh(chip, chips, model.tile.value).shape
    along_x, along_y = model.tile.value
    hops = {
        f"{word}_{way}_hop": _value(figure, scale)
        for ways, energy, time in (
            (("east", "west"), model.hop_energy_x, model.hop_time_x),
            (("north", "south"), model.hop_energy_y, model.hop_time_y),
        )
        for way in ways
        for word, figure, scale in (("energy", energy, PICO), ("latency", time, NANO))
    }
    synapses = [
        _unit(
            encoding,
            "current_based",
            process_spike=(_synop(model, encoding, "energy"), _synop(model, encoding, "time")),
        )
        for encoding in encodings
    ]
    noc = {
        "topology": "mesh",
        "width": columns + 1,
        "height": rows,
        "link_buffer_size": LINK_BUFFER,
        "sync_model": "fixed",
        "latency_sync": model.barrier_time.of(tiles) * NANO if model.barrier_time else 0.0,
    }
    on_chip = {
        "name": f"tile[0..{columns * rows - 1}]",
        "attributes": hops,
        "core": [_core(f"core[0..{along_x * along_y - 1}]", synapses, [_lif(model)], model)],
    }
    host_soma = _soma(f"{INPUT_UNIT}[0..{min(inputs, MOST_NEURONS) - 1}]", "input", (0.0,) * 3, (0.0,) * 3)
    host_synapse = _unit("none", "current_based", process_spike=(0.0, 0.0))
    last = -(-inputs // MOST_NEURONS) - 1
    host = {
        "name": "host",
        "attributes": dict.fromkeys(hops, 0.0),
        "core": [_core(f"host_core[0..{last}]", [host_synapse], [host_soma], None)],
    }
    return {"architecture": {"name": chip.name, "attributes": noc, "tile": [on_chip, host]}}


PICO, NANO = 1e-12, 1e-9


def _core(name: str, synapses: list[Any], somas: list[Any], model: CostModel | None) -> dict[str, Any]:
    received = _value(model.message_in_time, NANO) if model else 0.0
    sent = (_value(model.message_energy, PICO), _value(model.message_out_time, NANO)) if model else (0.0, 0.0)
    return {
        "name": name,
        "attributes": {
            "buffer_position": "soma",
            "buffer_inside_unit": False,
            "max_neurons_supported": MOST_NEURONS,
        },
        "axon_in": [{"name": "axon_in", "attributes": {"energy_message_in": 0.0, "latency_message_in": received}}],
        "synapse": synapses,
        "dendrite": [_unit(ACCUMULATOR, "accumulator", update=(0.0, 0.0))],
        "soma": somas,
        "axon_out": [
            {"name": "axon_out", "attributes": {"energy_message_out": sent[0], "latency_message_out": sent[1]}}
        ],
    }


def _lif(model: CostModel) -> dict[str, Any]:
    """A neuron is accessed in each step, and updated where it takes part: what an active one costs beyond that."""
    energies = _steps(model.inactive_neuron_energy, model.active_neuron_energy, model.spike_energy, PICO)
    times = _steps(model.inactive_neuron_time, model.active_neuron_time, model.spike_time, NANO)
    return _soma(LIF, "leaky_integrate_fire", energies, times)


def _steps(inactive: Figure | None, active: Figure | None, spike: Figure | None, scale: float) -> tuple[float, ...]:
    access, all_of_it = _value(inactive, scale), _value(active, scale)
    return access, max(0.0, all_of_it - access), _value(spike, scale)


def _soma(name: str, model: str, energies: tuple[float, ...], times: tuple[float, ...]) -> dict[str, Any]:
    events = ("access_neuron", "update_neuron", "spike_out")
    return _unit(name, model, **dict(zip(events, zip(energies, times, strict=True), strict=True)))


def _unit(name: str, model: str, **costs: tuple[float, float]) -> dict[str, Any]:
    """A unit of a core; costs: energy in J and latency in s of each event."""
    words = ("energy", "latency")
    events = {f"{word}_{event}": cost for event, both in costs.items() for word, cost in zip(words, both, strict=True)}
    return {"name": name, "attributes": {"model": model, **events}}


def _synop(model: CostModel, encoding: str, kind: str) -> float:
    figure, scale = (model.synop_energy, PICO) if kind == "energy" else (model.synop_time, NANO)
    return ((figure.of(encoding) if figure else None) or 0.0) * scale


def _value(figure: Figure | None, scale: float) -> float:
    return figure.value * scale if figure else 0.0
