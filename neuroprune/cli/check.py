"""`neuroprune check`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from neuroprune.cli.console import next_step, note, page_width, show, show_json
from neuroprune.cli.networks import choose_recipe, model_argument, take_run, take_weights
from neuroprune.cli.options import effort_option, import_options, json_option, refuse, runs_option
from neuroprune.errors import CapacityError, InputError
from neuroprune.exchange.catalog import readable_suffixes, refuse_onnx
from neuroprune.networks.nir.catalog import nir_reference
from neuroprune.networks.reference import is_reference, with_arguments
from neuroprune.run_names import named_run

if TYPE_CHECKING:
    from torch import nn

    from neuroprune.checking.schema import Check
    from neuroprune.chips.chip import Chip
    from neuroprune.data.catalog import DatasetInfo
    from neuroprune.mapping.effort import EffortName

Sizes = tuple[int, int, int]
"""Channels, height and width."""

DEFAULT_DATA = "digits"
"""As for `neuroprune train`."""

YAML = (".yaml", ".yml")

EPILOG = """\b
Examples:
  neuroprune check digits-conv
  neuroprune check my_network.py:Net --shape 3,32,32 --steps 4
  neuroprune check my_network.py:Net --args T=4,num_classes=100 --data cifar100 --target loihi-sim
  neuroprune check my_network.py:Net --weights trained.pth --data cifar10
  neuroprune check runs/0002-compress-digits --verbose
  neuroprune check trained_by_lava_dl.net --steps 10 --json"""


class Checked(NamedTuple):
    """A network, what is said of it, the shape of its samples, and the command that comes next."""

    module: "nn.Module"
    name: str
    takes: str
    shape: tuple[int, ...]
    after: str


def _sizes(context: click.Context, option: click.Parameter, text: str | None) -> Sizes | None:
    """Channels, height and width, written with commas between them."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{text!r} is not channels, height and width such as 3,32,32")
    channels, height, width = map(int, parts)
    return channels, height, width


@click.command(epilog=EPILOG, short_help="Say at once whether a network maps, and how many cores.")
@click.argument("network", metavar="[MODEL|RUN|FILE]", required=False)
@click.option("--model", help="With RUN, the file.py:Class that it was trained from.")
@click.option("--args", "arguments", metavar="NAME=VALUE,...", help="Arguments for the class or function of MODEL.")
@click.option("--weights", type=click.Path(path_type=Path), help="File of weights, whether it fits MODEL.")
@click.option(
    "--data", help="Data set, by name or path, whose samples the network takes.  [default: the recipe's, else digits]"
)
@click.option("--shape", metavar="C,H,W", callback=_sizes, help="Shape of its samples, in place of --data.")
@click.option("--steps", type=click.IntRange(min=1), help="Time steps of a sample.")
@click.option(
    "--target", default="loihi-sim", show_default=True, help="Chip, or its YAML; `neuroprune targets` lists them."
)
@click.option("--bits", help="Of weights, 2 to 8: 4, or conv1=8,default=4.  [default: all that the target has]")
@effort_option("layers")
@click.option("--verbose", is_flag=True, help="A row for each layer, and what each part of the code becomes.")
@import_options
@runs_option
@json_option
def command(
    network: str | None,
    model: str | None,
    arguments: str | None,
    weights: Path | None,
    data: str | None,
    shape: Sizes | None,
    steps: int | None,
    target: str,
    bits: str | None,
    effort: "EffortName",
    verbose: bool,
    runs_folder: Path,
    as_json: bool,
) -> None:
    """Say whether a network maps onto a chip, what each layer becomes there, and how many cores it takes.

    MODEL is a recipe or a file.py:Class; RUN a run or its number; FILE a .net or .nir. By default it is the latest run.
    Nothing is trained or run and no data is needed: scales are provisional. The exit code is 0 if it fits, 2 if it
    cannot be read or mapped, 3 if the chip cannot hold it.
    """
    if data is not None and shape is not None:
        raise click.UsageError("--data and --shape both say what samples look like: leave one out")
    refuse_onnx(network, model)
    if network is None and model is not None:
        network, model = model, None
    network = network and nir_reference(network)
    if arguments and not is_reference(network or ""):
        raise click.UsageError(f"--args {arguments} is for the class of a file: name one, as in file.py:Class")

    from neuroprune.chips.load import load_chip

    chip = load_chip(target)  # first, so that a wrong name is reported before the seconds that the rest takes to load
    if network is not None and network.endswith(readable_suffixes()):
        refuse({"--model": model, "--weights": weights, "--bits": bits}, f"{network} is a finished program")
        found, after = (
            _check_file(Path(network), data, shape, steps, chip, effort),
            f"neuroprune deploy {shlex.quote(network)}",
        )
    else:
        checked = _checked(network, model, arguments, weights, data, shape, steps, runs_folder)
        found, after = _check_network(checked, bits, chip, effort), checked.after
    _show(found, after, verbose, as_json)


