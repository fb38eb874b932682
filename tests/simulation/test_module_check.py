"""A network that does not compute what was read from it is named with exit code 4; one that does is never blamed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sample_networks import Cuba, MergedTime, StepLoop, Unusual, branching_networks, stir
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import nn
from torch.nn.utils import parametrizations, prune

import neuroprune
from neuroprune.data.catalog import DATASETS


def frames_for(shape: tuple[int, ...], count: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


FRAMES = frames_for((1, 8, 8))


class Net(nn.Module):
    """A conv, neurons and a linear layer in a loop over 4 steps; `change` is applied to it."""

    def __init__(self, change: Callable[["Net"], Any] = lambda net: None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 4, 3, 2, 1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.lif = neuron.LIFNode(v_threshold=0.2)
        self.fc = nn.Linear(64, 3)
        change(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return sum(self.fc(self.drop(self.lif(self.norm(self.conv(x)))).flatten(1)) for _ in range(4)) / 4


def verify(module: nn.Module, frames: np.ndarray = FRAMES) -> None:
    graph = neuroprune.trace(module, torch.from_numpy(frames))
    neuroprune.verify_module(module, graph, neuroprune.fold(graph), frames)


# --- networks that are what was read ---


@pytest.mark.parametrize("name", neuroprune.list_recipes())
def test_no_recipe_is_blamed(name: str) -> None:
    recipe = neuroprune.load_recipe(name)
    info = next(each for each in DATASETS if each.name == recipe.data)
    module = neuroprune.build(recipe, info.shape, len(info.classes))
    sequence = info.name in ("n-mnist", "poker-dvs")
    shape = (recipe.steps, *info.shape) if sequence else info.shape
    big = sum(parameter.numel() for parameter in module.parameters()) > 5e6
    frames = frames_for(shape, 1 if big else 4)
    if not big:
        batch = torch.from_numpy(frames)
        neuroprune.reestimate_batchnorm(module, batch.transpose(0, 1) if sequence else batch)
    verify(module, frames)


@pytest.mark.parametrize("name", [name for name in branching_networks() if name != "SequenceInput"])
def test_no_branches_and_no_kind_of_neuron_are_blamed(name: str) -> None:
    module, shape = branching_networks()[name]
    verify(stir(module).float(), frames_for(shape))
    if name != "Cuba":  # which computes in float32
        verify(stir(module, seed=1).double(), frames_for(shape))


def test_sequences_are_compared_step_by_step() -> None:
    module, shape = branching_networks()["SequenceInput"]
    verify(stir(module).float(), frames_for((5, *shape)))


@pytest.mark.parametrize("kind", [Unusual, StepLoop, MergedTime])
def test_no_way_through_time_is_blamed(kind: type[nn.Module]) -> None:
    verify(stir(kind()).float(), frames_for((1, 28, 28)))


class Fires(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        return (x >= 0).float()


def _replace(name: str, make: Callable[[], nn.Module]) -> Callable[[Net], None]:
    return lambda net: setattr(net, name, make())


RIGHT: dict[str, Callable[[Net], Any]] = {
    "as it is": lambda net: None,
    "in training mode": lambda net: net.train(),
    "with a frozen norm": lambda net: (net.train(), net.norm.eval()),
    "weight norm": lambda net: parametrizations.weight_norm(net.conv),
    "spectral norm": lambda net: parametrizations.spectral_norm(net.fc),
    "orthogonal": lambda net: parametrizations.orthogonal(net.fc),
    "weight norm by a hook": lambda net: nn.utils.spectral_norm(net.conv),
    "pruned by torch": lambda net: (
        prune.l1_unstructured(net.conv, "weight", amount=0.5),
        prune.random_unstructured(net.fc, "bias", amount=0.3),
    ),
    "a hook that keeps what passes": lambda net: net.lif.register_forward_hook(
        lambda module, args, output: setattr(module, "kept", output)
    ),
    "a hook that looks": lambda net: net.conv.register_forward_hook(lambda module, args, output: output),
    "standardised weights": _replace("conv", lambda: layer.WSConv2d(1, 4, 3, 2, 1)),
    "a learned tau": _replace("lif", lambda: neuron.ParametricLIFNode(3.0, v_threshold=0.2)),
    "soft reset": _replace("lif", lambda: neuron.LIFNode(2.0, v_threshold=0.1, v_reset=None, decay_input=False)),
    "a surrogate of one's own": _replace("lif", lambda: neuron.IFNode(0.2, surrogate_function=Fires.apply)),
    "another surrogate": _replace("lif", lambda: neuron.IFNode(0.2, surrogate_function=surrogate.S2NN())),
    "a norm that cancels": lambda net: (net.conv.bias.data.fill_(300.0), net.norm.running_mean.fill_(300.0)),
    "a threshold that is met": lambda net: (
        net.conv.weight.data.zero_(),
        net.conv.bias.data.fill_(0.2 * 2 * (1 + 1e-5) ** 0.5),
    ),
    "weights of very different size": lambda net: net.conv.weight.data[0].mul_(1e6),
    "silence": lambda net: net.conv.weight.data.zero_(),
}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils:FutureWarning")
@pytest.mark.parametrize("name", RIGHT)
def test_nothing_that_computes_the_same_is_blamed(name: str) -> None:
    module = Net(RIGHT[name])
    modes = [each.training for each in module.modules()]
    verify(module)
    assert [each.training for each in module.modules()] == modes
    assert not any(each._forward_hooks for each in (module.norm, module.drop, module.fc))


# --- networks that are not ---


class Counting(nn.Module):
    """Adds to its input what no one sees who runs it once: its layers are read in the first call."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv, self.calls = conv, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.conv(x) if self.calls <= 4 else self.conv(x + 0.25)


