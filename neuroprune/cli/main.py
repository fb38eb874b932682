"""The command `neuroprune`: finds subcommands when they are used, and is the one place that renders errors."""

import contextlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module
from keyword import iskeyword
from types import FrameType
from typing import NoReturn

import click

from neuroprune.cli.console import command_line, show_error
from neuroprune.errors import InputError, NeuropruneError
from neuroprune.excerpts import capped, harmless
from neuroprune.version import __version__

COMMANDS = (
    "check",
    "train",
    "import",
    "compress",
    "deploy",
    "report",
    "compare",
    "runs",
    "experiment",
    "targets",
    "models",
    "data",
)
"""In the order of use; each is `command` in neuroprune/cli/<name>.py, <name>_.py for a word of Python's own."""

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and SIGTERM, as shells have them: 128 + the number of the signal."""

EPILOG = """\b
Example, on digits that need no download:
  neuroprune train
  neuroprune compress --structured --flops 0.5
  neuroprune deploy --target loihi-sim
  neuroprune report

\b
Exit codes: 0 done, 2 your input, 3 the chip cannot hold it, 4 a verification failed,
5 trials of an experiment or a --fail-if failed, 130 interrupted by Ctrl-C, 143 ended by SIGTERM."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


class LazyGroup(click.Group):
    """A group that imports the module of a command only when it is asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"neuroprune.cli.{module}").command
        return command


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="neuroprune")
def cli() -> None:
    """Take a spiking network from training to a neuromorphic chip.

    Train it, prune it to what matters, compile it onto the cores of a Loihi-style chip, run it there in the chip's own
    integers, and measure it core by core. Each command takes up the latest result of the one before.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: with 0, or with the code of the error, which is printed as one sentence.

    arguments: those after the program's name, by default the process's own. An error outside the tree of
    `neuroprune.errors` is a mistake of neuroprune and keeps its traceback.
    """
    # Without a GPU torch warns, twice, that Triton is missing; nothing here would use it.
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    try:
        with _terminable():
            given = sys.argv[1:] if arguments is None else list(arguments)
            cli.main(args=given, prog_name="neuroprune", standalone_mode=False, obj=command_line(given))
    except NeuropruneError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"Error: {_one_sentence(error)}", err=True)
        sys.exit(error.exit_code)
    except click.Abort as abort:
        terminated = isinstance(abort.__cause__, Terminated)
        click.echo("Terminated." if terminated else "Interrupted.", err=True)
        sys.exit(TERMINATED if terminated else INTERRUPTED)
    except SystemExit as error:  # nothing of ours ends the program in there
        if _nobody_reads(error):
            _stop_writing()
        said = f"code of the network's ends the program when it runs (sys.exit({capped(error.code)})): take that out"
        show_error(InputError(said))
        sys.exit(InputError.exit_code)
    except BrokenPipeError:
        _stop_writing()
    sys.exit(0)


def _nobody_reads(error: SystemExit) -> bool:
    """Whether rich ended the program, or click, since its reader closed the pipe: click then wraps standard output."""
    return isinstance(error.__context__, BrokenPipeError) or type(sys.stdout).__module__.startswith("click.")


def _stop_writing() -> NoReturn:
    """Exit where the reader of our output has closed the pipe; keeps Python from flushing into it then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _one_sentence(error: click.ClickException) -> str:
    """What click says in several, or on several lines, and where the options are listed."""
    words = harmless(" ".join(error.format_message().split())).rstrip(".")
    said = re.sub(r"\. (\(?[A-Z])", lambda start: "; " + start[1].lower(), words)
    context = getattr(error, "ctx", None)
    command = "neuroprune" if context is None else context.command_path
    return f"{said[:1].lower()}{said[1:]} (see `{command} --help`)"


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Within it, SIGTERM raises Terminated. A process that was started to ignore it goes on to do so."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    ours = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
