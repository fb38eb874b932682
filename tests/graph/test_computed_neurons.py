"""Networks whose code computes potentials and spikes itself, in functions or in modules that pass a state along."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.graph.trace import trace
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.simulation.floats import run_float, run_module
from neuroprune.simulation.module_check import verify_module

STEPS = 5
FRAMES = torch.rand(6, 2, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64).mul(2)


class Fires(torch.autograd.Function):
    """A surrogate of one's own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.ge(0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


class Net(nn.Module):
    """A convolution and two linear layers, as `code` joins them."""

    def __init__(self, code: Callable[["Net", torch.Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.code = code
        self.conv, self.fc1, self.fc2 = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(64, 12), nn.Linear(12, 5)
        self.kept: Any = None

    def forward(self, x: torch.Tensor) -> Any:
        return self.code(self, x)


def checked(code: Callable[[Net, torch.Tensor], Any]) -> Graph:
    """The traced network, once it is sure that its program does what the network does."""
    network = Net(code).double().eval()
    graph = trace(network, FRAMES[:1])
    program = fold(graph)
    verify_module(network, graph, program, FRAMES.numpy())
    run = run_float(program, FRAMES.numpy())
    scores = torch.from_numpy(run.outputs)
    scores = scores / program.steps if program.readout.over_time == "mean" else scores
    assert torch.allclose(scores, torch.from_numpy(run_module(network, FRAMES.numpy())).double(), atol=1e-5)
    assert sum(run.spikes.values()) > 0
    return graph


def refusal(code: Callable[[Net, torch.Tensor], Any]) -> str:
    with pytest.raises(UnsupportedNetwork) as caught:
        trace(Net(code).double().eval(), FRAMES[:1])
    return str(caught.value)


def neurons(graph: Graph) -> list[CubaLif]:
    return [node.op for node in graph.nodes if isinstance(node.op, CubaLif)]


def update(x: torch.Tensor, mem: torch.Tensor, spike: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mem = mem * 0.4 * (1.0 - spike) + x
    return mem, Fires.apply(mem - 0.6)


def counted(net: Net, x: torch.Tensor) -> torch.Tensor:
    samples = x.size(0)
    m1 = s1 = torch.zeros(samples, 4, 8, 8).to(x)
    m2 = s2 = torch.zeros(samples, 12).to(x)
    m3 = s3 = total = torch.zeros(samples, 5).to(x)
    for _ in range(STEPS):
        m1, s1 = update(net.conv(x), m1, s1)
        m2, s2 = update(net.fc1(F.avg_pool2d(s1, 2).view(samples, -1)), m2, s2)
        m3, s3 = update(net.fc2(s2), m3, s3)
        total = total + s3
    return total / STEPS


def test_neurons_that_a_function_computes_are_read_by_what_it_does() -> None:
    graph = checked(counted)
    assert [node.name for node in graph.nodes if isinstance(node.op, CubaLif)] == [
        "conv.neurons",
        "fc1.neurons",
        "fc2.neurons",
    ]
    assert all(
        (each.decay, each.reset) == (0.6, "zero") and abs(each.threshold - 0.6) < 1e-6 for each in neurons(graph)
    )
    assert graph.steps == STEPS


def test_reset_by_subtraction_branches_and_the_list_of_all_steps() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        current = net.conv(x)  # once for all steps
        mem, mem2, outputs = torch.zeros_like(current), None, []
        for _ in range(STEPS):
            mem = 0.7 * mem + current
            spike = (mem >= 0.8).to(x)
            mem = mem - 0.8 * spike
            given = net.fc1(F.avg_pool2d(spike, 2).flatten(1))
            mem2 = given if mem2 is None else mem2 + given
            fired = torch.where(mem2 > 0.5, torch.ones_like(mem2), torch.zeros_like(mem2))
            mem2 = mem2.masked_fill(fired.bool(), 0.0)
            outputs.append(net.fc2(fired))
        return torch.stack(outputs).mean(0)

    first, second, *_ = neurons(checked(code))
    assert (first.reset, second.reset) == ("subtract", "zero")
    assert (round(first.decay, 6), second.decay) == (0.3, 0.0)


def test_what_is_only_looked_at_on_the_way_does_not_matter() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        net.kept = []
        mem, total = torch.zeros(x.size(0), 4, 8, 8).to(x), torch.zeros(x.size(0), 12).to(x)
        for _ in range(STEPS):
            mem = 0.5 * mem + net.conv(x)
            spike = (mem > 0.3).to(x)
            mem = mem * (1 - spike)
            net.kept.append((mem.std(), spike.sum()))
            total = total + net.fc1(F.avg_pool2d(spike, 2).flatten(1))
        return total

    assert len(neurons(checked(code))) == 2  # and the integrator of fc1


def test_a_leaky_sum_of_what_the_last_layer_delivers_is_a_voltage() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        m1 = s1 = torch.zeros(x.size(0), 4, 8, 8).to(x)
        voltage: Any = 0.0
        for _ in range(STEPS):
            m1, s1 = update(net.conv(x), m1, s1)
            voltage = 0.9 * voltage + net.fc1(F.avg_pool2d(s1, 2).flatten(1))
        return voltage

    graph = checked(code)
    assert graph.readout.of == "voltage"
    assert abs(neurons(graph)[-1].decay - 0.1) < 1e-6


def test_spikes_that_are_written_where_a_mask_is_are_read() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        mem = torch.zeros(x.size(0), 4, 8, 8).to(x)
        total: Any = 0.0
        for _ in range(STEPS):
            mem = 0.5 * mem + net.conv(x)
            spike, lost = torch.zeros_like(mem), torch.zeros_like(mem)
            spike[mem > 0.4] = 1.0
            lost[mem > 0.4] = 0.4
            mem = mem - lost
            total = total + net.fc1(F.avg_pool2d(spike, 2).flatten(1))
        return total

    first, _ = neurons(checked(code))
    assert first.reset == "subtract"


def test_a_network_keeps_no_symbols_of_its_run() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        net.kept["potential"] = net.conv(x)
        net.last = (net.kept["potential"] > 0.5).to(x)
        return net.fc1(F.avg_pool2d(net.last, 2).flatten(1))

    network = Net(code).double().eval()
    network.kept = {"before": 1}
    trace(network, FRAMES[:1])
    assert network.kept == {"before": 1}
    assert not hasattr(network, "last")


@pytest.mark.parametrize(
    ("fire", "reason"),
    [
        (lambda mem: (mem > 0.5).to(mem) - (mem < -0.5).to(mem), "operation sub on the output of conv: it has no"),
        (lambda mem: mem.sigmoid(), "operation sigmoid on the output of conv: it has no counterpart"),
        (lambda mem: ((mem > 0.5) & (mem < 3)).to(mem), "conv"),
    ],
)
def test_what_is_no_neuron_is_refused_by_name(fire: Callable[[torch.Tensor], torch.Tensor], reason: str) -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        mem = torch.zeros(x.size(0), 4, 8, 8).to(x)
        total: Any = 0.0
        for _ in range(STEPS):
            mem = mem * 0.5 + net.conv(x)
            spike = fire(mem)
            mem = mem * (1 - spike)
            total = total + net.fc1(F.avg_pool2d(spike, 2).flatten(1))
        return total

    assert reason in refusal(code)


def test_a_reset_that_comes_a_step_late_is_refused_with_what_it_takes_off() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        mem = torch.zeros(x.size(0), 4, 8, 8).to(x)
        outputs = []
        for _ in range(STEPS):
            late = (mem > 1.0).to(x)
            mem = 0.95 * mem + net.conv(x) - late
            outputs.append(net.fc1(F.avg_pool2d((mem > 1.0).to(x), 2).flatten(1)))
        return torch.stack(outputs).mean(0)

    assert "its reset takes the threshold off a step late, behind the leak (one to zero is read)" in refusal(code)


def test_neurons_that_fire_a_step_later_are_refused_with_that_reason() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        mem = current = torch.zeros(x.size(0), 4, 8, 8).to(x)
        total: Any = 0.0
        for _ in range(STEPS):
            mem = mem * 0.5 + current + 0.0 * net.conv(x)
            spike = (mem > 0.5).to(x)
            mem = mem * (1 - spike)
            current = current * 0.5 + net.conv(x)
            total = total + net.fc1(F.avg_pool2d(spike, 2).flatten(1))
        return total

    assert "it does not fire in the step in which it receives much" in refusal(code)


def test_thresholds_that_differ_from_neuron_to_neuron_are_refused() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        thresholds = torch.linspace(0.2, 0.8, 4).view(4, 1, 1).to(x)
        spike = (net.conv(x) > thresholds).to(x)
        return net.fc1(F.avg_pool2d(spike, 2).flatten(1))

    assert "conv" in refusal(code)


def test_neurons_whose_normalisation_differs_from_step_to_step_are_refused() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        mem, total = torch.zeros(x.size(0), 4, 8, 8).to(x), torch.zeros(x.size(0), 12).to(x)
        for step in range(STEPS):
            mem = mem * 0.5 + net.conv(x) * (1 + step)
            spike = (mem > 0.5).to(x)
            mem = mem * (1 - spike)
            total = total + net.fc1(F.avg_pool2d(spike, 2).flatten(1))
        return total

    assert "what the code computes of the output of conv is no neuron of the chip" in refusal(code)
