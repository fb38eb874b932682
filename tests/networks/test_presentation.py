"""Networks are shown samples in the form that they take, which is found by trying, and stay what they are."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import base, functional, layer, neuron
from torch import nn

from neuroprune.errors import InputError
from neuroprune.evaluation import evaluation_mode
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.networks.presentation import Form, Presentation
from neuroprune.networks.probing import find_form, present
from neuroprune.simulation.floats import run_float, run_module

SHAPE = (2, 6, 6)
Forward = Callable[["Net", torch.Tensor], Any]


class Net(nn.Module):
    """Convolution, neurons and a linear layer of 5 outputs, joined by the code of a test."""

    def __init__(self, forward: Forward, mode: str = "m") -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.norm = layer.Conv2d(2, 4, 3, bias=False), layer.BatchNorm2d(4)
        self.spikes, self.flat = neuron.LIFNode(v_threshold=0.2), layer.Flatten()
        self.fc = layer.Linear(64, 5)
        self.code = forward
        functional.set_step_mode(self, mode)

    def forward(self, x: torch.Tensor) -> Any:
        return self.code(self, x)

    def body(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.flat(self.spikes(self.norm(self.conv(x)))))


def shown(x: torch.Tensor, steps: int = 4) -> torch.Tensor:
    return x.unsqueeze(0).repeat(steps, 1, 1, 1, 1)


ON_IMAGES: dict[str, tuple[str, Forward, int | None, Form]] = {
    "frames": ("m", lambda net, x: net.body(shown(x)).mean(0), None, Form()),
    "the steps it makes": ("m", lambda net, x: net.body(shown(x)).mean(0), 4, Form()),
    "all steps": ("m", lambda net, x: net.body(shown(x)), None, Form(returns="steps")),
    "all steps, samples first": (
        "m",
        lambda net, x: net.body(shown(x)).transpose(0, 1),
        None,
        Form(returns="batch-first steps"),
    ),
    "as many steps as samples are tried with": ("m", lambda net, x: net.body(shown(x, 7)), None, Form(returns="steps")),
    "list": ("s", lambda net, x: [net.body(x) for _ in range(4)], None, Form(returns="list of steps")),
    "tuple with extras": ("m", lambda net, x: (net.body(shown(x)).mean(0), net.spikes.v), None, Form(part=0)),
    "dict": ("m", lambda net, x: {"logits": net.body(shown(x))}, None, Form(returns="steps", part="logits")),
    "list with extras": (
        "s",
        lambda net, x: ([net.body(x) for _ in range(3)], net.spikes.v),
        None,
        Form(returns="list of steps", part=0),
    ),
    "sequences": ("m", lambda net, x: net.body(x), 4, Form("sequences", "steps", 4)),
    "sequences, mean": ("m", lambda net, x: net.body(x).mean(0), 4, Form("sequences", "scores", 4)),
    "samples first": (
        "m",
        lambda net, x: net.body(x.transpose(0, 1)).mean(0),
        3,
        Form("batch-first sequences", steps=3),
    ),
    "samples first throughout": (
        "s",
        lambda net, x: torch.stack([net.body(x[:, t]) for t in range(x.shape[1])], 1),
        3,
        Form("batch-first sequences", "batch-first steps", 3),
    ),
    "one step a call": ("s", lambda net, x: net.body(x), 4, Form("steps", steps=4)),
    "one step": ("s", lambda net, x: net.body(x), None, Form("steps", steps=1)),
    "one step of its own": ("m", lambda net, x: net.body(shown(x, 1)), None, Form(returns="steps")),
    "one step of a tuple": ("s", lambda net, x: (net.body(x), x), 3, Form("steps", steps=3, part=0)),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_IMAGES)
def test_the_form_for_images_is_found_and_the_program_read_through_it(name: str) -> None:
    mode, code, steps, form = ON_IMAGES[name]
    network = Net(code, mode).double().eval()
    assert find_form(network, SHAPE, steps) == form
    module = present(network, SHAPE, steps)
    assert isinstance(module, Presentation) == (form != Form())
    frames = torch.randn(6, *SHAPE, dtype=torch.float64).mul(3)
    scores = torch.from_numpy(run_module(module, frames.numpy()))
    own = {"as many steps as samples are tried with": 7, "list with extras": 3, "one step of its own": 1}
    made = form.steps or own.get(name, 4)
    plain = Net(lambda net, x: net.body(shown(x, made)).mean(0), "m").double().eval()
    torch.testing.assert_close(scores, torch.from_numpy(run_module(plain, frames.numpy())))
    program = fold(trace(module, frames))
    assert (program.steps, [each.name for each in program.layers]) == (made, ["spikes", "fc.integrator"])
    outputs = torch.from_numpy(run_float(program, frames.numpy()).outputs) / made
    torch.testing.assert_close(outputs.float(), scores)


ON_SEQUENCES: dict[str, tuple[str, Forward, Form]] = {
    "sequences": ("m", lambda net, x: net.body(x).mean(0), Form("sequences")),
    "all steps": ("m", lambda net, x: net.body(x), Form("sequences", "steps")),
    "samples first": ("m", lambda net, x: net.body(x.permute(1, 0, 2, 3, 4)).mean(0), Form("batch-first sequences")),
    "one step a call": ("s", lambda net, x: net.body(x), Form("steps")),
}


@pytest.mark.parametrize("name", ON_SEQUENCES)
def test_the_form_for_sequences_is_found_and_the_program_read_through_it(name: str) -> None:
    mode, code, form = ON_SEQUENCES[name]
    network = Net(code, mode).double().eval()
    assert find_form(network, SHAPE, 3, sequence=True) == form
    module = present(network, SHAPE, 3, sequence=True)
    frames = torch.randn(5, 3, *SHAPE, dtype=torch.float64).mul(3)
    plain = Net(lambda net, x: net.body(x).mean(0), "m").double().eval()
    scores = torch.from_numpy(run_module(module, frames.numpy()))
    torch.testing.assert_close(scores, torch.from_numpy(run_module(plain, frames.numpy())))
    outputs = torch.from_numpy(run_float(fold(trace(module, frames)), frames.numpy()).outputs) / 3
    torch.testing.assert_close(outputs.float(), scores)


class Wide(nn.Module):
    """Linear layers and neurons in step mode 'm', which take samples for steps where they are given frames."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = layer.Linear(72, 5, step_mode="m")
        self.spikes = neuron.LIFNode(v_threshold=0.5, step_mode="m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.spikes(self.fc(x.flatten(-3)))


def test_samples_are_not_taken_for_steps_although_the_shapes_would_fit() -> None:
    given = Wide()(torch.zeros(7, *SHAPE))
    assert given.shape == (7, 5)
    assert find_form(Wide(), SHAPE, 4) == Form("sequences", "steps", 4)


REFUSED: dict[str, tuple[str, Forward, int | None, bool, str]] = {
    "no steps": ("m", lambda net, x: net.body(x), None, False,
        r"network Net takes \[T, N, C, H, W\] and returns \[T, N, K\], and nothing says how often an image is shown: "
        r"give the steps \(--steps 4\)"),
    "too few steps": ("m", lambda net, x: net.body(x), 0, False,
        "samples of 0 steps cannot be shown to network Net: give at least 1"),
    "other steps": ("m", lambda net, x: net.body(shown(x)).mean(0), 8, False,
        r"network Net presents each image at 4 steps, not at 8: leave the steps out, or tell its code \(as with --a"),
    "own steps for each of a sequence": ("m", lambda net, x: net.body(shown(x)).mean(0), 3, True,
        "network Net presents each frame at 4 steps, and cannot take samples that have a frame for each step: name im"),
    "something else": ("m", lambda net, x: "scores", None, False,
        r"network Net cannot take \[N, C, H, W\] or \[T, N, C, H, W\] or \[N, T, C, H, W\] or \[N, C, H, W, T\] of "
        r"\(2, 6, 6\) \(channels, height, width\) \(it returns a str for 7 samples\): choose another data set or"),
    "two things by name": ("m", lambda net, x: {"a": x.sum((1, 2, 3)), "b": 1}, None, False, "it returns a dict for 7"),
    "one score for all": ("m", lambda net, x: net.body(shown(x)).mean((0, 1)), None, False,
        r"it returns the shape \(5,\) for 7 samples"),
    "samples mixed": ("m", lambda net, x: net.body(shown(x)).mean(0).cumsum(0), None, False,
        "samples in another order do not give scores in that order"),
    "a fault of its own": ("m", lambda net, x: net.body(shown(x)).no_such_thing, None, False,
        "AttributeError: 'Tensor' object has no attribute 'no_such_thing'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_fits_no_form_is_refused_in_a_sentence(name: str) -> None:
    mode, code, steps, sequence, sentence = REFUSED[name]
    with pytest.raises(InputError, match=sentence):
        present(Net(code, mode), SHAPE, steps, sequence)


def test_neurons_that_the_installed_spikingjelly_cannot_run_are_named_with_those_to_use() -> None:
    class Own(neuron.BaseNode):
        def neuronal_charge(self, x: torch.Tensor) -> None:
            self.v = self.v + x

    network = Net(lambda net, x: net.body(shown(x)).mean(0))
    network.spikes = Own(step_mode="m")
    sentence = r"layer spikes: Own has its dynamics in neuronal_charge, which SpikingJelly .* does not call: use LIF"
    with pytest.raises(InputError, match=sentence):
        present(network, SHAPE)


def test_a_network_without_layers_of_known_state_keeps_its_own_steps() -> None:
    class Plain(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    assert find_form(Plain(), SHAPE) == Form()
    with pytest.raises(InputError, match="presents each image at steps of its own, not at 8: leave the steps out"):
        present(Plain(), SHAPE, 8)


def test_the_voltage_of_a_network_of_one_step_is_read() -> None:
    def code(net: Net, x: torch.Tensor) -> torch.Tensor:
        net.out(net.body(x))
        return net.out.v

    network = Net(code, "s")
    network.out = neuron.LIFNode(v_threshold=float("inf"))
    program = fold(trace(present(network, SHAPE).eval(), torch.randn(2, *SHAPE)))
    assert (program.steps, program.readout.of) == (1, "voltage")


def test_a_silent_network_is_read_by_its_shapes() -> None:
    network = Net(lambda net, x: net.body(x), "m")
    network.spikes.v_threshold = 1e9
    network.fc.bias.data.zero_()
    assert find_form(network, SHAPE, 4) == Form("sequences", "steps", 4)


def test_probing_leaves_a_network_as_it_was() -> None:
    network = Net(lambda net, x: net.body(x), "m").train()
    network.norm.eval()
    before = copy.deepcopy(network.state_dict())
    present(network, SHAPE, 4)
    assert network.training and not network.norm.training and network.fc.training
    assert network.spikes.v == 0.0
    assert not network.spikes._forward_pre_hooks
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_presentation_has_the_layers_modes_and_tensors_of_its_network_under_their_names() -> None:
    network = Net(lambda net, x: net.body(x), "m")
    network.register_buffer("kept", torch.ones(1), persistent=False)
    network.extra = nn.Parameter(torch.ones(2))
    module = present(network, SHAPE, 4)
    assert [name for name, _ in module.named_modules()] == [name for name, _ in network.named_modules()]
    assert list(module.state_dict()) == list(network.state_dict())
    assert [id(each) for each in module.parameters()] == [id(each) for each in network.parameters()]
    module.eval()
    assert not network.training and not network.conv.training
    with evaluation_mode(module.train()):
        assert not network.training
    assert network.training
    module.double()
    assert network.fc.weight.dtype == network.kept.dtype == network.extra.dtype == torch.float64
    module.conv = layer.Conv2d(2, 4, 3, bias=True, step_mode="m")
    assert network.conv.bias is not None
    twin = copy.deepcopy(module)
    twin.fc.weight.data.zero_()
    assert twin.network.fc is twin.fc and network.fc.weight.abs().sum() > 0


def test_a_network_with_state_of_its_own_is_reset_with_its_layers() -> None:
    class Root(base.MemoryModule):
        def __init__(self) -> None:
            super().__init__()
            self.register_memory("count", 0)
            self.spikes = neuron.IFNode()

        def single_step_forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count += 1
            return self.spikes(x.flatten(1))

    module = present(Root(), SHAPE, 3)
    assert isinstance(module, Presentation) and module.form == Form("steps", steps=3)
    module(torch.zeros(2, *SHAPE))
    assert module.network.count == 3
    functional.reset_net(module)
    assert module.network.count == 0


@pytest.mark.parametrize(
    ("form", "title"),
    [
        (Form("sequences", "steps", 4), "[T, N, C, H, W] and returns [T, N, K]: each image is shown 4 times"),
        (Form("steps", steps=1), "[N, C, H, W], one step a call: each image is shown once"),
        (Form(returns="list of steps", part=0), "[N, C, H, W] and returns a list of T times [N, K] as 0"),
        (Form("batch-first sequences"), "[N, T, C, H, W]"),
    ],
)
def test_forms_in_words(form: Form, title: str) -> None:
    assert form.title == title


class OneStep(nn.Module):
    """Neurons of one's own, with a state that lives as long as the module."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.state = nn.Linear(72, 5), torch.zeros(())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.state = self.state * 0.5 + self.fc(x.flatten(1)).sum(0)
        return self.fc(x.flatten(1)) + self.state


class Drawing(nn.Module):
    """Codes what it sees itself, by random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(72, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc((torch.rand_like(x) < x).to(x).flatten(1))


class Deciding(Drawing):
    """Returns the class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.flatten(1)).argmax(1)


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (OneStep(), r"it goes on from call to call, .*\): let its forward begin with the state at rest, or give"),
        (Drawing(), r"it draws random numbers in evaluation mode, .*\): leave them out of its code"),
        (Deciding(), r"it returns the shape \(7,\) for 7 samples\): return the scores of all classes"),
    ],
)
def test_why_no_form_fits_is_said_by_its_cause(network: nn.Module, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        find_form(network, SHAPE)


def test_two_heads_are_no_list_of_steps() -> None:
    form = find_form(
        Net(lambda net, x: (net.body(x.repeat(4, 1, 1, 1, 1)).mean(0), net.fc.bias.expand(len(x), 5))), SHAPE
    )
    assert (form.returns, form.part) == ("scores", 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="code that moves tensors to a GPU does so where there is one")
def test_code_that_moves_tensors_to_a_gpu_that_is_not_there_is_run_where_they_are() -> None:
    def forward(net: Net, x: torch.Tensor) -> torch.Tensor:
        x = x.cuda().to("cuda:0").to(torch.device("cuda"))
        return net.body(x.repeat(4, 1, 1, 1, 1)).mean(0) + torch.zeros(1, device="cuda")

    network = present(Net(forward), SHAPE)
    assert isinstance(network, Presentation)
    assert network.form.title == "[N, C, H, W]; what its code moves to a GPU stays on the CPU"
    assert trace(network, torch.rand(1, *SHAPE)).steps == 4


class Compiled(nn.Module):
    """What torch.compile makes of a network, as far as its names go."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._orig_mod = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("a compiled graph has no layers that could be read")


def test_a_compiled_network_is_read_as_the_one_that_was_compiled() -> None:
    network = Net(lambda net, x: net.body(x.repeat(4, 1, 1, 1, 1)).mean(0))
    assert present(Compiled(network), SHAPE) is network