def _show(found: "Check", after: str, verbose: bool, as_json: bool) -> None:
    """Print what was found. Raises InputError where it cannot be mapped, CapacityError where it does not fit."""
    from neuroprune.checking.table import render_check
    from neuroprune.readable import plural

    if as_json:
        show_json(found.model_dump(mode="json"))
    else:
        show(render_check(found, page_width(), verbose))
    if found.problems:
        parts = plural(len(found.problems), "part")
        raise InputError(f"{found.network} has {parts} that cannot be mapped: change what is named above")
    if found.cannot_hold is not None:
        raise CapacityError(found.cannot_hold)
    next_step(after)


def _check_network(checked: Checked, bits: str | None, chip: "Chip", effort: "EffortName") -> "Check":
    from neuroprune.checking.check import check
    from neuroprune.quantization.bits import parse_bits
    from neuroprune.quantization.quantize import WIDEST

    widths = WIDEST if bits is None else parse_bits(bits)
    return check(
        checked.module,
        checked.shape,
        chip,
        bits=widths,
        effort=effort,
        network=checked.name,
        takes=checked.takes,
    )


def _check_file(
    path: Path, data: str | None, shape: Sizes | None, steps: int | None, chip: "Chip", effort: "EffortName"
) -> "Check":
    import numpy as np

    from neuroprune.checking.check import check_program
    from neuroprune.data.load import describe_dataset
    from neuroprune.deployment import check_outputs
    from neuroprune.exchange.format import read_program

    info = None if data is None else describe_dataset(data, None)
    sizes = shape if info is None else info.shape
    frames = None if sizes is None else np.zeros((1, *sizes), np.float32)
    program = read_program(path, chip.rules, steps, frames).program
    if info is not None:
        check_outputs(program, path, len(info.classes), info.name)
    return check_program(program, chip, effort=effort, network=path.name)


def _checked(
    network: str | None,
    model: str | None,
    arguments: str | None,
    weights: Path | None,
    data: str | None,
    shape: Sizes | None,
    steps: int | None,
    runs_folder: Path,
) -> Checked:
    """The network that was named, whatever it is."""
    from neuroprune.networks.recipe import list_recipes

    if network is not None and is_reference(network):
        refuse({"--model": model}, f"{network} names a class")
        return _of_reference(with_arguments(network, arguments), weights, data, shape, steps)
    if network is None or named_run(runs_folder, network) is not None:
        refuse(
            {"--weights": weights, "--data": data, "--shape": shape, "--steps": steps},
            "a trained network brings its own",
        )
        return _of_run(runs_folder, network, model)
    refuse({"--model": model}, f"{network} is no run")
    if network not in list_recipes() and not network.endswith(YAML):
        _refuse_name(network, runs_folder)
    return _of_recipe(network, weights, data, shape, steps)


