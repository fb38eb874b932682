"""What the protocol of neurons gives a model that leaves things out, and what others may take for granted of it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_neuron import MODEL, FloorIF, FloorNeuron, IntFloorNeuron
from spikingjelly.activation_based import layer, neuron
from torch import nn

import neuroprune
from neuroprune.chips.load import load_chip
from neuroprune.compression.channels import channel_groups
from neuroprune.compression.scores.channels import criticality
from neuroprune.compression.scores.neurons import Criticality
from neuroprune.compression.scores.surrogates import atan_slope
from neuroprune.errors import InputError
from neuroprune.fixed_point import LARGEST_STATE
from neuroprune.graph.trace import trace
from neuroprune.neurons.catalog import neuron_models
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.model import (
    HEADROOM,
    UNKNOWN,
    FloatNeuron,
    IntegerRun,
    IntNeuron,
    NeuronModel,
    RegisterBound,
    WorstDrive,
)

RULES = load_chip("loihi-sim").rules


class Run(IntegerRun):
    def integrate(self, arrived: torch.Tensor) -> None: ...
    def registers(self, arrived: torch.Tensor) -> Any: ...


class Registers(IntNeuron):
    """The least that a model's integers have."""

    def __init__(self, vth: int) -> None:
        self.vth = vth

    def to_floats(self, scale: float, integrates: bool) -> Any: ...
    def start(self, drive: Any, bias: Any, bound: Any) -> Any: ...


def test_a_model_brings_six_methods() -> None:
    assert FloatNeuron.__abstractmethods__ == {"integrate", "to_integers"}
    assert IntNeuron.__abstractmethods__ == {"to_floats", "start"}
    assert IntegerRun.__abstractmethods__ == {"integrate", "registers"}


def test_what_is_left_out_of_the_integers_is_taken_as_not_known() -> None:
    registers, anything = Registers(3), np.array([5, -7])
    assert registers.reset == "zero"
    assert registers.lava() is None and registers.lava_remark() is None
    assert registers.measured_bound(1, 1, 1) is UNKNOWN and not UNKNOWN.current_safe and not UNKNOWN.voltage_safe
    zero = np.zeros(2, np.int64)
    for ends in registers.interval_step(((zero, zero), (zero, zero)), (zero, zero), anything):
        for low, high in ends:
            assert low.tolist() == [-LARGEST_STATE - 1] * 2 and high.tolist() == [LARGEST_STATE + 1] * 2
    with pytest.raises(InputError, match=r"^Registers neurons have no gradient for fine-tuning in integers: leave it"):
        registers.gradient(*[torch.zeros(1)] * 4, False)
    registers.verify(RULES)
    for wrong in (-1, 2**RULES.threshold_bits):
        with pytest.raises(AssertionError):
            Registers(wrong).verify(RULES)


def test_a_spike_leaves_nothing_of_v_where_a_run_says_nothing_else() -> None:
    run = Run()
    run.v = torch.tensor([5.0, -3.0, 2.0])
    run.reset(torch.tensor([1.0, 0.0, 1.0]))
    assert run.v.tolist() == [0.0, -3.0, 0.0]
    assert (run.current_wraps, run.voltage_saturations) == (0, 0)


def test_registers_are_safe_up_to_their_largest_value() -> None:
    assert RegisterBound(LARGEST_STATE, LARGEST_STATE).current_safe
    assert not RegisterBound(LARGEST_STATE + 1, 0).current_safe
    assert not RegisterBound(0, LARGEST_STATE + 1).voltage_safe


@pytest.mark.parametrize(("peak", "current"), [(np.inf, 10.0), (3.0, 3.0 * HEADROOM), (8.0, 10.0)])
def test_the_scale_keeps_what_arrives_in_a_step_within_u(peak: float, current: float) -> None:
    """By the worst input, or by the headroom over what calibration saw where that is less."""
    drive = WorstDrive(np.array([4.0, 10.0]), np.zeros(2), peak, np.inf, 5)
    limits = FloorNeuron(2.0, -0.5).register_limits(drive, RULES)
    assert limits["current"] == pytest.approx(LARGEST_STATE / 64 / current)
    assert limits["threshold"] == (2**RULES.threshold_bits - 1) / 2.0
    assert "voltage" not in FloatNeuron.register_limits(FloorNeuron(2.0, -0.5), drive, RULES)
    nothing = WorstDrive(np.zeros(2), np.zeros(2), 0.0, 0.0, 5)
    assert FloatNeuron.register_limits(FloorNeuron(2.0, -0.5), nothing, RULES)["current"] == np.inf
    assert CubaLif(0.5, 2.0).register_limits(drive, RULES) == FloatNeuron.register_limits(
        CubaLif(0.5, 2.0), drive, RULES
    )


