"""Networks of which pruning left one weight in twenty: zeros stay zeros down to the chip, which runs them exactly."""

import numpy as np
import pytest
import sample_networks
import torch
from torch import nn

from neuroprune.deployment import Deployment
from neuroprune.pipeline import deploy
from neuroprune.program.frames import quantize_input
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record
from neuroprune.simulation.reference import run_reference
from neuroprune.simulation.verification import LavaSettings

SPARSITY = 0.95


def masked(network: nn.Module) -> nn.Module:
    """The weights of least magnitude of each layer at zero, the others so large that neurons still fire."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.data
            cut = weight.abs().flatten().kthvalue(int(SPARSITY * weight.numel())).values
            module.weight.data = torch.where(weight.abs() > cut, weight / (1 - SPARSITY) ** 0.5, 0.0)
    return network


def deployed(name: str, target: str = "loihi-sim", lava_samples: int = 0) -> tuple[Deployment, np.ndarray]:
    network = masked(sample_networks.stir(getattr(sample_networks, name)())).float()
    frames = np.random.default_rng(5).normal(0, 1, (16, *sample_networks.SHAPES[name])).astype(np.float32)
    return deploy(network, frames, target, lava=LavaSettings(lava_samples)), frames


@pytest.mark.parametrize("name", sample_networks.SHAPES)
def test_a_sparse_network_runs_as_the_reference_does_and_keeps_its_zeros(name: str) -> None:
    deployment, frames = deployed(name)
    program, floats = deployment.program, deployment.floats
    assert floats is not None
    for rounded, exact in zip(program.layers, floats.layers, strict=True):
        for integer, real in zip(rounded.connections, exact.connections, strict=True):
            assert not integer.synapse.weight[real.synapse.weight == 0].any()
    assert deployment.report.totals.zero_weights_share == pytest.approx(SPARSITY, abs=0.05)
    spikes, _ = quantize_input(program.input, frames[:1])
    expected = run_reference(deployment.balanced, spikes)[0]
    assert sum(int(layer.spikes.sum()) for layer in expected.layers) > 0
    compare(expected, record(deployment.balanced, spikes))


def test_lava_agrees_on_a_sparse_network_with_relays() -> None:
    report = deployed("SewResidual", "loihi-sim-relay", lava_samples=1)[0].report
    assert (report.lava.samples, report.lava.differences) == (1, 0)
    assert report.totals.relay_neurons > 0


def test_a_report_says_what_the_zeros_of_a_sparse_network_save() -> None:
    totals = deployed("TdResidual")[0].report.totals
    stored = totals.zeros_stored
    assert stored is not None
    assert {each.name for each in stored.resources} == {each.name for each in totals.resources}
    with_zeros = {each.name: each.used for each in stored.resources}
    assert all(each.used <= with_zeros[each.name] for each in totals.resources if each.name == "synapse memory")
