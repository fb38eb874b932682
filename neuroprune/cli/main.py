"""The command `neuroprune`: finds subcommands when they are used, and is the one place that renders errors."""

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from neuroprune.cli.console import show_error
from neuroprune.errors import NeuropruneError
from neuroprune.version import __version__

COMMANDS = ("train", "compress", "deploy", "report", "targets", "models", "data")
"""In the order of use; each is `command` in neuroprune/cli/<name>.py."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

EPILOG = """\b
Example, on digits that need no download:
  neuroprune train
  neuroprune compress --structured --flops 0.5
  neuroprune deploy --target loihi-sim
  neuroprune report

\b
Exit codes: 0 done, 2 your input, 3 the chip cannot hold it, 4 a verification failed, 130 interrupted."""


class LazyGroup(click.Group):
    """A group that imports the module of a command only when it is asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"neuroprune.cli.{cmd_name}").command
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
        cli.main(args=arguments, prog_name="neuroprune", standalone_mode=False)
    except NeuropruneError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has closed the pipe; keep Python from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