def test_the_error_of_a_threshold_is_what_fires_over_what_should() -> None:
    assert IntFloorNeuron(10, -5).rounding(FloorNeuron(1.0, -0.5), 640.0).threshold == pytest.approx(1 / 640)
    assert IntFloorNeuron(10, -5).rounding(FloorNeuron(np.inf, -0.5), 640.0).threshold == 0.0


def test_classes_are_known_by_themselves_or_by_their_full_name_and_subclasses_are_others() -> None:
    class Other(neuron.IFNode):
        pass

    cuba = neuron_models()[0]
    by_class = NeuronModel("mine", {Other: lambda name, module: "no"})
    assert cuba.reader_of(neuron.IFNode()) is not None and cuba.reader_of(Other()) is None
    assert by_class.reader_of(Other()) is not None and by_class.reader_of(neuron.IFNode()) is None


class SingleStep(nn.Module):
    """A module of neurons that knows neither step modes nor SpikingJelly."""

    def __init__(self) -> None:
        super().__init__()
        self.v: float | torch.Tensor = 0.0

    def reset(self) -> None:
        self.v = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = (self.v + x).clamp(min=-0.5)
        spikes = (h >= 1.0).to(x.dtype)
        self.v = (1.0 - spikes) * h
        return spikes


class Loop(nn.Module):
    """Single steps or multiple ones, by its neurons."""

    def __init__(self, neurons: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.neurons = layer.Conv2d(1, 5, 3, bias=False), layer.BatchNorm2d(5), neurons
        self.flat, self.fc, self.last = nn.Flatten(), nn.Linear(5 * 16, 2), neuron.IFNode()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total, current = 0.0, self.norm(self.conv(x))
        if isinstance(self.neurons, SingleStep):
            fired = [self.neurons(current) for _ in range(4)]
        else:
            fired = list(self.neurons(current.unsqueeze(0).repeat(4, 1, 1, 1, 1)))
        for each in fired:
            total = total + self.last(self.fc(self.flat(each)))
        return total / 4


def test_criticality_follows_the_potential_of_any_model() -> None:
    """Eq 6 worked out beside it, with the floor; alike for modules with and without step modes."""
    torch.manual_seed(0)
    single, multi = Loop(SingleStep()).double().eval(), Loop(FloorIF(1.0, -0.5)).double().eval()
    multi.load_state_dict(single.state_dict())
    models = (*neuron_models(), MODEL, NeuronModel("single", {SingleStep: lambda *_: FloorNeuron(1.0, -0.5)}))
    frames = 3.0 * torch.randn(6, 1, 6, 6, dtype=torch.float64)
    current = multi.norm(multi.conv(frames)).detach()
    v, total = torch.zeros_like(current), torch.zeros_like(current)
    for _ in range(4):
        h = (v + current).clamp(min=-0.5)
        total += atan_slope(h - 1.0)
        v = torch.where(h >= 1.0, 0.0, h)
    expected = (total / 4).flatten(2).amax(2).mean(0).numpy()
    paper = Criticality(surrogate="paper")  # the module of single steps has no surrogate function
    for network, measure in ((multi, Criticality()), (single, paper)):
        graph = trace(network, frames, models)
        found = criticality(network, graph, channel_groups(graph), [frames], measure, models)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_dynamics_of_neurons_are_written_in_their_room_in_the_oracle_and_for_lava_alone() -> None:
    """What names a decay, or a register of one model, is theirs; netx and NIR have these neurons, too."""
    root = Path(neuroprune.__file__).parent
    theirs = (
        "neurons",
        "simulation/reference.py",
        "simulation/lava_worker",
        "exchange/netx",
        "exchange/nir.py",
        "networks/nir",
        "sanafe",
        "chips/dynapcnn",
    )
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if not str(path.relative_to(root)).startswith(theirs)
        and re.search(r"\.(decay|current_decay|decay_u|decay_v)\b|DECAY_UNITY", path.read_text(encoding="utf-8"))
    }
    assert found <= {"fixed_point.py", "quantization/errors.py"}, found
