"""SANA-FE runs the exported network: the same spikes in the same steps, the same SynOps, and its time and energy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mapped_example import Mapped, mapped_program

from neuroprune.program.timing import depths
from neuroprune.report.costs import estimate
from neuroprune.sanafe.export import ARCHITECTURE_FILE, NETWORK_FILE, write_sanafe
from neuroprune.sanafe.host import host_neurons
from neuroprune.sanafe.network import chip_steps
from neuroprune.simulation.engine import record

sanafe = pytest.importorskip("sanafe", reason="SANA-FE is not installed")


def run(mapped: Mapped, folder: Path) -> dict[str, Any]:
    """What SANA-FE returns of the exported sample."""
    write_sanafe(mapped.program, mapped.mapping, mapped.chip, mapped.frames[0], folder)
    architecture = sanafe.load_arch(str(folder / ARCHITECTURE_FILE))
    network = sanafe.load_net(str(folder / NETWORK_FILE), architecture)
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    return chip.sim(chip_steps(mapped.program), spike_trace=True, message_trace=True)


def spikes_of(mapped: Mapped, found: dict[str, Any]) -> list[np.ndarray]:
    """bool [chip steps, neurons] of each layer."""
    spikes = [
        np.zeros((chip_steps(mapped.program), int(np.prod(layer.shape))), bool) for layer in mapped.program.layers
    ]
    for step, fired in enumerate(found["spike_trace"]):
        for address in map(str, fired):
            group, number = address.split(".")
            spikes[int(group.removeprefix("layer"))][step, int(number)] = True
    return spikes


@pytest.mark.parametrize(
    "of", [{}, {"reset": "subtract", "seed": 4}, {"sequence": True, "steps": 3}, {"decay_u": -1, "seed": 5}], ids=str
)
def test_every_spike_is_the_engines_in_the_step_in_which_the_pipeline_is_there(
    of: dict[str, Any], tmp_path: Path
) -> None:
    mapped = mapped_program(**of)
    found = spikes_of(mapped, run(mapped, tmp_path))
    depth, steps = depths(mapped.program), mapped.program.steps
    for layer, fired in zip(record(mapped.program, mapped.frames).layers, found, strict=True):
        expected = layer.spikes.reshape(steps, -1)
        assert expected.any() and not expected.all()
        np.testing.assert_array_equal(fired[depth[layer.name] : depth[layer.name] + steps], expected)
        assert not fired[: depth[layer.name]].any()


def test_synops_spikes_and_energies_are_those_of_the_report_by_the_same_model(tmp_path: Path) -> None:
    mapped = mapped_program()
    found = run(mapped, tmp_path)
    program, activity, model = mapped.program, mapped.activity, mapped.chip.costs[1]
    energy = estimate(model, activity).energy
    assert energy is not None
    assert model.synop_energy is not None
    hosts = [each for of_layer in host_neurons(program, mapped.frames[0]).values() for each in of_layer]
    biases = sum(each.synops for each in hosts if each.connection is None)
    counted = {encoding: round(each.sum() * program.steps) for encoding, each in activity.synops.items()}
    assert found["spikes"] == sum(counted.values()) + biases  # SANA-FE's spikes are deliveries over a synapse
    fired = sum(int(layer.spikes.sum()) for layer in mapped.trace.layers)
    assert found["neurons_fired"] == fired + sum(int(each.trains.sum()) for each in hosts)

    # Biases cost what a SynOp of their neurons does; all else is the report's to the last digit.
    synapse, dearest = found["energy"]["synapse"] * 1e9, max(model.synop_energy.value.values())  # type: ignore[union-attr]
    assert energy.synapse_nj is not None
    assert energy.synapse_nj < synapse <= energy.synapse_nj + biases * dearest / 1e3

    # SANA-FE has further steps, in which the pipeline fills and empties, and sees which neurons take part in a step,
    # where the report takes all of the network's for active.
    host_fired = sum(int(each.trains.sum()) for each in hosts)
    updated = found["neurons_updated"] - host_fired
    present = activity.neurons.sum() + activity.idle.sum()
    soma = (51.2 * present * chip_steps(program) + 21.6 * updated + 69.3 * fired) / 1e3
    assert found["energy"]["soma"] * 1e9 == pytest.approx(soma)
    assert energy.spike_nj == pytest.approx(69.3 * fired / 1e3)
    assert energy.neuron_nj == pytest.approx(72.8 * activity.neurons.sum() * program.steps / 1e3)

    # Messages of the host cost their hops alone, from the tile behind the last.
    messages = [each for step in found["message_trace"] for each in step if not each["placeholder"]]
    from_host = [each for each in messages if not each["src_neuron_group_id"].startswith("layer")]
    hops = sum(3.0 * abs(e["src_x"] - e["dest_x"]) + 4.2 * abs(e["src_y"] - e["dest_y"]) for e in from_host)
    assert energy.network_nj == pytest.approx(found["energy"]["network"] * 1e9 - hops / 1e3)
    assert len(messages) - len(from_host) == round(activity.messages.count.sum() * program.steps)  # type: ignore[union-attr]


def test_the_time_of_a_sample_alone_is_between_the_busiest_cores_and_that_of_a_full_pipeline(tmp_path: Path) -> None:
    mapped = mapped_program()
    found = estimate(mapped.chip.costs[1], mapped.activity)
    assert found.step is not None
    assert found.step.barrier_ns is not None
    assert found.latency_us is not None
    took = run(mapped, tmp_path)["sim_time"] * 1e6
    busiest = mapped.program.steps * found.step.compute_ns + chip_steps(mapped.program) * found.step.barrier_ns
    assert busiest / 1e3 <= took <= found.latency_us
