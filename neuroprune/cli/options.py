"""Options that several commands share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from neuroprune.choices import names
from neuroprune.cli.console import apart_from_code, note
from neuroprune.errors import InputError
from neuroprune.exchange.catalog import readable_suffixes, refuse_onnx
from neuroprune.mapping.effort import EFFORTS, EffortName
from neuroprune.networks.nir.catalog import SUFFIX, nir_reference
from neuroprune.networks.reference import is_reference, with_arguments
from neuroprune.runs import check_out

F = TypeVar("F", bound=Callable[..., Any])


def _checked(context: click.Context, option: click.Parameter, out: Path | None) -> Path | None:
    """Refuse a folder for the result before any work is done for it."""
    if out is not None:
        check_out(out)
    return out


runs_option = click.option(
    "--runs",
    "runs_folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder that holds the numbered runs.",
)
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the data sets' files.  [default: NEUROPRUNE_DATA, else ./data]",
)
download_option = click.option("--download", is_flag=True, help="Fetch missing files, if torchvision is there.")
out_option = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    callback=_checked,
    help="Folder for the result, in place of a numbered run; one that holds no other run.",
)
resume_option = click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[RUN]",
    help="Resume an interrupted run, by default the latest; it ends with the numbers of an uninterrupted one.",
)
unfinished_option = click.option("--unfinished", is_flag=True, help="Take a run as it is that was interrupted.")
device_option = click.option(
    "--device", help="auto, cpu, cuda or cuda:<number>.  [default: auto, or that of the run to resume]"
)


def effort_option(default: EffortName) -> Callable[[F], F]:
    """The option --effort."""
    return click.option(
        "--effort",
        type=click.Choice(names(EFFORTS)),
        default=default,
        show_default=True,
        help="Search for fewer cores: " + "; ".join(f"{each.name}: {each.choice.title}" for each in EFFORTS) + ".",
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def import_options(command: F) -> F:
    """How the code of a network of the user's is imported; what it prints is kept apart from results."""

    @click.option("--legacy-imports", is_flag=True, help="Load its code with SpikingJelly as it was before release 2.")
    @click.option(
        "--stub-imports", metavar="PACKAGE,...", help="Packages that its code imports and the network does not use."
    )
    @functools.wraps(command)
    def run(*args: Any, legacy_imports: bool, stub_imports: str | None, **options: Any) -> Any:
        from neuroprune.networks.legacy import imports_as

        with apart_from_code(), imports_as(legacy_imports, tuple(stub_imports.split(",")) if stub_imports else ()):
            return command(*args, **options)

    return run  # type: ignore[return-value]


def model_options(meaning: str) -> Callable[[F], F]:
    """--model, which may stand in place of a run for a NIR file, --args, and how its file is imported."""

    def decorate(command: F) -> F:
        @click.option("--model", help=meaning)
        @click.option(
            "--args", "arguments", metavar="NAME=VALUE,...", help="Arguments for the class or function of --model."
        )
        @import_options
        @functools.wraps(command)
        def run(*, model: str | None, arguments: str | None, **options: Any) -> Any:
            refuse_onnx(model, options.get("run"), options.get("weights"))
            if model is None and (options.get("run") or "").endswith(SUFFIX):
                model, options["run"] = options["run"], None
            model = model and nir_reference(model)
            if arguments and not (model and is_reference(model)):
                raise click.UsageError(
                    f"--args {arguments} is for the class of a file, and --model names none: add --model file.py:Class"
                )
            return command(model=model and with_arguments(model, arguments), **options)

        return run  # type: ignore[return-value]

    return decorate


class GivenWeights(NamedTuple):
    """Weights that were trained elsewhere, and how the frames of that training were normalised.

    path: of their file; None for those that the network has when it is made. mean, std: as for `with_normalisation`.
    """

    path: Path | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def weights_options(meaning: str, programs: bool = False) -> Callable[[F], F]:
    """--weights of the network that --model names, with --mean and --std of its frames: a GivenWeights.

    None where none of them is given. programs: whether RUN may be the file of a finished program, whose weights are
    those in it.
    """

    def decorate(command: F) -> F:
        @click.option("--weights", type=click.Path(path_type=Path), help=meaning)
        @click.option(
            "--mean",
            metavar="M[,M...]",
            callback=_numbers,
            help="Means that the frames of its training were normalised by, of pixels from 0 to 1.  [default: none]",
        )
        @click.option(
            "--std",
            metavar="S[,S...]",
            callback=_numbers,
            help="Deviations that they were normalised by, likewise.  [default: none]",
        )
        @functools.wraps(command)
        def run(
            *, weights: Path | None, mean: tuple[float, ...] | None, std: tuple[float, ...] | None, **options: Any
        ) -> Any:
            if weights is None and programs and (options.get("run") or "").endswith(readable_suffixes()):
                return command(weights=GivenWeights(Path(options["run"]), mean, std), **options)
            asked = given(weights=weights, mean=mean, std=std)
            if not asked:
                return command(weights=None, **options)
            for what, other in (("RUN", options.get("run")), ("--resume", options.get("resume"))):
                if other is not None and weights is not None:
                    raise click.UsageError(f"--weights and {what} name two networks: give one of the two")
                if other is not None:
                    name = next(iter(asked))
                    raise click.UsageError(f"--{name} cannot change for {what}, which has its own: leave it out")
            if options.get("model") is None:
                raise click.UsageError(
                    f"--weights {weights} are numbers alone: name the network that they are of with --model"
                    if weights is not None
                    else f"--{next(iter(asked))} is of the frames of a network that was trained elsewhere: name it "
                    "with --model"
                )
            return command(weights=GivenWeights(weights, mean, std), **options)

        return run  # type: ignore[return-value]

    return decorate


def _numbers(context: click.Context, option: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    """Numbers written with commas between them."""
    try:
        return None if text is None else tuple(map(float, text.split(",")))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 0.4914,0.4822,0.4465") from None


def refuse_changes(**options: Any) -> None:
    """Raise UsageError for an option that was given although a run is resumed, which cannot change there."""
    for name in given(**options):
        raise click.UsageError(f"--{name} cannot change in a run that is resumed: leave it out")


def refuse(options: dict[str, object], reason: str) -> None:
    """Raise InputError for options that were given but would have no effect."""
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)} cannot apply here, since {reason}: leave it out")


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others are left to the recipe's or the library's defaults."""
    return {name: value for name, value in options.items() if value is not None}


def amp_that_pays(amp: bool | None, device: str | None) -> bool | None:
    """`amp` as it was asked for; False, with a note, where `device` would take longer for bfloat16 than for float32."""
    from neuroprune.training.settings import computes_bfloat16, pick_device

    chosen = pick_device(device or "auto")
    if not amp or computes_bfloat16(chosen):
        return amp
    note(f"bfloat16 is left out: this machine's {chosen} has no instructions for it and takes many times as long")
    return False