def _refuse_name(network: str, runs_folder: Path) -> NoReturn:
    from neuroprune.excerpts import excerpt

    suffixes = " or ".join(readable_suffixes())
    raise InputError(
        f"{excerpt(network)} is no recipe, no run in {runs_folder.resolve()} and no {suffixes} file: name one of "
        "these, or a network as file.py:Class (`neuroprune models` lists recipes, `neuroprune runs` lists runs)"
    )


def _of_reference(
    reference: str, weights: Path | None, data: str | None, shape: Sizes | None, steps: int | None
) -> Checked:
    from neuroprune.networks.build import load_network
    from neuroprune.networks.probing import present

    info, sizes, sequence = _samples(data or DEFAULT_DATA, shape)
    if data is None and shape is None:
        note(f"taking samples of {DEFAULT_DATA}: name others with --data or --shape")
    if sequence and steps is None:
        raise InputError(f"data set {info.name} is recorded in events, which are binned to T frames: give --steps")
    network = load_network(reference)
    if weights is not None:
        take_weights(network, weights)
    module = present(network, sizes, steps, sequence).eval()
    after = f"neuroprune {_after(weights)}{model_argument(reference)}{_options(weights, data, steps)}"
    return Checked(module, reference, _takes(module, sequence), _sample(sizes, steps, sequence), after)


def _of_run(runs_folder: Path, run: str | None, model: str | None) -> Checked:
    from neuroprune.training.checkpoint import load_checkpoint, restore

    folder = take_run(runs_folder, run, ["train", "compress"], unfinished=True)
    checkpoint = load_checkpoint(folder)
    module, made_by, facts = restore(checkpoint, model), checkpoint.model, checkpoint.data
    name = f"{made_by if isinstance(made_by, str) else made_by.name} ({folder.name})"
    sequence = facts.coding.steps is not None
    shape = _sample(facts.input_shape, facts.coding.steps, sequence)
    after = f"neuroprune deploy {folder}" + (model_argument(model) if model else "")
    return Checked(module, name, _takes(module, sequence), shape, after)


def _of_recipe(name: str, weights: Path | None, data: str | None, shape: Sizes | None, steps: int | None) -> Checked:
    from neuroprune.networks.build import build
    from neuroprune.networks.recipe import load_recipe

    info, sizes, sequence = _samples(data or load_recipe(name).data, shape)
    recipe = choose_recipe(name, info, steps)
    module = build(recipe, sizes, len(info.classes)).eval()
    if weights is not None:
        take_weights(module, weights)
    after = f"neuroprune {_after(weights)} --model {shlex.quote(name)}{_options(weights, data, steps)}"
    return Checked(module, recipe.name, _takes(module, sequence), _sample(sizes, recipe.steps, sequence), after)


def _samples(data: str, shape: Sizes | None) -> tuple["DatasetInfo", Sizes, bool]:
    """A data set, the shape of a frame of it, or the one that was given, and whether samples are sequences."""
    from neuroprune.data.load import describe_dataset

    info = describe_dataset(data, None)
    return (info, info.shape, info.recordings) if shape is None else (info, shape, False)


def _after(weights: Path | None) -> str:
    """The command that makes a run of a network of code, of a NIR file or of a recipe."""
    return "train" if weights is None else "import"


def _options(weights: Path | None, data: str | None, steps: int | None) -> str:
    """Those that this command takes as well."""
    given = f" --weights {shlex.quote(str(weights))}" if weights else ""
    return given + (f" --data {shlex.quote(data)}" if data else "") + (f" --steps {steps}" if steps else "")


def _sample(sizes: Sizes, steps: int | None, sequence: bool) -> tuple[int, ...]:
    return (steps, *sizes) if sequence and steps is not None else sizes


def _takes(module: "nn.Module", sequence: bool) -> str:
    from neuroprune.networks.presentation import Form, Presentation

    form = module.form if isinstance(module, Presentation) else Form("sequences" if sequence else "frames")
    return form.title
