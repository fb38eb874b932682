"""Networks written for SpikingJelly before release 2, or for packages that are not there, are loaded as they are."""

import sys

import pytest
import torch
from spikingjelly.activation_based import functional, neuron

from neuroprune.errors import InputError
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.networks.build import load_network
from neuroprune.networks.legacy import imports_as
from neuroprune.networks.legacy.neuron import IFNode, LIFNode, MultiStepLIFNode, ParametricLIFNode
from neuroprune.networks.probing import present
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.simulation.module_check import verify_module

OLD = """
import torch
from torch import nn
from spikingjelly.cext.neuron import MultiStepParametricLIFNode
from spikingjelly.clock_driven import accelerating, functional, layer, surrogate
from spikingjelly.clock_driven.neuron import BaseNode, LIFNode, MultiStepIFNode

class Keeps(LIFNode):
    def __init__(self):
        super().__init__(4.0 / 3.0, True, 1.0, 0.0, surrogate.ATan(learnable=True), False, False)

    def neuronal_charge(self, x):
        super().neuronal_charge(x)
        self.kept = self.v.detach().clone()

class Own(BaseNode):
    def __init__(self):
        super().__init__(1.0, 0.0, surrogate.ATan(), True, False)
        self.w = nn.Parameter(torch.tensor(-0.5))

    def forward(self, x):
        self.v += (x - self.v) * self.w.sigmoid()
        return self.spiking()

class Steps(nn.Module):
    def __init__(self, T=4):
        super().__init__()
        self.T = T
        spikes = layer.Dropout(0.5, dropout_spikes=True)
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), Keeps(), nn.Flatten(), spikes)
        self.head = nn.Sequential(nn.Linear(64, 10), Own())

    def forward(self, x):
        total = self.head(self.body(x))
        for _ in range(self.T - 1):
            total += self.head(self.body(x))
        return total / self.T

class Sequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = layer.SeqToANNContainer(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4))
        self.one, self.two = MultiStepParametricLIFNode(init_tau=2.0, detach_reset=True), MultiStepIFNode()
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.two(self.fc(self.one(self.conv(x)).flatten(2))).mean(0)
"""

STAND_INS = """
import absent_package
from absent_package.models import helper, register
from torch import nn

class Data(absent_package.Dataset):
    pass

@register
def net():
    return nn.Flatten()

def uses():
    return helper(3)
"""


@pytest.fixture
def old(tmp_path):
    (tmp_path / "old.py").write_text(OLD)
    return tmp_path / "old.py"


@pytest.mark.parametrize("name", ["Steps", "Sequences"])
def test_old_names_arguments_and_methods_are_understood(old, name):
    with imports_as(legacy=True):
        network = load_network(f"{old}:{name}")
    torch.manual_seed(0)
    network = present(network.double(), (1, 8, 8), None if name == "Steps" else 4)
    frames = 3 * torch.rand(4, 1, 8, 8, dtype=torch.float64)
    graph = trace(network, frames[:1])
    verify_module(network, graph, fold(graph), frames.numpy())
    assert graph.steps == 4
    first = graph["body.1" if name == "Steps" else "one"].op
    assert isinstance(first, CubaLif)
    assert abs(first.decay - (0.75 if name == "Steps" else 0.5)) < 1e-6


def test_without_being_asked_for_old_names_are_refused_and_nothing_is_left_changed(old):
    with imports_as(legacy=True):
        load_network(f"{old}:Steps")
    assert "spikingjelly.clock_driven" not in sys.modules
    assert sys.modules["spikingjelly.activation_based.neuron"] is neuron
    with pytest.raises(
        InputError, match=r"needs spikingjelly.*, a module of an earlier SpikingJelly.*--legacy-imports"
    ):
        load_network(f"{old}:Steps")


def test_methods_of_neurons_are_called_as_before_release_2(tmp_path):
    """A subclass that overrides `neuronal_charge` is what its author meant, and read by what it then does."""
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "from spikingjelly.activation_based import neuron\n"
        "class Mine(neuron.LIFNode):\n"
        "    def neuronal_charge(self, x): self.v = 0.25 * self.v + 5 * x\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.c, self.s = nn.Linear(4, 3), Mine()\n"
        "    def forward(self, x): return sum(self.s(self.c(x.flatten(1))) for _ in range(4)) / 4\n"
    )
    with imports_as(legacy=True):
        network = load_network(f"{tmp_path / 'mine.py'}:Net")
    found = trace(network, torch.rand(1, 1, 2, 2))["s"].op
    assert isinstance(found, CubaLif)
    assert abs(found.decay - 0.75) < 1e-6
    assert abs(found.threshold - 0.2) < 1e-6


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (IFNode(), neuron.IFNode()),
        (LIFNode(3.0), neuron.LIFNode(3.0)),
        (LIFNode(3.0, False, 1.0, None), neuron.LIFNode(3.0, False, v_reset=None)),
        (ParametricLIFNode(4.0), neuron.ParametricLIFNode(4.0)),
        (MultiStepLIFNode(2.0, v_threshold=0.7), neuron.LIFNode(2.0, v_threshold=0.7, step_mode="m")),
    ],
)
def test_neurons_fire_as_those_of_today(old, new):
    x = 2 * torch.rand(6, 5, 7, generator=torch.Generator().manual_seed(0))
    for each in (old, new):
        functional.reset_net(each)
        each.step_mode = "m"
    assert torch.equal(old(x), new(x))
    assert bool(old(x).any())


def test_packages_that_a_network_does_not_use_need_not_be_there(tmp_path):
    (tmp_path / "mine.py").write_text(STAND_INS)
    with pytest.raises(InputError, match="add --stub-imports absent_package if the network does not use it"):
        load_network(f"{tmp_path / 'mine.py'}:net")
    with imports_as(stand_ins=("absent_package",)):
        assert isinstance(load_network(f"{tmp_path / 'mine.py'}:net"), torch.nn.Flatten)
        with pytest.raises(InputError, match=r"uses absent_package\.models.helper, for which there is only a stand-in"):
            load_network(f"{tmp_path / 'mine.py'}:uses")
    assert "absent_package" not in sys.modules


def test_a_stand_in_is_new_enough_for_what_asks_its_version(tmp_path):
    """Training scripts take their writer from torch, which looks at the version of the package tensorboard."""
    code = "from torch.utils.tensorboard import SummaryWriter\nfrom torch.nn import Flatten\n"
    (tmp_path / "mine.py").write_text(code)
    with imports_as(stand_ins=("tensorboard",)):
        assert isinstance(load_network(f"{tmp_path / 'mine.py'}:Flatten"), torch.nn.Flatten)
    assert "tensorboard" not in sys.modules
