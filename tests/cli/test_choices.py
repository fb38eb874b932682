"""Catalogues: what the command line offers, recipes take, errors name and networks are built from is what they hold."""

import subprocess
import sys
from collections.abc import Iterable
from typing import get_args

import click
import pytest
import torch

from neuroprune.choices import Choice, check_choice, names
from neuroprune.cli.main import cli, main
from neuroprune.compression import catalog as pruning
from neuroprune.data.catalog import list_datasets
from neuroprune.data.codings import CODINGS, Kind
from neuroprune.errors import InputError
from neuroprune.mapping.catalog import PLACEMENTS, Placement
from neuroprune.networks import catalog, recipe
from neuroprune.networks.build import SURROGATES, build
from neuroprune.networks.residual import BLOCKS

CATALOGUES = {
    pruning.Kind: pruning.KINDS,
    pruning.Score: pruning.SCORES,
    pruning.Regrowth: pruning.REGROWTHS,
    pruning.Aggregation: pruning.AGGREGATIONS,
    pruning.SurrogateOf: pruning.SURROGATES,
    pruning.Residual: pruning.RESIDUALS,
    pruning.Start: pruning.STARTS,
    pruning.Currency: pruning.CURRENCIES,
    pruning.ChipLimit: pruning.LIMITS,
    Kind: CODINGS,
    Placement: PLACEMENTS,
    catalog.BlockKind: catalog.BLOCKS,
    catalog.PoolKind: catalog.POOLS,
    catalog.NeuronKind: catalog.NEURONS,
    catalog.ResetKind: catalog.RESETS,
    catalog.SurrogateKind: catalog.SURROGATES,
    catalog.ReadoutKind: catalog.READOUTS,
    catalog.OptimizerKind: catalog.OPTIMIZERS,
    catalog.ScheduleKind: catalog.SCHEDULES,
    catalog.LossKind: catalog.LOSSES,
}


def parsed(**changes: object) -> recipe.Recipe:
    values = {"name": "r", "title": "t", "data": "digits", "steps": 2, "layers": [{"conv": 4}], **changes}
    return recipe.parse_recipe(values, "recipe r")


@pytest.mark.parametrize(
    ("command", "option", "catalogue"),
    [
        ("compress", "--method", pruning.METHODS),
        ("compress", "--score", pruning.SCORES),
        ("compress", "--regenerate-by", pruning.REGROWTHS),
        ("compress", "--aggregation", pruning.AGGREGATIONS),
        ("compress", "--surrogate", pruning.SURROGATES),
        ("compress", "--residual", pruning.RESIDUALS),
        ("compress", "--start", pruning.STARTS),
        ("train", "--optimizer", catalog.OPTIMIZERS),
        ("train", "--schedule", catalog.SCHEDULES),
        ("train", "--loss", catalog.LOSSES),
        ("train", "--coding", CODINGS),
        ("deploy", "--coding", CODINGS),
        ("deploy", "--place", PLACEMENTS),
    ],
)
def test_help_offers_what_the_catalogue_holds(
    command: str, option: str, catalogue: Iterable[Choice], capsys: pytest.CaptureFixture[str]
) -> None:
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    (parameter,) = (each for each in found.params if option in each.opts)
    assert isinstance(parameter.type, click.Choice)
    assert tuple(parameter.type.choices) == names(catalogue)
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"{option} [{'|'.join(names(catalogue))}]" in capsys.readouterr().out


@pytest.mark.parametrize("literal", CATALOGUES)
def test_the_type_of_a_choice_lists_the_names_of_its_catalogue(literal: object) -> None:
    assert get_args(literal) == names(CATALOGUES[literal])
    assert all(choice.title for choice in CATALOGUES[literal])


def test_recipes_take_and_networks_are_built_from_what_the_catalogues_hold() -> None:
    assert tuple(recipe.KINDS) == names(catalog.LAYERS)
    assert tuple(BLOCKS) == names(catalog.BLOCKS)
    assert tuple(SURROGATES) == names(catalog.SURROGATES)


@pytest.mark.parametrize("kind", names(catalog.NEURONS))
@pytest.mark.parametrize("reset", names(catalog.RESETS))
def test_every_neuron_is_built_with_its_reset(kind: str, reset: str) -> None:
    network = build(parsed(neuron={"kind": kind, "reset": reset}), (1, 4, 4), 3)
    expected = {"lif": "LIFNode", "plif": "ParametricLIFNode", "if": "IFNode"}[kind]
    assert type(network.body.neuron1).__name__ == expected
    assert network.body.neuron1.v_reset == {"zero": 0.0, "subtract": None}[reset]


@pytest.mark.parametrize("readout", names(catalog.READOUTS))
def test_every_readout_is_built(readout: str) -> None:
    network = build(parsed(readout=readout), (1, 4, 4), 3)
    assert hasattr(network.body, "output") == (readout == "spikes")


SLOPES = {
    "atan": lambda u, a: a / (2 * (1 + (torch.pi * a * u / 2) ** 2)),
    "sigmoid": lambda u, a: a * torch.sigmoid(a * u) * (1 - torch.sigmoid(a * u)),
    "erf": lambda u, a: a * torch.exp(-((a * u) ** 2)) / torch.pi**0.5,
    "soft_sign": lambda u, a: a / (2 * (1 + a * u.abs()) ** 2),
    "piecewise_quadratic": lambda u, a: torch.relu(a - a**2 * u.abs()),
}


@pytest.mark.parametrize("name", names(catalog.SURROGATES))
def test_the_slope_of_each_surrogate_is_the_one_stated(name: str) -> None:
    u = torch.linspace(-2, 2, 41, dtype=torch.float64, requires_grad=True)
    SURROGATES[name](alpha=1.5)(u).sum().backward()
    torch.testing.assert_close(u.grad, SLOPES[name](u.detach(), 1.5))


def test_what_is_not_in_a_catalogue_is_refused_with_what_is() -> None:
    with pytest.raises(InputError) as caught:
        check_choice("wine", "water", (Choice("red", "grapes with skins"), Choice("white", "grapes without")))
    assert str(caught.value) == "there is no wine 'water': choose one of red, white"


def test_catalogues_import_no_torch_and_those_of_options_no_numpy() -> None:
    code = (
        "import sys\n"
        "import neuroprune.compression.catalog, neuroprune.networks.catalog, neuroprune.data.codings\n"
        "assert not {'torch', 'spikingjelly', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "import neuroprune.data.catalog\n"
        "assert not {'torch', 'spikingjelly', 'sklearn'} & set(sys.modules)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_names_in_a_catalogue_are_unique() -> None:
    for catalogue in (*CATALOGUES.values(), catalog.LAYERS, list_datasets()):
        assert len(set(names(catalogue))) == len(catalogue) > 1