def _global_effect(net: Net) -> None:
    """Firing that changes where values are larger than those that surrogates are tried at."""
    net.lif = neuron.LIFNode(v_threshold=0.2, surrogate_function=Saturating.apply)


class Saturating(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        return ((x >= 0) & (x[0].numel() == 1 or x.mean() > 1e9)).float()


def _restless(net: Net) -> None:
    net.lif.set_reset_value("v", 0.15)


class Rescaled(nn.Module):
    """The readout is divided once more, by what the module is told only after tracing."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.calls = Net(), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.net(x) if self.calls == 1 else self.net(x) * 0.5


class Wrapped(nn.Module):
    """Returns a tuple of one."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.net(x),)


def test_a_tuple_of_one_output_is_that_output_down_the_whole_line() -> None:
    labels, none = np.zeros(len(FRAMES), np.int64), neuroprune.LavaSettings(samples=0)
    wrapped, plain = (neuroprune.deploy(net, FRAMES, labels=labels, lava=none) for net in (Wrapped(), Net()))
    assert wrapped.report.accuracy == plain.report.accuracy
    np.testing.assert_array_equal(wrapped.trace.outputs, plain.trace.outputs)


WRONG: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "state of the code": (
        lambda: Net(lambda net: setattr(net, "conv", Counting(net.conv))),
        r"layer lif: its neurons receive \S+ through conv.conv where the network as it was read delivers \S+, a "
        r"difference of \S+ in step 1 of sample \d",
    ),
    "a rule for whole batches": (
        lambda: Net(_global_effect),
        r"layer lif: a neuron at potential \S+ with threshold 0.2 gives 0 where 1 was read, in step \d of sample 1",
    ),
    "neurons that start elsewhere": (
        lambda: Net(_restless),
        r"layer lif: a neuron at potential \S+ with threshold 0.2 gives 1 where 0 was read",
    ),
    "another readout": (
        Rescaled,
        r"the output is \S+ for class \d of sample \d where \S+ was read from net.fc.integrator, a difference of ",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_first_layer_that_differs_is_named_with_how_much(name: str) -> None:
    make, sentence = WRONG[name]
    with pytest.raises(neuroprune.VerificationError, match=sentence) as caught:
        verify(make())
    assert caught.value.exit_code == 4
    assert str(caught.value).startswith("the network does not compute what was read from it: ")
    assert str(caught.value).endswith("; write what its code does there with layers of torch or SpikingJelly")
    assert "\n" not in str(caught.value)


def test_deploy_and_compress_prove_nothing_of_a_network_that_differs() -> None:
    with pytest.raises(neuroprune.VerificationError, match="layer lif: a neuron at potential"):
        neuroprune.deploy(Net(_restless), FRAMES, lava=neuroprune.LavaSettings(samples=0))
    data = neuroprune.load_dataset("digits")
    module = nn.Sequential(
        layer.Conv2d(1, 8, 3, padding=1), layer.BatchNorm2d(8), neuron.IFNode(), layer.Conv2d(8, 4, 3), neuron.IFNode(),
        layer.Flatten(), layer.Linear(4 * 36, 10), neuron.IFNode(),
    )  # fmt: skip
    module[2].set_reset_value("v", 0.5)
    with pytest.raises(neuroprune.VerificationError, match="layer 2: a neuron at potential"):
        neuroprune.compress(module, data, neuroprune.CompressSettings(flops=0.5, method="slimming"))


def test_a_neuron_that_computes_in_steps_of_its_own_is_given_the_room_of_these() -> None:
    """CubaLIFNode cuts to 4096ths: a potential may lie a few of them off, but not far."""
    module = stir(Cuba()).float()
    frames = frames_for((1, 8, 8))
    graph = neuroprune.trace(module, torch.from_numpy(frames))
    floats = neuroprune.fold(graph)
    neuroprune.verify_module(module, graph, floats, frames)
    for each in floats.layers:
        assert 0.0 < each.neuron.deviation(1) <= 3 / 4096 < each.neuron.deviation(4) < 3e-3
