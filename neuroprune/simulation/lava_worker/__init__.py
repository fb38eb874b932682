"""Runs integer programs in Lava. A package of its own, copied beside its job and started there.

    python -m lava_worker <job folder>

It needs lava-nc and what that needs, so that an interpreter without neuroprune can run it. As soon as it has found
them it adds the file "found" to the folder, and imports them, which takes seconds. A byte on its standard input then
says that the job is there, program.json and arrays.npz, as neuroprune/simulation/lava_job.py writes them; recorded.npz
is added. Exit code 3 says that Lava cannot be imported, 1 that it failed; the output has the reason. It leads a session
of its own, and ends with all of its processes when its standard input does.

Neurons are Lava's own LIFReset, dense synapses its Dense, the input its RingBuffer, all in their fixed-point models.
Ours are, in processes.py: the reset that subtracts the threshold and registers of fewer bits, which Lava has no model
of; the delay line, which
Lava has for dense synapses only; and, where it is asked for, a faster model of Lava's Conv. The tap, in record.py, only
reads.
"""

import dataclasses
import importlib.metadata
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Any

FOUND, NO_LAVA = "found", 3
NEEDED = ("numpy", "scipy", "networkx", "asteval", "lava", "lava.magma")


def find_lava() -> None:
    """Raise ImportError unless Lava and what it needs are there; none of them is imported."""
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}")
    numpy = importlib.metadata.version("numpy")
    if int(numpy.split(".")[0]) > 1:
        raise ImportError(f"numpy is {numpy}, with which Lava's convolutions overflow; they need one below 2")


def import_var_model() -> None:
    """Import the one module of Lava 0.10 that Python 3.11 and later refuse.

    lava/magma/compiler/var_model.py has an instance of an unhashable dataclass as the default of a field ("mutable
    default"). While it is imported, and only then, such classes get the hash of plain objects.
    """
    original = dataclasses.dataclass

    def hashable(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(cls: type) -> Any:
            made: Any = original(cls, **options)
            if made.__hash__ is None:
                made.__hash__ = object.__hash__
            return made

        return decorate if cls is None else decorate(cls)

    dataclasses.dataclass = hashable
    try:
        import lava.magma.compiler.var_model  # noqa: F401
    finally:
        dataclasses.dataclass = original


try:
    find_lava()
    Path(sys.argv[1], FOUND).touch()
    import_var_model()
except ImportError:
    traceback.print_exc()
    sys.exit(NO_LAVA)
