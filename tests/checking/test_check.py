"""What `check` says of a network without data is what its deployment takes."""

import re

import numpy as np
import pytest
import torch
from rich.console import Console
from sample_networks import Unusual
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.checking.check import check, check_program
from neuroprune.checking.schema import Check
from neuroprune.checking.table import MOST_ROWS, render_check
from neuroprune.chips.load import load_chip
from neuroprune.data.catalog import find_dataset
from neuroprune.errors import InputError, VerificationError
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import list_recipes, load_recipe
from neuroprune.pipeline import deploy
from neuroprune.quantization.bits import parse_bits
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.verification import LavaSettings

NO_LAVA = LavaSettings(samples=0)
DEPLOYED = {"vgg16": (387, 4), "resnet19": (1864, 15), "resnet19-preact": (2331, 19)}
"""Cores and chips of the recipes that take minutes to deploy, as `deploy` with effort "layers" reports them."""


def network_of(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    recipe = load_recipe(name)
    info = find_dataset(recipe.data)
    return build(recipe, info.shape, len(info.classes)), ((recipe.steps,) if info.recordings else ()) + info.shape


def shown(found: Check, width: int = 100, everything: bool = False) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(render_check(found, width, everything))
    return capture.get().splitlines()


class Sequential(nn.Module):
    """Multi-step layers, over frames that are presented at four steps."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)
        functional.set_step_mode(self, "m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.body(frames.unsqueeze(0).repeat(4, 1, 1, 1, 1)).mean(0)


def test_recipes_that_are_not_deployed_here_are_there() -> None:
    assert set(DEPLOYED) < set(list_recipes())


@pytest.mark.parametrize("name", list_recipes())
def test_the_cores_are_those_of_the_deployment(name: str) -> None:
    network, shape = network_of(name)
    found = check(network, shape)
    assert found.fits
    if name in DEPLOYED:
        assert (found.cores, found.chips) == DEPLOYED[name]
        return
    frames = np.random.default_rng(7).integers(0, 3, (2, *shape)).astype(np.float32)
    report = deploy(network, frames, lava=NO_LAVA, effort="layers").report
    assert (found.cores, found.chips, found.resources) == (
        report.totals.cores,
        report.totals.chips,
        report.totals.resources,
    )
    of_layers = [(each.name, each.shape, each.neurons, each.synapses, each.cores) for each in report.layers]
    assert [(each.name, each.shape, each.neurons, each.synapses, each.cores) for each in found.layers] == of_layers


@pytest.mark.parametrize("bits", ["4", "body.neuron2=2,default=6"])
def test_fewer_bits_are_counted_as_by_deploy(bits: str) -> None:
    network, shape = network_of("digits-conv")
    found = check(network, shape, bits=parse_bits(bits))
    frames = np.random.default_rng(7).normal(0, 1, (16, *shape)).astype(np.float32)
    report = deploy(network, frames, bits=parse_bits(bits), lava=NO_LAVA, effort="layers").report
    assert found.cores == report.totals.cores
    assert [each.weight_bits for each in found.layers] == [each.weight_bits for each in report.layers]
    assert found.layers[1].weight_memory_bits == found.layers[1].weights * report.layers[1].weight_bits


def test_every_part_of_the_code_is_said_to_become_what_it_does() -> None:
    found = check(Unusual(), (1, 28, 28))
    parts = {part.name: (part.kind, part.becomes, part.readers) for part in found.parts}
    assert parts["conv1"] == ("convolution", "synapses", ("lif1",))
    assert parts["bn1"] == ("batch norm", "folded into synapses", ("lif1",))
    assert parts["pool"] == ("average pool", "folded into synapses", ("if2",))
    assert parts["most"] == ("maximum pool", "neurons that pass spikes on (OR)", ("most",))
    assert parts["fc"] == ("linear", "synapses", ("lif3",))
    assert parts["lif3"] == ("neurons", "neurons", ("lif3",))
    assert [(layer.name, layer.kind) for layer in found.layers] == [
        ("lif1", "neurons"),
        ("if2", "neurons"),
        ("most", "maximum pool"),
        ("lif3", "neurons"),
    ]


class Product(nn.Module):
    """The product of two layers of spikes, pooled with windows that differ."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one = layer.Conv2d(2, 4, 3, padding=1), neuron.IFNode()
        self.conv2, self.two = layer.Conv2d(4, 4, 3, padding=1), neuron.IFNode()
        self.uneven, self.flat = layer.AdaptiveAvgPool2d(3), layer.Flatten()
        self.fc, self.out = layer.Linear(36, 5), neuron.IFNode()
        functional.set_step_mode(self, "m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        one = self.one(self.conv(frames.unsqueeze(0).repeat(4, 1, 1, 1, 1)))
        both = one * self.two(self.conv2(one))
        return self.out(self.fc(self.flat(self.uneven(both)))).mean(0)


def test_products_of_spikes_are_neurons_and_pools_of_any_windows_are_not() -> None:
    found = check(Product(), (2, 8, 8))
    parts = {part.name: (part.kind, part.becomes, part.readers) for part in found.parts}
    assert parts["and"] == ("product of spikes", "neurons that fire where both do (AND)", ("and",))
    assert parts["uneven"] == ("adaptive pool", "folded into synapses", ("out",))
    assert [layer.name for layer in found.layers] == ["one", "two", "and", "out"]


def test_every_layer_that_a_pool_of_a_sum_or_a_product_of_spikes_becomes_is_said_to_be_what_it_is() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (nn.Sequential(layer.Conv2d(1, 2, 3), neuron.IFNode()) for _ in range(2))
            self.pools = nn.Sequential(layer.MaxPool2d(2), layer.Flatten(), layer.Linear(18, 10), neuron.IFNode())
            functional.set_step_mode(self, "m")

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            frames = frames.unsqueeze(0).repeat(4, 1, 1, 1, 1)
            return self.pools(self.join(self.first(frames), self.second(frames))).mean(0)

        def join(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return one + other

    class Product(Sum):
        def join(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return one * other

    found = check(Sum(), (1, 8, 8))
    kinds = {each.name: each.kind for each in found.layers}
    assert kinds == {
        "first.1": "neurons",
        "second.1": "neurons",
        "pools.0": "maximum pool",
        "pools.0.2.places": "coincidence",
        "pools.0.2": "maximum pool",
        "pools.3": "neurons",
    }
    text = "\n".join(shown(found, 160))
    for made_of, name in (
        ("add, maximum pool", "pools.0"),
        ("places of 2 spikes of the sum before pools.0", "pools.0.2.places"),
        ("maximum pool of pools.0.2.places", "pools.0.2"),
    ):
        assert re.search(rf"^{re.escape(made_of)} +{re.escape(name)} ", text, re.MULTILINE), text
    found = check(Product(), (1, 8, 8))
    assert [each.kind for each in found.layers][2:4] == ["product of spikes", "maximum pool"]
    assert re.search(r"^product of spikes +\S*and|mul\S* ", "\n".join(shown(found, 160)), re.MULTILINE)


def test_a_part_that_several_layers_read_names_them_all() -> None:
    found = check(network_of("sew-resnet")[0], (1, 28, 28))
    several = [part for part in found.parts if len(part.readers) > 1]
    assert {part.kind for part in several} == {"addition"}
    names = [layer.name for layer in found.layers]
    assert all(list(part.readers) == sorted(part.readers, key=names.index) for part in several)


def test_relays_that_balance_paths_are_listed_where_synapses_cannot_delay() -> None:
    found = check(network_of("ms-resnet")[0], (1, 28, 28), "loihi-sim-relay")
    assert any(layer.kind == "relay" for layer in found.layers)
    assert any("delay of a shorter" in line for line in shown(found))
    assert sum(layer.neurons for layer in found.layers) == found.neurons


def test_what_binds_is_counted_over_the_cores() -> None:
    found = check(network_of("digits-conv")[0], (1, 8, 8))
    assert sum(each.cores for each in found.binds) == found.cores
    fullest = [layer.fullest for layer in found.layers]
    assert all(each is not None and 0 < each.percent <= 100 for each in fullest)


def test_parts_that_do_not_map_are_problems_and_no_error() -> None:
    network = Sequential(
        layer.Conv2d(1, 2, 3), nn.GELU(), neuron.IFNode(), layer.Flatten(), layer.Linear(72, 2), neuron.IFNode()
    )
    found = check(network, (1, 8, 8), network="odd")
    assert not found.fits and not found.layers
    assert len(found.problems) == 1 and "body.1: GELU cannot be mapped" in found.problems[0]
    kinds = {each.name: (each.count, each.maps) for each in found.kinds}
    assert kinds == {
        "Conv2d": (1, True),
        "GELU": (1, False),
        "IFNode": (2, True),
        "Flatten": (1, True),
        "Linear": (1, True),
    }
    text = " ".join(shown(found))
    assert "odd on loihi-sim: 1 part cannot be mapped" in text
    assert "of classes that map: 1 Conv2d, 2 IFNode" in text and "of others: 1 GELU" in text


def test_a_network_that_cannot_be_folded_still_shows_its_parts() -> None:
    network = Sequential(
        layer.Conv2d(1, 2, 3), neuron.IFNode(), layer.BatchNorm2d(2), layer.Conv2d(2, 2, 3, padding=1), neuron.IFNode(),
        layer.Flatten(), layer.Linear(72, 2), neuron.IFNode(),
    )  # fmt: skip
    nn.init.constant_(network.body[2].bias, 0.5)
    found = check(network, (1, 8, 8))
    assert "pads the output of body.2 with zeros" in found.problems[0]
    assert found.steps == 4
    assert "body.3" in [part.name for part in found.parts]


def test_a_chip_that_is_too_small_is_said_and_the_layers_are_shown() -> None:
    network = Sequential(
        layer.Flatten(), layer.Linear(64, 5000), neuron.IFNode(), layer.Linear(5000, 2), neuron.IFNode()
    )
    found = check(network, (1, 8, 8))
    assert not found.fits and not found.problems
    assert found.cannot_hold is not None
    assert found.cannot_hold.startswith("layer body.4: one neuron needs ")
    assert (found.cores, found.binds) == (0, ())
    assert [layer.neurons for layer in found.layers] == [5000, 2]
    lines = shown(found)
    assert lines[0].strip() == "network on loihi-sim: the chip cannot hold it"
    assert any("body.2" in line and "5.00k" in line for line in lines)


def test_a_network_that_computes_something_else_is_no_result() -> None:
    class Sly(Sequential):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            out = super().forward(frames)
            return out if type(frames) is not torch.Tensor else 1 - out

    network = Sly(layer.Flatten(), layer.Linear(64, 8), neuron.IFNode())
    nn.init.constant_(network.body[1].bias, 2.0)
    with pytest.raises(VerificationError):
        check(network, (1, 8, 8))


def test_weights_that_are_no_numbers_are_one_sentence() -> None:
    network = Sequential(layer.Flatten(), layer.Linear(64, 8), neuron.IFNode())
    nn.init.constant_(network.body[1].weight, float("nan"))
    with pytest.raises(InputError, match=r"layer body\.1"):
        check(network, (1, 8, 8))


def test_a_finished_program_takes_what_its_network_does() -> None:
    network, shape = network_of("digits-conv")
    frames = np.random.default_rng(0).normal(0, 1, (8, *shape)).astype(np.float32)
    chip = load_chip("loihi-sim")
    program = quantize(fold(trace(network, torch.from_numpy(frames))), frames, chip)
    found, of_network = check_program(program, chip, network="a.net"), check(network, shape, chip)
    assert (found.cores, found.neurons, found.synapses) == (
        of_network.cores,
        of_network.neurons,
        of_network.synapses,
    )
    assert (found.provisional, found.steps, found.shape, found.parts) == (False, 4, (1, 8, 8), ())
    assert "provisional" not in " ".join(shown(found))


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("name", ["digits-conv", "sew-resnet"])
def test_the_table_fits_the_terminal(name: str, width: int) -> None:
    network, shape = network_of(name)
    found = check(network, shape, network=name)
    for everything in (False, True):
        lines = shown(found, width, everything)
        assert max(len(line.rstrip()) for line in lines) <= width
        assert not any("…" in line for line in lines)


def test_many_layers_that_are_alike_share_a_row_unless_everything_is_asked_for() -> None:
    blocks = [each for _ in range(MOST_ROWS + 5) for each in (layer.Linear(16, 16), neuron.IFNode())]
    found = check(Sequential(layer.Flatten(), layer.Linear(64, 16), neuron.IFNode(), *blocks), (1, 8, 8))
    short, whole = shown(found), shown(found, everything=True)
    assert any(f"and {MOST_ROWS + 4} like it" in line for line in short)
    assert len(short) < 20 < len(whole)
    assert all(any(each.name in line for line in whole) for each in found.layers)


def test_the_result_is_the_same_each_time_and_as_json() -> None:
    network, shape = network_of("digits-conv")
    found = check(network, shape)
    assert check(network, shape) == found
    assert Check.model_validate_json(found.model_dump_json()) == found


def convolutions(first: int, second: int) -> Sequential:
    torch.manual_seed(0)
    return Sequential(
        layer.Conv2d(1, first, 3, padding=1),
        neuron.IFNode(),
        layer.Conv2d(first, second, 3, padding=1, stride=2),
        neuron.IFNode(),
        layer.Flatten(),
        layer.Linear(second * 49, 5),
        neuron.IFNode(),
    )


def test_advice_is_what_a_network_that_is_built_narrower_takes() -> None:
    found = check(convolutions(40, 70), (1, 14, 14))
    assert found.advice
    for advice in found.advice:
        widths = {"body.1": 40, "body.3": 70}
        widths[advice.layer] -= advice.removed
        narrow = check(convolutions(*widths.values()), (1, 14, 14))
        assert (found.cores, narrow.cores) == (advice.cores_before, advice.cores_after)
    best, line = found.advice[0], next(line for line in shown(found) if line.startswith("advice"))
    assert line.removeprefix("advice").strip() == best.text
    pattern = r"body\.\d: \d+ channels? fewer, \d+ of \d+, saves? \d+ cores? of \d+ \(neurons bind\)"
    assert re.fullmatch(pattern, best.text), best.text


def test_a_network_of_one_core_gets_no_advice() -> None:
    found = check(Sequential(layer.Flatten(), layer.Linear(4, 3), neuron.IFNode()), (1, 2, 2))
    assert (found.cores, found.advice) == (1, ())


def test_what_does_not_fit_is_told_what_would_make_it_fit() -> None:
    def wide(features: int) -> Check:
        torch.manual_seed(0)
        body = layer.Linear(4, features), neuron.IFNode(), layer.Linear(features, 3), neuron.IFNode()
        return check(Sequential(layer.Flatten(), *body), (1, 2, 2))

    found = wide(4200)
    assert found.cannot_hold is not None
    (advice,) = found.advice
    assert (advice.layer, advice.cores_before) == ("body.2", None)
    narrow = wide(4200 - advice.removed)
    assert narrow.cores == advice.cores_after
    left = f"{4200 - advice.removed} of 4200"
    assert advice.text == f"body.2: {advice.removed} channels fewer, {left}, and it fits on {narrow.cores} cores"
